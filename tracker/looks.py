"""One look at the store for all who ask at the same time: where it is away, they wait together and not in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Looks:
    """Runs `look` for its callers, one at a time. Its outcome, good or bad, is shared by all who waited for it."""

    def __init__(self, look: Callable[[], Awaitable[None]]) -> None:
        self._look = look
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def now(self) -> None:
        """A look that begins after the call."""
        if self._running is None or self._running.done():
            self._running = _started(self._look())
            await asyncio.shield(self._running)
            return
        if self._next is None:
            self._next = _started(self._after(self._running))
        await asyncio.shield(self._next)

    async def join(self) -> None:
        """The look that is under way, or a new one."""
        if self._running is None or self._running.done():
            await self.now()
        else:
            await asyncio.shield(self._running)

    async def _after(self, running: asyncio.Task[None]) -> None:
        await asyncio.wait([running])
        self._running, self._next = self._next, None
        await self._look()


def _started(look: Awaitable[None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(look)
    task.add_done_callback(_seen)
    return task


def _seen(task: asyncio.Task[None]) -> None:
    """Nobody may be left who waits for it."""
    if not task.cancelled():
        task.exception()
