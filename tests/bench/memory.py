"""Memory: what an open shipment with eight events costs the store, and what its changes cost beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.bench.figures import Figure, Mark, Sizes, at_most, figure
from tests.bench.journeys import EVENTS, SIMULATED, text_of
from tests.bench.processes import workspace
from tests.bench.tape import play, recorded
from tracker.store import Store, StoreSettings, open_store


async def memory(sizes: Sizes) -> AsyncIterator[Figure]:
    """Bytes a shipment: eight commits, everything fanned out to nobody; then the feed trimmed away."""
    count = sizes.remembered
    writes = await recorded(range(count))
    with workspace() as directory:
        async with open_store(StoreSettings(directory=directory)) as store:
            empty = await _used(store)
            bodies = 0.0
            for start in range(0, len(writes), count):
                await play(store, writes[start : start + count])
                held = await _used(store)
                await _fan_out(store)  # as in life: bodies go soon after they came, and RSS does not keep their peak
                bodies = max(bodies, (held[0] - (await _used(store))[0]) / count)
            with_feed = await _used(store)
            while await store.trim_feed(keep_ms=0, keep_entries=0):
                pass
            alone = await _used(store)
    each = [(after - before) / count for after, before in zip(alone, empty, strict=True)]
    document = sum(len(write.document) for write in writes[-count:]) / count
    texts = sum(len(text_of(step, 1).encode()) for step in SIMULATED)
    name = f"memory: an open shipment, {EVENTS} events, {texts} bytes of text"
    yield figure(name, [each[0]], "bytes", ceiling=[document], ceiling_is="its document alone", marks=_two_kib)
    yield figure("memory: the same, RSS", [each[1]], "bytes")
    yield figure("memory: feed entries of its 9 changes", [(with_feed[0] - alone[0]) / count], "bytes")
    yield figure("memory: a frozen body until it is delivered, the largest", [bodies], "bytes")


def _two_kib(value: float, share: float) -> tuple[Mark, ...]:
    return (at_most(2_048, value, "2 KiB"),)


async def _used(store: Store) -> tuple[int, int]:
    stats = await store.stats()
    return stats.used_memory, stats.rss


async def _fan_out(store: Store) -> None:
    for shard in range(store.shards):
        while True:
            cursor, entries = await store.unfanned(shard)
            if not entries:
                break
            await store.fan_out(shard, cursor, entries[-1].position, [])
