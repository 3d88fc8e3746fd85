"""Waking those who wait for commits: a commit publishes its shard, a waiter returns early."""

from __future__ import annotations

import asyncio
import contextlib
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError

from tracker.errors import MilepostError
from tracker.store.keys import Keys
from tracker.store.wire import Calls, Wire


class Wakes(Calls):
    """The waking part of the store. A task that calls `wake` in a loop misses no commit between two calls."""

    def __init__(self, keys: Keys, wire: Wire) -> None:
        super().__init__(keys, wire)
        self._shard_of_channel = {channel: shard for shard, channel in enumerate(keys.channel)}
        self._times = 0
        self._woken_at: dict[int, int] = {}
        self._seen: WeakKeyDictionary[asyncio.Task[object], int] = WeakKeyDictionary()
        self._pulse = asyncio.Event()

    async def wake(self, timeout: float) -> frozenset[int]:
        """Wait at most `timeout` seconds for a commit; the shards that were written to since this task's last call."""
        task = asyncio.current_task()
        assert task is not None
        seen = self._seen.setdefault(task, self._times)
        if seen == self._times:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._pulse.wait()
        self._seen[task] = self._times
        return frozenset(shard for shard, at in self._woken_at.items() if at > seen)

    def _heard(self, channel: bytes) -> None:
        shard = self._shard_of_channel.get(channel)
        if shard is None:
            return
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
