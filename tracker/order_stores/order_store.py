"""What an order store is, as we speak to it and as the fan-out sees it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tracker.order_stores.sdk import Platform

PREFIX = "store:"  # of its destinations


class OrderStore(Struct, frozen=True, kw_only=True):
    """One account's access to one shop or ERP, its credentials open."""

    id: str
    account: str
    platform: str  # slug
    base: str  # its address
    name: str = ""
    credentials: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    statuses: Mapping[str, str] = {}  # over the platform's own
    shops: tuple[str, ...] = ()  # told of parcels with these labels only
    shop: str = ""  # the label of the parcels that it registers
    path_secret: str = ""
    old_secret: str = ""  # the one before it
    old_until: int = 0  # ms; so long that one opens the address too
    enabled: bool = True
    created_at: int = 0  # ms

    @property
    def destination(self) -> str:
        """The name of its lanes."""
        return PREFIX + self.id

    def __repr__(self) -> str:  # never its secrets
        return f"OrderStore({self.id}, {self.platform}, account {self.account})"


class Listener(Struct, frozen=True):
    """An order store as the fan-out sees it."""

    id: str  # the destination
    account: str
    shops: tuple[str, ...]
    enabled: bool
    orders_only: bool = True

    @property
    def filters_labels(self) -> bool:
        """Whether `wants` depends on the shipment's shop."""
        return bool(self.shops)

    def wants(self, kind: str, shop: str | None, carrier: str | None) -> bool:
        """Whether a change goes to it; None: not known, so it may."""
        return self.enabled and (not self.shops or shop is None or shop in self.shops)


class Probe(Struct, frozen=True):
    """Whether an order store could be reached with its credentials, and whom or what it met."""

    reached: bool
    detail: str


def word_for(store: OrderStore, platform: Platform, status: str) -> str:
    """What an order store says for one of our statuses; "" where it is not told."""
    return store.statuses.get(status, platform.statuses.get(status, ""))
