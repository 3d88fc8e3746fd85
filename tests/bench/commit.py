"""Commit: real documents with their changes, against an empty function through the same flush loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from tests.bench.figures import Figure, Sizes, figure
from tests.bench.journeys import EVENTS
from tests.bench.processes import workspace
from tests.bench.profiling import profiled
from tests.bench.tape import play, recorded
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import Write

_EMPTY = b"""#!lua name=bench
redis.register_function('bench_nothing', function() return {'ok', 1} end)
"""
AT_ONCE = 256


async def commit(sizes: Sizes) -> AsyncIterator[Figure]:
    """Commits a second beside calls of a function that does nothing."""
    writes = await recorded(range(sizes.commits // (EVENTS + 1)))
    ours: list[float] = []
    empty: list[float] = []
    with workspace() as directory:
        async with open_store(StoreSettings(directory=directory)) as store:
            for place in range(sizes.warm + sizes.rounds):
                rates = await _round(store, writes, sizes if place == sizes.warm + sizes.rounds - 1 else None)
                if place >= sizes.warm:
                    ours.append(rates[0])
                    empty.append(rates[1])
    yield figure("commit: real documents, 256 at once", ours, "commits/s", ceiling=empty, ceiling_is="empty FCALL")


async def _round(store: Store, writes: Sequence[Write], sizes: Sizes | None) -> tuple[float, float]:
    await store.clear()
    await store.wire.shard(0).send(b"FUNCTION", b"LOAD", b"REPLACE", _EMPTY)
    began = time.monotonic()
    await _call(store, len(writes))
    between = time.monotonic()
    with profiled(sizes, "commit"):
        await play(store, writes, at_once=AT_ONCE)
    ended = time.monotonic()
    return len(writes) / (ended - between), len(writes) / (between - began)


async def _call(store: Store, times: int) -> None:
    left = iter(range(times))
    flush, key = store.wire.shard(0), store.keys.due[0]

    async def work() -> None:
        for _ in left:
            await flush.send(b"FCALL", b"bench_nothing", b"1", key)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())
