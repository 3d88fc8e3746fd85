"""Waking those who wait for commits: a commit publishes its account and its changes in the channel of its shard.

What is published may be lost. So at intervals, and whenever a channel begins to be heard anew, the feed is asked whose
commits came since it was last asked: once for all accounts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError

from tracker.errors import MilepostError
from tracker.store.cursors import Position
from tracker.store.feed import Feed
from tracker.store.keys import Keys
from tracker.store.lookout import Lookout
from tracker.store.tips import Tip
from tracker.store.wire import Wire

NET_S = 1.0  # between two looks at what may have gone by unheard
IDLE_S = 30.0  # the same while nobody follows: the next one then has not too much to tell


class Wakes(Feed):
    """The waking part of the store, for who works on every account's commits and for who reads one account's feed."""

    def __init__(self, keys: Keys, wire: Wire) -> None:
        super().__init__(keys, wire)
        self._shard_of_channel = {channel: shard for shard, channel in enumerate(keys.channel)}
        self._times = 0
        self._woken_at: dict[int, int] = {}
        self._seen: WeakKeyDictionary[asyncio.Task[object], int] = WeakKeyDictionary()
        self._pulse = asyncio.Event()
        self._tips: dict[bytes, Tip] = {}
        self._lookouts: set[Lookout] = set()
        self._asked: list[Position | None] = [None] * keys.shards  # where each shard's feed ended when it was asked
        self._unheard: set[int] = set()
        self._doubt = asyncio.Event()

    async def wake(self, timeout: float) -> frozenset[int]:
        """Wait at most `timeout` seconds for a commit; the shards that were written to since this task's last call.

        Or may have been, where they were not heard. A task that calls it in a loop misses no commit between two calls.
        """
        task = asyncio.current_task()
        assert task is not None
        seen = self._seen.setdefault(task, self._times)
        if seen == self._times:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._pulse.wait()
        self._seen[task] = self._times
        return frozenset(shard for shard, at in self._woken_at.items() if at > seen)

    @contextlib.contextmanager
    def following(self, account: str) -> Iterator[Tip]:
        """The end of the account's feed, for one who waits there."""
        name = account.encode()
        tip = self._tips.get(name)
        if tip is None:
            tip = self._tips[name] = Tip(self, account, lambda: self._tips.pop(name, None))
            self._doubt.set()
        tip.readers += 1
        try:
            yield tip
        finally:
            tip.readers -= 1

    @contextlib.contextmanager
    def watching(self, every_s: float, woken: Callable[[], object]) -> Iterator[Lookout]:
        """A lookout for due lanes, which is told whenever lanes are filled; `woken` is called each time."""
        lookout = Lookout(self.shards, every_s, woken)
        self._lookouts.add(lookout)
        try:
            yield lookout
        finally:
            self._lookouts.discard(lookout)

    def _heard(self, channel: bytes, told: bytes | None) -> None:
        shard = self._shard_of_channel.get(channel)
        if shard is None:
            return
        if not told:  # lanes were filled there, or may have been before we listened
            for lookout in self._lookouts:
                lookout.heard(shard)
        if told is None:
            self.hearsay.forget(shard)
            self._unheard.add(shard)
            self._doubt.set()
        elif told:
            account = told.partition(b"\0")[0]
            if account in self._tips:
                self._tips[account].written(shard)
            self.hearsay.told(shard, told)
        if told != b"":
            self._wake(shard)

    def _wake(self, shard: int) -> None:
        self._times += 1
        self._woken_at[shard] = self._times
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    async def _listen(self) -> None:
        """Listen until cancelled; while the connection is away, waiters have their timeout."""
        while True:
            with contextlib.suppress(RedisError, OSError, RuntimeError, TimeoutError, MilepostError):
                await self.wire.listen(self._heard)
            await asyncio.sleep(0.1)

    async def _make_up(self) -> None:
        """Find what was committed and not heard, until cancelled."""
        clock = asyncio.get_running_loop().time
        asked_at = -IDLE_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(asked_at + self._net_s()):
                    await self._doubt.wait()
            self._doubt.clear()
            shards, self._unheard = self._unheard, set()
            if clock() >= asked_at + self._net_s():
                shards, asked_at = set(range(self.shards)), clock()
            await asyncio.gather(*map(self._ask, shards))

    def _net_s(self) -> float:
        return NET_S if self._tips else IDLE_S

    async def _ask(self, shard: int) -> None:
        try:
            self._asked[shard], reached = await self.committed(shard, self._asked[shard])
        except MilepostError:
            return  # the next look covers it
        if reached is None:
            for tip in self._tips.values():
                tip.written(shard)
            return
        for account in reached.keys() & self._tips.keys():
            self._tips[account].reaches(shard, reached[account])
