"""What helps to find the carrier of a number: what the account has sent before, and what it is connected to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Protocol

from carriers.sdk import Carrier
from tracker.detect import Hints
from tracker.model import Shipment

_REMEMBERED = 200  # of the account's newest shipments


class Registry(Protocol):
    """The carriers that are installed, and the slugs that shipments may name."""

    def get(self, slug: str) -> Carrier | None: ...
    def known(self) -> Collection[str]: ...


class Connection(Protocol):
    """What counts of a connection."""

    @property
    def carrier(self) -> str: ...
    @property
    def enabled(self) -> bool: ...


class Connections(Protocol):
    """The accounts' access to carriers."""

    async def all(self, account: str) -> Sequence[Connection]: ...


class Shelves(Protocol):
    """The lists of shipments."""

    async def page(self, account: str, *, limit: int = 50) -> tuple[list[str], str | None]: ...


class Door(Protocol):
    """The shipments themselves."""

    async def get(self, account: str, ids: Sequence[str]) -> list[Shipment | None]: ...


async def hints_of(
    account: str, *, registry: Registry, connections: Connections, shelves: Shelves, door: Door
) -> Hints:
    """What the account's habits and connections say, and the numbers of installed adapters."""
    adapters = {slug: carrier for slug in registry.known() if (carrier := registry.get(slug))}
    mine = await connections.all(account)
    tellers = [adapters[one.carrier] for one in mine if one.enabled and one.carrier in adapters]
    return Hints(
        used=await _used(account, shelves, door),
        connected={slug for teller in tellers for slug in (teller.slug, *teller.carriers.values())},
        numbers={slug: carrier.numbers for slug, carrier in adapters.items()},
    )


async def _used(account: str, shelves: Shelves, door: Door) -> Counter[str]:
    ids, _ = await shelves.page(account, limit=_REMEMBERED)
    found = await door.get(account, ids) if ids else []
    return Counter(shipment.document.carrier for shipment in found if shipment)
