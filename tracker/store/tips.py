"""The end of an account's feed as this process knows it: what its waiting readers share.

A commit's publish names its account and comes in the channel of its shard, so that a reader that wakes reads that shard
and no other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from tracker.store.cursors import Position
from tracker.store.types import FeedPage

PACE_S = 0.05  # between two turns of an account's readers: what is committed meanwhile is read in one look
WHOLE_S = 60.0  # between two looks at every shard, whatever was heard; a quarter more or less
_CATCHING_UP = 1_000  # cursors of readers with more to read, remembered


class Source(Protocol):
    """The feed, as its readers ask for it."""

    @property
    def shards(self) -> int: ...
    def positions(self, cursor: str | None) -> Sequence[Position | None]: ...
    async def changes(self, account: str, cursor: str | None, limit: int = 100, tip: Tip | None = None) -> FeedPage: ...


class Tip:
    """Where an account's feed ends, by shard, and the turns in which its readers look whether it has moved.

    Kept while somebody reads, and until the next look at every shard after that; `ended` is called then.
    """

    def __init__(self, feed: Source, account: str, ended: Callable[[], object]) -> None:
        self.readers = 0
        self._feed = feed
        self._account = account
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        # A shard is as it was read if nothing was heard of it since that read was sent: a commit that it missed is
        # heard later than that.
        self._heard = [1] * feed.shards
        self._read = [0] * feed.shards
        self._at: list[Position | None] = [None] * feed.shards
        self._tally = [0] * feed.shards
        self._epoch = 0
        self._turned_at = -PACE_S
        self._turn: asyncio.TimerHandle | None = None
        self._pulse = asyncio.Event()
        self._looks: dict[tuple[str | None, int], asyncio.Task[FeedPage]] = {}
        self._catching_up: set[int] = set()
        self._look_everywhere_later()

    # for readers

    async def join(self, cursor: str | None, limit: int) -> FeedPage:
        """The first page of a reader that comes, in turn with the others; at once where it is catching up."""
        name = hash(cursor)
        if name in self._catching_up:
            self._catching_up.discard(name)
        elif (cursor, limit) not in self._looks and self.news(self._feed.positions(cursor)):
            await self._next_turn()
        return await self._page(cursor, limit)

    async def after(self, page: FeedPage, limit: int, timeout: float) -> FeedPage | None:
        """The page after `page`: at once where there is more, else in the next turn; None if `timeout` seconds pass."""
        if not page.more:
            if self.news(self._feed.positions(page.cursor)):
                self._announce()
            try:
                async with asyncio.timeout(timeout):
                    await self._pulse.wait()
            except TimeoutError:
                return None
        return await self._page(page.cursor, limit)

    async def _page(self, cursor: str | None, limit: int) -> FeedPage:
        """One look for all that stand at the same place."""
        place = cursor, limit
        look = self._looks.get(place)
        if look is None:
            look = asyncio.create_task(self._feed.changes(self._account, cursor, limit, self))
            self._looks[place] = look
            look.add_done_callback(partial(self._looked, place))
        return await asyncio.shield(look)

    def _looked(self, place: tuple[str | None, int], look: asyncio.Task[FeedPage]) -> None:
        del self._looks[place]
        if not look.cancelled() and look.exception() is None and look.result().more:
            if len(self._catching_up) >= _CATCHING_UP:
                self._catching_up.clear()
            self._catching_up.add(hash(look.result().cursor))

    # for the feed

    def news(self, positions: Sequence[Position | None]) -> list[int]:
        """The shards in which something may come after the positions."""
        facts = zip(self._heard, self._read, self._at, positions, strict=True)
        return [shard for shard, (heard, read, at, stands) in enumerate(facts) if heard != read or at != stands]

    def tally(self, but: Collection[int]) -> int:
        """How many changes the account ever had in the shards that are not `but`."""
        return sum(self._tally) - sum(self._tally[shard] for shard in but)

    def ask(self, positions: Sequence[Position | None], epoch: int) -> dict[int, int]:
        """The shards that one who stands there must read now; with each what `learn` wants to know of it."""
        if epoch != self._epoch:  # a replica took over: what was known may be no more
            self._epoch = epoch
            self._read = [0] * len(self._read)
        return {shard: self._heard[shard] for shard in self.news(positions)}

    def learn(self, shard: int, asked: int, at: Position, tally: int) -> None:
        """Where the shard ended, and its tally there, when it was read to its end."""
        self._at[shard], self._tally[shard], self._read[shard] = at, tally, asked

    # for those who hear

    def written(self, shard: int) -> None:
        """Something was committed, or may have been."""
        self._heard[shard] += 1
        if self.readers:
            self._announce()

    def reaches(self, shard: int, position: Position) -> None:
        """There is an entry at the position, whether it was heard of or not."""
        known = self._at[shard]
        if known is None or position > known:
            self.written(shard)

    def _look_everywhere(self) -> None:
        if not self.readers:
            self._ended()
            return
        for shard in range(len(self._heard)):
            self.written(shard)
        self._look_everywhere_later()

    def _look_everywhere_later(self) -> None:
        self._loop.call_later(WHOLE_S * random.uniform(0.75, 1.25), self._look_everywhere)  # not all accounts at once

    # turns

    def _announce(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_at(max(self._loop.time(), self._turned_at + PACE_S), self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        self._turned_at = self._loop.time()
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    async def _next_turn(self) -> None:
        if self._turn is None and self._loop.time() >= self._turned_at + PACE_S:
            self._turned_at = self._loop.time()  # nobody waits for it: that would have been announced
            return
        self._announce()
        await self._pulse.wait()
