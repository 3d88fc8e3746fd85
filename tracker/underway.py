"""Work that ends although nobody waits for it any more: a deadline of its caller's does not cut it off.

A database's driver that is cut off amid a statement leaves the transaction of that statement open; on SQLite nobody
writes then until the process ends. And what was taken out of a list to be written is in neither place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from tracker.store.types import StoreDown

T = TypeVar("T")
P = ParamSpec("P")
Work = Callable[[], Coroutine[Any, Any, None]]


class UnderWay:
    """What was begun and has not ended."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work that is cancelled by nobody."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns. A caller that is cancelled leaves at once, and the work goes on."""
        return await asyncio.shield(self.begin(work))

    async def ended(self) -> None:
        """Return when nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def written_regularly(every_s: float, write: Work, *, first: Work | None = None) -> None:
    """Write every so often until cancelled; then what is under way ends, and what is left is written.

    A store that is away has it later.
    """
    under_way = UnderWay()
    try:
        if first:
            with suppress(StoreDown):
                await first()
        while True:
            await asyncio.sleep(every_s)
            with suppress(StoreDown):
                await under_way.run(write())
    finally:
        await under_way.ended()
        with suppress(StoreDown):
            await write()


class Keeper(Protocol):
    """Who knows what of its own is under way."""

    @property
    def under_way(self) -> UnderWay: ...


K = TypeVar("K", bound=Keeper)
Method = Callable[Concatenate[K, P], Coroutine[Any, Any, T]]


def to_its_end(method: Method[K, P, T]) -> Method[K, P, T]:
    """A method that ends once it has begun, whatever becomes of its caller."""

    @wraps(method)
    async def begun(self: K, /, *args: P.args, **options: P.kwargs) -> T:
        return await self.under_way.run(method(self, *args, **options))

    return begun
