"""The addresses at which an account takes pushes: whose they are, and a new one in place of one that got about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from tracker.accounts import ApiKey, Scope
from tracker.console.services import View
from tracker.errors import NotFound
from tracker.order_stores import OrderStore, OrderStores, Watermark, Watermarks
from tracker.path_secrets import Address, overlap_until
from tracker.views import iso

CONNECTION, ORDER_STORE = "connection", "order-store"


class Shown(Address, Protocol):
    """A connection or an order store, as its row shows it."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def enabled(self) -> bool: ...


class Connection(Shown, Protocol):
    """A connection, as far as it matters here."""

    @property
    def carrier(self) -> str: ...


class Connections(Protocol):
    """The connections of the accounts."""

    async def all(self, account: str) -> Sequence[Connection]: ...
    async def rotate(self, account: str, id: str, *, overlap_s: float, now: int) -> Connection: ...


class Keys(Protocol):
    """Where API keys lie."""

    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...


class Addresses(Struct, frozen=True):
    """Connections and order stores. The templates, with `{id}` and `{secret}`, are of their addresses."""

    keys: Keys
    connections: Connections
    order_stores: OrderStores
    watermarks: Watermarks
    platforms: Mapping[str, str]  # slug → name
    connection_url: str
    order_store_url: str

    async def all(self, account: str, *, now: int) -> Sequence[View]:
        """Every address, those of connections first. Without their secrets."""
        found = [_view(CONNECTION, one, one.carrier, "", now) for one in await self.connections.all(account)]
        stores = [one for one in await self.order_stores.all(account) if self.order_stores.takes_pushes(one)]
        marks = await self.watermarks.of(account) if stores else {}
        return [*found, *[self._store_view(one, now, marks.get(one.id)) for one in stores]]

    async def may_rotate(self, account: str, key_id: str) -> bool:
        """Whether the key that signed in may see a new address: as with the API, one with the scope `admin`."""
        key = await self.keys.get_record("key", account, key_id) if key_id else None
        return key is not None and Scope.ADMIN in msgspec.json.decode(key, type=ApiKey).scopes

    async def rotate(self, account: str, kind: str, id: str, *, overlap_s: float, now: int) -> tuple[View, str]:
        """Whose address is new now, and the address, which is not shown again. Raises NotFound."""
        if kind == CONNECTION:
            made = await self.connections.rotate(account, id, overlap_s=overlap_s, now=now)
            return _view(kind, made, made.carrier, "", now), _filled(self.connection_url, made)
        store = await self.order_stores.get(account, id)
        if kind != ORDER_STORE or store is None or not self.order_stores.takes_pushes(store):
            raise NotFound(f"no address of {id!r}")
        rotated = await self.order_stores.rotate(account, id, overlap_s=overlap_s, now=now)
        return self._store_view(rotated, now, None), _filled(self.order_store_url, rotated)

    def _store_view(self, store: OrderStore, now: int, mark: Watermark | None) -> View:
        return _view(ORDER_STORE, store, "", self.platforms.get(store.platform, store.platform), now, mark)


def _view(
    kind: str, one: Shown, carrier: str, platform: str, now: int, mark: Watermark | None = None
) -> Mapping[str, Any]:
    """`mark`: how far a platform was asked what it did not push."""
    until = overlap_until(one, now=now)
    return {
        "kind": kind,
        "id": one.id,
        "name": one.name,
        "carrier": carrier,
        "platform": platform,
        "enabled": one.enabled,
        "old_until": iso(until) if until else None,
        "asked_at": iso(mark.done_at) if mark and mark.done_at else None,
        "problem": mark.problem if mark else "",
    }


def _filled(template: str, one: Shown) -> str:
    return template.replace("{id}", one.id).replace("{secret}", one.path_secret)


def overlaps() -> Collection[int]:
    """The hours for which an old address may go on, as the page offers them: a day first."""
    return (24, 7 * 24, 30 * 24, 90 * 24, 0)
