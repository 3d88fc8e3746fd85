"""How the store stands, for readiness and metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tracker.store.cursors import position_of
from tracker.store.types import StoreStats
from tracker.store.wire import Calls


class Health(Calls):
    """The health part of the store."""

    directory: Path | None = None  # where the embedded server keeps its log; None: the server is elsewhere

    async def ping(self) -> None:
        """Return once every primary answers; `StoreDown` where one does not."""
        await asyncio.gather(*[primary.send(b"PING") for primary in self.wire.primaries()])

    async def stats(self) -> StoreStats:
        """How the store stands, summed over its servers and shards."""
        texts = await asyncio.gather(*[primary.send(b"INFO", b"everything") for primary in self.wire.primaries()])
        infos = [dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line) for text in texts]
        keys, now = self.keys, int(self.clock() * 1000)
        feeds = await self._everywhere(lambda shard: self._plain(shard, b"XLEN", keys.feed[shard]))
        lanes = await self._everywhere(lambda shard: self._plain(shard, b"HLEN", keys.lanes[shard]))
        first_due = await self._everywhere(
            lambda shard: self._plain(shard, b"ZRANGE", keys.due[shard], b"0", b"0", b"WITHSCORES")
        )
        due = [float(answer[1]) for answer in first_due if answer]
        waiting = await self._oldest_unfanned()
        return StoreStats(
            used_memory=sum(int(info.get("used_memory", -1)) for info in infos),
            rss=sum(int(info.get("used_memory_rss", -1)) for info in infos),
            feed_length=sum(feeds),
            unfanned_age_ms=max(0, now - waiting) if waiting else 0,
            agenda_lag_ms=max(0, int(now - min(due, default=now))),
            lanes=sum(lanes),
            aof_bytes=sum(int(info.get("aof_current_size", -1)) for info in infos),
            durable=all(server.durable for server in self.wire.identities().values()),
        )

    async def _oldest_unfanned(self) -> int:
        """When the oldest change that fan-out has not seen was committed (ms); 0 where there is none."""
        keys = self.keys
        answers = await self._everywhere(
            lambda shard: self._read(shard, "unfanned", (keys.feed[shard], keys.fanned[shard]), (b"1",))
        )
        return min((position_of(answer[2].decode())[0] for answer in answers if len(answer) > 2), default=0)
