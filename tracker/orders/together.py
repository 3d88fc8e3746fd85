"""Many callers, one piece of work: whoever gets the lock first does what everybody has handed in meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tracker.store.types import StoreDown

T = TypeVar("T")
Waiting = tuple[T, "asyncio.Future[None]"]


class Together(Generic[T]):
    """Collects single items into batches of at most `limit` for `work`; needs no task of its own."""

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[None]], *, limit: int, lock: asyncio.Lock) -> None:
        self._work = work
        self._limit = limit
        self._lock = lock
        self._waiting: deque[Waiting[T]] = deque()

    async def submit(self, item: T) -> None:
        """Return once `item` is done with; raises what the work raised for it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        try:
            await asyncio.sleep(0)  # lets the other callers of this turn hand theirs in
            async with self._lock:
                while not future.done():
                    await self._turn()
        except asyncio.CancelledError:
            future.cancel()
            raise
        future.result()

    async def _turn(self) -> None:
        batch = self._take()
        try:
            await self._do(batch)
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed([(item, future) for item, future in batch if not future.done()]))
            raise

    def _take(self) -> list[Waiting[T]]:
        batch: list[Waiting[T]] = []
        while self._waiting and len(batch) < self._limit:
            item, future = self._waiting.popleft()
            if not future.done():  # its caller may have given up
                batch.append((item, future))
        return batch

    async def _do(self, batch: Sequence[Waiting[T]]) -> None:
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
