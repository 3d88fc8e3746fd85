"""Many callers, one piece of work: what everybody has handed in meanwhile is done in one go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tracker.store.types import StoreDown
from tracker.underway import UnderWay

T = TypeVar("T")
Waiting = tuple[T, "asyncio.Future[None]"]


class Together(Generic[T]):
    """Collects single items into batches of at most `limit` for `work`, which has the `lock` meanwhile.

    Its task lives as long as something waits. A caller that gives up takes its item along unless the work has begun.
    """

    def __init__(
        self, work: Callable[[Sequence[T]], Awaitable[None]], *, limit: int, lock: asyncio.Lock, under_way: UnderWay
    ) -> None:
        self._work = work
        self._limit = limit
        self._lock = lock
        self._under_way = under_way
        self._waiting: deque[Waiting[T]] = deque()
        self._working = False

    async def submit(self, item: T) -> None:
        """Return once `item` is done with; raises what the work raised for it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if not self._working:
            self._working = True
            self._under_way.begin(self._work_off())
        await future

    async def _work_off(self) -> None:
        """Begins a turn after it is called for: the other callers of this one hand theirs in."""
        try:
            while self._waiting:
                async with self._lock:
                    await self._do(self._take())
        finally:
            self._working = False

    def _take(self) -> list[Waiting[T]]:
        batch: list[Waiting[T]] = []
        while self._waiting and len(batch) < self._limit:
            item, future = self._waiting.popleft()
            if not future.done():  # its caller may have given up
                batch.append((item, future))
        return batch

    async def _do(self, batch: Sequence[Waiting[T]]) -> None:
        if not batch:
            return
        try:
            await self._work([item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1 or isinstance(error, StoreDown):
                _settle(batch, error)
            else:  # one item that the database refuses must not hold up the rest
                for one in batch:
                    await self._do([one])
        else:
            _settle(batch, None)


def _settle(batch: Sequence[Waiting[T]], error: Exception | None) -> None:
    for _, future in batch:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
