"""What a connection is, and the route over which a shipment is asked for or heard of."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from carriers.sdk import Carrier


class Connection(Struct, frozen=True, kw_only=True):
    """One account's access to one interface, its credentials open."""

    id: str
    account: str
    carrier: str  # slug
    name: str = ""
    base: str = ""  # instead of the carrier's own address
    credentials: Mapping[str, str] = {}
    path_secret: str = ""
    old_secret: str = ""  # the one before it
    old_until: int = 0  # ms; so long that one opens the address too
    auto_register: bool = False
    enabled: bool = True
    created_at: int = 0  # ms

    @property
    def pushes(self) -> str:
        """The name of its pushes as a source."""
        return f"{self.id}/push"

    @property
    def polls(self) -> str:
        """The name of its answers as a source."""
        return f"{self.id}/poll"

    def __repr__(self) -> str:  # never its secrets
        return f"Connection({self.id}, {self.carrier}, account {self.account})"


class Route(Struct, frozen=True):
    """The connection by which a shipment's carrier is asked or heard, and the adapter that speaks over it."""

    connection: Connection
    carrier: Carrier


def speaks_of(carrier: Carrier, slug: str) -> bool:
    """Whether an interface tells of parcels of the carrier `slug`; an aggregator with no list of its own, of any."""
    if carrier.slug == slug:
        return True
    return carrier.aggregator and (not carrier.carriers or slug in carrier.carriers.values())
