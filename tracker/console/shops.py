"""What the console knows of order stores: how each does, what it was told, and what was given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from tracker.console import destinations
from tracker.console.destinations import ATTEMPTS, DEAD, Page, page_of
from tracker.console.services import View
from tracker.order_stores import OrderStore, OrderStores, Watermark, Watermarks
from tracker.order_stores.order_store import Probe
from tracker.views import iso

_ORDER = ("failed", "unasked", "off", "active")


class Shelf(destinations.Shelf, Protocol):
    """What is asked of the store."""

    async def replay_dead(self, account: str, ids: Sequence[str]) -> int: ...


class Lately(Protocol):
    """How many of the latest attempts failed in a row, since when (ms), and what the last of them got."""

    @property
    def failed(self) -> int: ...
    @property
    def since(self) -> int: ...
    @property
    def why(self) -> str: ...


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

    async def page(self, account: str, id: str) -> Page | None:
        """One order store, None where the account has no such."""
        found = await self.order_stores.get(account, id)
        if found is None:
            return None
        log = await self._log(found)
        mark = (await self.watermarks.of(account)).get(id)
        return await page_of(self.store, account, found.destination, self._view(found, log, mark), log)

    async def test(self, account: str, id: str) -> Probe | None:
        """Ask its platform something that changes nothing; None where there is no such order store."""
        found = await self.order_stores.get(account, id)
        return None if found is None else await self.order_stores.test(found)

    async def recover(self, account: str, id: str) -> int | None:
        """Tell it again what was given up; how many went, None where it is switched off or gone."""
        found = await self.order_stores.get(account, id)
        if found is None or not found.enabled:
            return None
        dead, _ = await self.store.dead_letters(account, destination=found.destination, limit=DEAD)
        return await self.store.replay_dead(account, [one.id for one in dead])

    async def _log(self, store: OrderStore) -> list[bytes]:
        return await self.store.delivery_log(store.account, store.destination, ATTEMPTS)

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
