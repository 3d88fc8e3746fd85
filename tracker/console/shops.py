"""What the console knows of order stores: how each does, what it was told, and what was given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from tracker.console.services import View
from tracker.order_stores import OrderStore, OrderStores, Watermark, Watermarks
from tracker.order_stores.stores import Probe
from tracker.store.types import DeadLetter
from tracker.views import attempts_told, iso

_ATTEMPTS = 50  # of the log, that a page shows
_DEAD = 1_000  # dead letters that are counted, and told again at once
_ORDER = ("failed", "unasked", "off", "active")


class Shelf(Protocol):
    """What is asked of the store."""

    async def lanes(self, destination: str) -> int: ...
    async def delivery_log(self, account: str, destination: str, limit: int = 50) -> list[bytes]: ...
    async def dead_letters(
        self, account: str, *, destination: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[DeadLetter], str | None]: ...
    async def replay_dead(self, account: str, ids: Sequence[str]) -> int: ...


class Lately(Protocol):
    """How many of the latest attempts failed in a row, since when (ms), and what the last of them got."""

    @property
    def failed(self) -> int: ...
    @property
    def since(self) -> int: ...
    @property
    def why(self) -> str: ...


class ShopPage(Struct, frozen=True):
    """An order store with its latest attempts, newest first, and its dead letters; `more`: than are counted.

    `waiting`: of how many shipments changes wait for it.
    """

    view: View
    attempts: Sequence[View]
    dead: int
    more: bool
    waiting: int


class Shops(Struct, frozen=True):
    """The order stores of an account, for its pages. `lately` reads a delivery log, newest first."""

    store: Shelf
    order_stores: OrderStores
    watermarks: Watermarks
    platforms: Mapping[str, str]  # slug → name
    lately: Callable[[Sequence[bytes]], Lately]

    async def all(self, account: str) -> Sequence[View]:
        """Every order store, those that need somebody first."""
        found = await self.order_stores.all(account)
        marks = await self.watermarks.of(account) if found else {}
        views = [self._view(one, await self._log(one), marks.get(one.id)) for one in found]
        return sorted(views, key=lambda view: _ORDER.index(view["shown"]))

    async def page(self, account: str, id: str) -> ShopPage | None:
        """One order store, None where the account has no such."""
        found = await self.order_stores.get(account, id)
        if found is None:
            return None
        log = await self._log(found)
        dead, cursor = await self.store.dead_letters(account, destination=found.destination, limit=_DEAD)
        waiting = await self.store.lanes(found.destination)
        mark = (await self.watermarks.of(account)).get(id)
        return ShopPage(self._view(found, log, mark), attempts_told(log), len(dead), cursor is not None, waiting)

    async def test(self, account: str, id: str) -> Probe | None:
        """Ask its platform something that changes nothing; None where there is no such order store."""
        found = await self.order_stores.get(account, id)
        return None if found is None else await self.order_stores.test(found)

    async def recover(self, account: str, id: str) -> int | None:
        """Tell it again what was given up; how many went, None where it is switched off or gone."""
        found = await self.order_stores.get(account, id)
        if found is None or not found.enabled:
            return None
        dead, _ = await self.store.dead_letters(account, destination=found.destination, limit=_DEAD)
        return await self.store.replay_dead(account, [one.id for one in dead])

    async def _log(self, store: OrderStore) -> list[bytes]:
        return await self.store.delivery_log(store.account, store.destination, _ATTEMPTS)

    def _view(self, store: OrderStore, log: Sequence[bytes], mark: Watermark | None) -> Mapping[str, Any]:
        """`mark`: how far its platform was asked what it did not push."""
        lately = self.lately(log)
        return {
            "id": store.id,
            "name": store.name,
            "base": store.base,
            "platform": self.platforms.get(store.platform, store.platform),
            "shops": store.shops,
            "enabled": store.enabled,
            "shown": _shown(store, lately, mark),
            "failed": lately.failed,
            "since": iso(lately.since) if store.enabled and lately.since else None,
            "why": lately.why if store.enabled else "",
            "asked_at": iso(mark.done_at) if mark and mark.done_at else None,
            "found": mark.found if mark else 0,
            "unasked": mark.problem if mark and store.enabled else "",
            "created_at": iso(store.created_at),
        }


def _shown(store: OrderStore, lately: Lately, mark: Watermark | None) -> str:
    if not store.enabled:
        return "off"
    return "failed" if lately.failed else "unasked" if mark and mark.problem else "active"
