"""Fan-out: from the feed of changes into the lanes of the destinations that want them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

import structlog
from msgspec import Struct, structs

from tracker.store.types import Claim, Delivery, Fanned, FeedEntry, LaneRef, StoreDown

log = structlog.get_logger()

Labels = tuple[str, str]  # a shipment's shop and carrier
T = TypeVar("T")

_POLL_S = 1.0  # the net under a lost wake-up
_PAUSE_S = 0.5  # after the store did not answer
_PAGE = 500  # changes of one shard and turn
_READ_AT_ONCE = 1_000


class Listener(Protocol):
    """A destination that may want a change of its account."""

    @property
    def id(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def orders_only(self) -> bool: ...
    @property
    def filters_labels(self) -> bool: ...
    def wants(self, kind: str, shop: str | None, carrier: str | None, /) -> bool: ...


Reader = Callable[[Mapping[tuple[str, str], bytes]], Iterable[Listener]]  # the listeners among the records


class FeedStore(Protocol):
    """The part of the store that fan-out uses."""

    @property
    def shards(self) -> int: ...
    async def unfanned(self, shard: int, limit: int = 500) -> tuple[str, list[FeedEntry]]: ...
    def heard(self, shard: int) -> tuple[str, list[FeedEntry]] | None: ...
    async def fan_out(
        self,
        shard: int,
        cursor: str,
        upto: str,
        refs: Sequence[LaneRef],
        claim: Claim | None = None,
        *,
        heard: Sequence[FeedEntry] = (),
    ) -> Fanned: ...
    async def claimed_lanes(self, shard: int, claim: str) -> list[Delivery]: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def records_version(self, kind: str) -> int: ...
    async def wake(self, timeout: float) -> frozenset[int]: ...


class Courier(Protocol):
    """Who delivers in this process, and takes changes on the spot: they need not be looked for in the lanes."""

    def offer(self, wanted: Mapping[str, int]) -> Claim | None: ...
    async def take_claimed(self, claim: Claim, found: Sequence[Delivery], sent_at: float) -> None: ...
    def withdraw(self, claim: Claim) -> None: ...


class Audience:
    """Who listens, by account; `readers` by the kind of their records, read again only when one was written."""

    def __init__(self, store: FeedStore, readers: Mapping[str, Reader]) -> None:
        self._store = store
        self._readers = readers
        self._versions: list[int] = []
        self._by_account: Mapping[str, Sequence[Listener]] = {}

    async def now(self) -> Mapping[str, Sequence[Listener]]:
        """Account → its listeners, at least as new as the call."""
        versions = await asyncio.gather(*map(self._store.records_version, self._readers))
        if versions != self._versions:
            by_account: dict[str, list[Listener]] = defaultdict(list)
            for kind, read in self._readers.items():
                for listener in read(await self._store.records(kind)):  # as new as the version, or newer
                    by_account[listener.account].append(listener)
            self._by_account, self._versions = dict(by_account), versions
        return self._by_account


class _Page(Struct, frozen=True):
    """Some of the feed of one shard, after its fan-out cursor; `heard`: it was not read, and may have gaps."""

    shard: int
    cursor: str
    entries: list[FeedEntry]
    heard: bool

    @property
    def upto(self) -> str:
        return self.entries[-1].position


class _Move(Struct, frozen=True):
    """What goes from the feed of one shard into lanes."""

    page: _Page
    refs: Sequence[LaneRef]


class FanOut:
    """Moves changes from the feed into lanes: each change once per destination, whoever and however many run it.

    `labels` gives the shop and carrier of shipments, None for one that is gone; it is asked only where a listener
    filters by them. `order_books` is the prefix of the destination that gets every change that concerns an order.
    A `courier` gets what it has slots for at once.
    """

    def __init__(
        self,
        store: FeedStore,
        audience: Audience,
        labels: Callable[[Sequence[str]], Awaitable[Sequence[Labels | None]]],
        *,
        order_books: str = "orders:",
        courier: Courier | None = None,
        pace_s: float = 0.01,
    ) -> None:
        self._store = store
        self._audience = audience
        self._labels = labels
        self._order_books = order_books
        self._courier = courier
        self._pace_s = pace_s
        self._failing = False

    async def run(self) -> None:
        """Fan out until cancelled; a turn that is cut off is done again by whoever comes next."""
        loop = asyncio.get_running_loop()
        shards, swept = None, loop.time()
        await self._woken(0)  # from here on no commit goes unheard
        while True:
            began = loop.time()
            more = await self._turn_or_pause(shards)
            # the next turn then carries more, for the same price; where turns are short there is no need to save
            await asyncio.sleep(min(self._pace_s, 2 * (loop.time() - began)))
            shards = more | await self._woken(0 if more else _POLL_S)
            if not shards or loop.time() - swept > _POLL_S:
                shards, swept = None, loop.time()

    async def turn(self, shards: frozenset[int] | None = None) -> frozenset[int]:
        """Fan out a page of each of the shards, read only where it was not heard; with None all are read.

        Answers where another turn is due at once: there may be more, or somebody else was there before.
        """
        pages = await self._pages(shards)
        if not pages:
            return frozenset()
        # only now: a subscription older than a change that was read is then certainly among the listeners
        listeners = await self._audience.now()
        labels = await self._labels_for(pages, listeners)
        moves = [_Move(page, list(refs(page.entries, listeners, labels, self._order_books))) for page in pages]
        return await self._move(moves) | {page.shard for page in pages if len(page.entries) >= _PAGE}

    async def _move(self, moves: Sequence[_Move]) -> frozenset[int]:
        """Carry them out; the shards where it could not be."""
        sent_at = asyncio.get_running_loop().time()
        wanted = Counter(ref.destination for move in moves for ref in move.refs)
        claim = self._courier.offer(wanted) if self._courier and wanted else None
        free = dict(claim.free) if claim else {}
        try:
            fanned = await _settled(self._moved(move, _share(claim, free, move)) for move in moves)
            found = [delivery for _, one in fanned for delivery in one.claimed]
            if self._courier and claim and found:
                await self._courier.take_claimed(claim, found, sent_at)
        finally:
            if self._courier and claim:
                self._courier.withdraw(claim)
        return frozenset(shard for shard, one in fanned if not one.moved)

    async def _moved(self, move: _Move, claim: Claim | None) -> tuple[int, Fanned]:
        page = move.page
        heard = page.entries if page.heard else ()
        try:
            return page.shard, await self._store.fan_out(
                page.shard, page.cursor, page.upto, move.refs, claim, heard=heard
            )
        except StoreDown:
            if claim is None:
                raise
        # it may have run, and its answer was lost
        return page.shard, Fanned(False, await self._store.claimed_lanes(page.shard, claim.id))

    async def _pages(self, shards: frozenset[int] | None) -> list[_Page]:
        heard = {shard: told for shard in shards or () if (told := self._store.heard(shard))}
        pages = [_Page(shard, *told, heard=True) for shard, told in heard.items()]
        unheard = range(self._store.shards) if shards is None else shards - heard.keys()
        pages += await _settled(self._read(shard) for shard in unheard)
        return [page for page in pages if page.entries]

    async def _read(self, shard: int) -> _Page:
        return _Page(shard, *await self._store.unfanned(shard, _PAGE), heard=False)

    async def _labels_for(
        self, pages: Sequence[_Page], listeners: Mapping[str, Sequence[Listener]]
    ) -> Mapping[str, Labels | None]:
        picky = {account for account, some in listeners.items() if any(one.filters_labels for one in some)}
        if not picky:
            return {}
        wanted = iter(dict.fromkeys(entry.id for page in pages for entry in page.entries if entry.account in picky))
        known: dict[str, Labels | None] = {}
        while ids := list(islice(wanted, _READ_AT_ONCE)):
            known.update(zip(ids, await self._labels(ids), strict=True))
        return known

    async def _turn_or_pause(self, shards: frozenset[int] | None) -> frozenset[int]:
        try:
            more = await self.turn(shards)
        except StoreDown as error:
            await self._pause(error)
            return frozenset(range(self._store.shards)) if shards is None else shards
        if self._failing:
            self._failing = False
            log.info("fan_out_recovered")
        return more

    async def _woken(self, timeout: float) -> frozenset[int]:
        try:
            return await self._store.wake(timeout)
        except StoreDown as error:
            await self._pause(error)
            return frozenset()

    async def _pause(self, error: StoreDown) -> None:
        if not self._failing:
            self._failing = True
            log.warning("fan_out_failing", error=str(error))
        await asyncio.sleep(_PAUSE_S)


def _share(claim: Claim | None, free: dict[str, int], move: _Move) -> Claim | None:
    """The part of the claim that one shard may use; what it might use up is no longer `free`."""
    if claim is None:
        return None
    share = {name: min(count, free[name]) for name, count in Counter(ref.destination for ref in move.refs).items()}
    for name, count in share.items():
        free[name] -= count
    return structs.replace(claim, free=share) if any(share.values()) else None


def refs(
    entries: Iterable[FeedEntry],
    listeners: Mapping[str, Sequence[Listener]],
    labels: Mapping[str, Labels | None],
    order_books: str,
) -> Iterable[LaneRef]:
    """Where each change goes: its account's order book if an order is concerned, and every listener that wants it."""
    for entry in entries:
        if entry.ordered:
            yield _ref(order_books + entry.account, entry)
        shop, carrier = labels.get(entry.id) or (None, None)
        for listener in listeners.get(entry.account, ()):
            if (entry.ordered or not listener.orders_only) and listener.wants(entry.kind, shop, carrier):
                yield _ref(listener.id, entry)


def _ref(destination: str, entry: FeedEntry) -> LaneRef:
    return LaneRef(destination, entry.account, entry.id, entry.revision, entry.kind)


async def _settled(calls: Iterable[Awaitable[T]]) -> list[T]:
    """What the calls answered. A primary that is away fails its own shards alone; all away raises `StoreDown`."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    good: list[T] = []
    down: StoreDown | None = None
    for answer in answers:
        if isinstance(answer, StoreDown):
            down = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            good.append(answer)
    if down and not good:
        raise down
    return good
