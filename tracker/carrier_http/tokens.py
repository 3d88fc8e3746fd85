"""An interface's tokens, fetched once for all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from carriers.sdk import Http

Obtain = Callable[[Http], Awaitable[tuple[str, float]]]


class Unauthorised(Exception):
    """A 401: the token is no longer good, or the credentials never were."""


class Tokens:
    """Tokens by key, each fetched once however many wait for it."""

    _EARLY = 0.1  # of its life before a token ends it is not used any more, at most a minute

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.generation = 0

    async def get(self, key: str, http: Http, obtain: Obtain) -> str:
        """The token of that key, from `obtain` where none is held."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            token, until = self._held.get(key, ("", 0.0))
            if self._clock() >= until:
                token, life = await obtain(http)
                self._held[key] = token, self._clock() + life - min(60.0, life * self._EARLY)
            return token

    def forget(self, generation: int) -> None:
        """Drop the tokens of that generation; newer ones stay, somebody was faster."""
        if generation == self.generation:
            self._held.clear()
            self.generation += 1
