"""Asking order stores what their platforms did not push, so that nothing is lost with a webhook.

Shopify asks for it: "your app shouldn't rely solely on receiving data from Shopify webhooks"
(https://shopify.dev/docs/apps/build/webhooks/best-practices), and WooCommerce switches webhooks off that fail.

A round reads every order that was updated since the watermark, the first updated first, page by page; the watermark is
by the platform's clock, so that nobody's clock has to be right. What it finds goes the way of a push. Rounds overlap:
an order may be found some minutes after its update.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
from msgspec import Struct, structs

from tracker.order_stores.exit import Exits
from tracker.order_stores.order_store import OrderStore
from tracker.order_stores.sdk import Fulfilment, Limited, Page, Platform, Refused, Unavailable
from tracker.order_stores.watermarks import LEASE_MS, Watermark, Watermarks
from tracker.store.types import Conflict, Gone, StoreDown

OVERLAP_MS = 600_000
_LOOK_EVERY_S = 1.0
_PAGE_S = LEASE_MS / 2_000  # a page that takes longer is given up, long before its lease ends
_KEPT_ONCE_MS = 86_400_000  # what can't be followed is found in every round of an idle shop
_LONGEST = 300  # characters of a problem

log = structlog.get_logger()


class BackfillSettings(Struct, frozen=True, kw_only=True):
    """How often and how much. `every_s` 0: only who asks for it."""

    every_s: float = 900.0
    first_s: float = 2 * 86_400.0  # so far back the first round of an order store begins
    at_once: int = 8  # order stores
    pages: int = 100  # in a row for one; then the others have their turn
    pause_s: float = 0.5  # between two pages: telling the platform goes on meanwhile, at the same rate


class Followed(Protocol):
    """What became of some fulfilments."""

    @property
    def created(self) -> int: ...
    @property
    def wrong(self) -> Sequence[tuple[Fulfilment, str]]: ...


class Register(Protocol):
    """Who follows the waybills of fulfilments, however we heard of them."""

    async def follow(self, order_store: OrderStore, found: Sequence[Fulfilment]) -> Followed: ...
    async def keep(self, order_store: OrderStore, one: Fulfilment, reason: str) -> None: ...


class Directory(Protocol):
    """The order stores."""

    async def everybody(self) -> Sequence[OrderStore]: ...
    def platform_of(self, store: OrderStore) -> Platform | None: ...
    def can_be_asked(self, store: OrderStore) -> bool: ...


class Marks(Protocol):
    """What was seen before."""

    async def marked(self, account: str, owner: str, mark: bytes) -> bool: ...
    async def mark(self, account: str, owner: str, mark: bytes, *, life_ms: int) -> None: ...


class Observer(Protocol):
    """Who counts. `outcome`: done, cut, limited, failed, overtaken."""

    def backfilled(self, platform: str, outcome: str) -> None: ...
    def backfill_found(self, platform: str, found: int, registered: int, failed: int) -> None: ...
    def backfill_lag(self, seconds: float) -> None: ...


class _Overtaken(Exception):
    """Somebody else has the watermark now."""


class Backfill:
    """Asks the order stores that are due, as long as it runs. It can be cut off at any point."""

    def __init__(
        self,
        stores: Directory,
        watermarks: Watermarks,
        exits: Exits,
        register: Register,
        marks: Marks,
        observer: Observer,
        *,
        settings: BackfillSettings,
        clock: Callable[[], float],
    ) -> None:
        self._stores = stores
        self._watermarks = watermarks
        self._exits = exits
        self._register = register
        self._marks = marks
        self._observer = observer
        self._settings = settings
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look for order stores that are due, again and again."""
        try:
            while True:
                with contextlib.suppress(StoreDown):
                    await self.look()
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def look(self) -> None:
        """Begin with those that have been due the longest, as far as there is room."""
        now, kept = self._now(), await self._watermarks.all()
        stores = {(one.account, one.id): one for one in await self._stores.everybody()}
        for account, id in kept.keys() - stores.keys():
            await self._watermarks.forget_if_gone(account, id)
        asked = [one for one in stores.values() if one.enabled and self._stores.can_be_asked(one)]
        self._observer.backfill_lag(self._lag(asked, kept, now))
        due = {one.id: self._due(kept.get((one.account, one.id)), now) for one in asked}
        waiting = [one for one in asked if due[one.id] <= now and one.id not in self._under_way]
        room = self._settings.at_once - len(self._under_way)
        for one in sorted(waiting, key=lambda one: due[one.id])[: max(room, 0)]:
            self._under_way[one.id] = asyncio.create_task(self._begin(one))

    async def finished(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._under_way.values())

    def _due(self, mark: Watermark | None, now: int) -> float:
        every = self._settings.every_s * 1000
        if mark is None:
            return now if every else math.inf
        if mark.held(now):
            return mark.held_until
        if mark.again_at or not every:
            return mark.again_at or math.inf
        return mark.tried_at + every if mark.tried_at <= now else now  # our clock was put back

    def _lag(self, stores: Sequence[OrderStore], kept: Mapping[tuple[str, str], Watermark], now: int) -> float:
        """Seconds by which the end of a round is overdue, of the order store where that is longest."""
        every = self._settings.every_s
        if not every:
            return 0.0
        marks = ((one, kept.get((one.account, one.id))) for one in stores)
        ended = min(((mark and mark.done_at) or one.created_at for one, mark in marks), default=now)
        return max(0.0, (now - ended) / 1000 - every)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    # ------------------------------------------------------------ one order store

    async def _begin(self, store: OrderStore) -> None:
        platform = self._stores.platform_of(store)
        assert platform
        try:
            self._observer.backfilled(platform.slug, await self._attempt(store, platform))
        except (StoreDown, Conflict, Gone, _Overtaken) as error:
            log.info("backfill.broken_off", order_store=store.id, why=repr(error))
            self._observer.backfilled(platform.slug, "overtaken" if isinstance(error, _Overtaken) else "failed")
        except Exception:  # an adapter may break in any way, and is asked again when its lease has ended
            log.exception("backfill.platform_broken", order_store=store.id, platform=platform.slug)
            self._observer.backfilled(platform.slug, "failed")
        finally:
            del self._under_way[store.id]

    async def _attempt(self, store: OrderStore, platform: Platform) -> str:
        """As many pages as there are, or may be in a row; how it ended."""
        now = self._now()
        mark = await self._watermarks.take(store, since=now - round(self._settings.first_s * 1000), now=now)
        if mark is None:
            raise _Overtaken
        taken = mark
        try:
            for _ in range(self._settings.pages):
                mark = await self._turn(store, platform, mark)
                if not mark.cursor:
                    return "done"
                await asyncio.sleep(self._settings.pause_s)
        except Limited as error:
            await self._stop(store, mark, again_at=self._now() + round(error.retry_after_s * 1000))
            return "limited"
        except (Refused, Unavailable) as error:
            log.warning("backfill.failed", order_store=store.id, platform=platform.slug, reason=str(error))
            went_on = structs.replace(mark, problem=str(error)[:_LONGEST], again_at=0)
            if mark == taken and mark.cursor:  # the page may not be there any more: begin where it began
                went_on = structs.replace(went_on, since=_next_since(mark), cursor="", seen=0)
            await self._stop(store, mark, **structs.asdict(went_on))
            return "failed"
        await self._stop(store, mark, again_at=self._now())
        return "cut"

    async def _turn(self, store: OrderStore, platform: Platform, mark: Watermark) -> Watermark:
        """Read a page, follow what is on it, then move the watermark: what is not on disk is read again."""
        page = await self._read(store, platform, mark)
        done = await self._register.follow(store, page.fulfilments)
        for one, reason in done.wrong:
            await self._keep_once(store, one, reason)
        now, found, failed = self._now(), len(page.fulfilments), len(done.wrong)
        self._observer.backfill_found(platform.slug, found, done.created, failed)
        begun = mark if mark.cursor else structs.replace(mark, found=0, registered=0, failed=0)
        # a clock that is ahead of ours may be put right, and what happens then must not lie before the watermark
        seen = max(mark.seen, min(round(page.updated_to.timestamp() * 1000), now) if page.updated_to else 0)
        new = structs.replace(
            begun,
            cursor=page.next,
            seen=seen,
            held_until=now + LEASE_MS,
            found=begun.found + found,
            registered=begun.registered + done.created,
            failed=begun.failed + failed,
            problem="",
        )
        if not page.next:
            ended = {"held_until": 0, "again_at": 0, "tried_at": now, "done_at": now}
            new = structs.replace(new, since=_next_since(new), seen=0, **ended)
        await self._put(store, mark, new)
        return new

    async def _read(self, store: OrderStore, platform: Platform, mark: Watermark) -> Page:
        since = datetime.fromtimestamp(mark.since // 1000, UTC)
        try:
            async with asyncio.timeout(_PAGE_S):
                return await self._exits.of(store, platform).recent(since, mark.cursor)
        except TimeoutError:
            raise Unavailable(f"gave no page of its orders within {_PAGE_S:g} s") from None

    async def _keep_once(self, store: OrderStore, one: Fulfilment, reason: str) -> None:
        mark = hashlib.blake2b(
            f"{one.order_number}\0{one.waybill}".encode(), digest_size=12, person=b"backfill"
        ).digest()
        if not await self._marks.marked(store.account, store.id, mark):
            await self._register.keep(store, one, reason)
        await self._marks.mark(store.account, store.id, mark, life_ms=_KEPT_ONCE_MS)

    async def _stop(self, store: OrderStore, mark: Watermark, **changes: object) -> None:
        ended = {**changes, "held_until": 0, "tried_at": self._now()}
        await self._put(store, mark, structs.replace(mark, **ended))

    async def _put(self, store: OrderStore, seen: Watermark, new: Watermark) -> None:
        if not await self._watermarks.keep(store, seen, new):
            raise _Overtaken


def _next_since(mark: Watermark) -> int:
    """Where the next round begins: no later than what may still be found of this one."""
    return max(mark.since, mark.seen - OVERLAP_MS)
