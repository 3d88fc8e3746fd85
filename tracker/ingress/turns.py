"""How much of one account is worked on at once, so that it has its turn among the others and no more. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_AT_ONCE = 16  # as many commits of one account share a flush; more of it would only stand before the others


class Turns:
    """At most `at_once` requests of one account are worked on in this process; its others wait, in their order.

    One loop works on what all accounts ask: who asks for much would otherwise have as many places in its round as it
    has requests, and everybody else one.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._at_once = at_once
        self._of: dict[str, asyncio.Semaphore] = {}
        self._there: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, account: str) -> AsyncIterator[None]:
        """A turn of that account."""
        places = self._of.setdefault(account, asyncio.Semaphore(self._at_once))
        self._there[account] = self._there.get(account, 0) + 1
        try:
            async with places:
                yield
        finally:
            self._there[account] -= 1
            if not self._there[account]:
                del self._there[account], self._of[account]
