"""The feed has no gap for its account, is fanned out once, and says so where it was trimmed."""

from __future__ import annotations

import asyncio
import time

import pytest

from tracker.store import Store
from tracker.store.cursors import pack_cursor, unpack_cursor
from tracker.store.keys import encode_cursor
from tracker.store.types import CursorTooOld, FeedEntry, LaneRef, NewChange

from .goods import creation, fan_out_all, next_write, register


async def follow(store: Store, account: str, cursor: str | None, limit: int = 7) -> tuple[list[FeedEntry], str]:
    """Everything of the account after the cursor, and the cursor behind it."""
    entries: list[FeedEntry] = []
    while True:
        page = await store.changes(account, cursor, limit)
        entries += page.entries
        cursor = page.cursor
        if not page.more:
            return entries, cursor


async def test_a_reader_that_follows_its_cursor_misses_nothing(store: Store) -> None:
    """Writers of two accounts race with the reader; each shipment's revisions come in order, once."""
    wanted = 40

    async def write(account: str, waybill: str) -> None:
        write = creation(store, account, waybill)
        committed = await store.commit(write)
        for _ in range(4):
            write = next_write(write, committed)
            committed = await store.commit(write)

    async def read() -> list[FeedEntry]:
        entries: list[FeedEntry] = []
        cursor = None
        async with asyncio.timeout(60):
            while len(entries) < 5 * wanted:
                more, cursor = await follow(store, "acme", cursor)
                entries += more
        return entries

    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read())
        for n in range(wanted):
            group.create_task(write("acme", f"W{n}"))
            group.create_task(write("other", f"W{n}"))
    revisions: dict[str, list[int]] = {}
    for entry in reader.result():
        assert entry.account == "acme"
        revisions.setdefault(entry.id, []).append(entry.revision)
    assert len(revisions) == wanted
    assert all(seen == [1, 2, 3, 4, 5] for seen in revisions.values())


async def test_the_head_is_after_everything_that_was_committed(store: Store) -> None:
    """From it only what comes later is read."""
    await register(store, "acme", "W1")
    cursor = await store.head()
    assert (await store.changes("acme", cursor)).entries == ()
    id = await register(store, "acme", "W2")
    assert [entry.id for entry in (await store.changes("acme", cursor)).entries] == [id]


async def test_a_cursor_below_the_trimmed_is_too_old(store: Store) -> None:
    """Only for the account that lost entries by it, and not for one that had read them."""
    before = await store.head()
    for n in range(30):
        await register(store, "acme", f"W{n}")
    _, read = await follow(store, "acme", None)
    assert await store.trim_feed(keep_ms=0, keep_entries=0) == 0, "nothing is fanned out yet"
    await fan_out_all(store)
    assert await store.trim_feed(keep_ms=3_600_000, keep_entries=10_000) == 0
    assert await store.trim_feed(keep_ms=0, keep_entries=0) == 30
    with pytest.raises(CursorTooOld):
        await store.changes("acme", before)
    assert await follow(store, "acme", read) == ([], read)
    assert (await store.changes("other", before)).entries == ()
    assert (await store.changes("acme", None)).entries == ()
    id = await register(store, "acme", "W99")
    assert [entry.id for entry in (await follow(store, "acme", read))[0]] == [id]


async def test_a_reader_from_the_beginning_hears_of_a_trim_between_its_pages(store: Store) -> None:
    """Shards that its first page did not reach count from where they began then."""
    for n in range(100):
        await register(store, "acme", f"W{n}")
    page = await store.changes("acme", None, limit=3)
    await fan_out_all(store)
    await store.trim_feed(keep_ms=0, keep_entries=0)
    with pytest.raises(CursorTooOld):
        await store.changes("acme", page.cursor)


async def test_trimming_by_count_keeps_the_latest(store: Store) -> None:
    """The share of a shard is what all may keep, divided."""
    write = creation(store, "acme", "W1")
    committed = await store.commit(write)
    for _ in range(9):
        write = next_write(write, committed)
        committed = await store.commit(write)
    await fan_out_all(store)
    assert await store.trim_feed(keep_ms=3_600_000, keep_entries=4 * store.shards) == 6
    assert [entry.revision for entry in (await store.changes("acme", None)).entries] == [7, 8, 9, 10]


async def test_a_cursor_of_another_epoch_or_store_is_refused(store: Store) -> None:
    """A failover may have lost what the reader saw; a cursor of nothing of ours is bad input."""
    epoch, positions = unpack_cursor(await store.head())
    assert pack_cursor(epoch, positions) == await store.head()
    with pytest.raises(CursorTooOld):
        await store.changes("acme", pack_cursor(epoch + 1, positions))
    with pytest.raises(CursorTooOld):
        await store.changes("acme", pack_cursor(epoch, [(4_000_000_000_000, 0)] * store.shards))
    for bad in ("", "AAAA", "%%%", "AQ", pack_cursor(epoch, positions[:3])):
        with pytest.raises(ValueError, match="cursor"):
            await store.changes("acme", bad)


async def test_a_cursor_that_somebody_made_up_costs_next_to_nothing(store: Store) -> None:
    """A number without end, more shards than any store has, a place that no feed reaches: none is a cursor of ours."""
    endless = encode_cursor(b"\x01" + b"\xff" * 36_000)
    crowded = encode_cursor(b"\x01\x01" + b"\xff\x7f" + b"\x00" + b"\x02\x00" * 16_383)
    beyond = pack_cursor(store.epoch, [(1 << 50, 0)] * store.shards)
    began = time.process_time()
    for forged in (endless, crowded, beyond):
        with pytest.raises(ValueError, match="cursor"):
            await store.changes("acme", forged)
    assert time.process_time() - began < 0.05


async def test_two_workers_that_fan_out_the_same_entries_fill_the_lanes_once(store: Store) -> None:
    """The second finds the cursor advanced and changes nothing."""
    id = await register(store, "acme", "W1")
    shard = store.shard_of_id(id)
    cursor, (entry,) = await store.unfanned(shard)
    refs = [LaneRef("sub_1", "acme", id, 1, "registered")]
    outcomes = await asyncio.gather(*[store.fan_out(shard, cursor, entry.position, refs) for _ in range(4)])
    assert sorted(one.moved for one in outcomes) == [False, False, False, True]
    assert await store.unfanned(shard) == (entry.position, [])
    deliveries = await store.claim_lanes("c1", free={}, default_free=9, limit=9, lease_ms=1000)
    assert [delivery.body for delivery in deliveries] == [b"W1 was registered"]


async def test_more_refs_than_one_call_carries_are_fanned_out_in_steps(store: Store) -> None:
    """Three thousand refs of twenty changes of one shipment arrive in order."""
    changes = tuple(NewChange("in_transit", b"%d" % n) for n in range(20))
    id = await register(store, "acme", "W1", changes=changes)
    shard = store.shard_of_id(id)
    cursor, entries = await store.unfanned(shard)
    destinations = [f"sub_{n}" for n in range(150)]
    refs = [LaneRef(name, "acme", id, entry.revision, entry.kind) for entry in entries for name in destinations]
    assert (await store.fan_out(shard, cursor, entries[-1].position, refs)).moved
    deliveries = await store.claim_lanes("c1", free={}, default_free=9, limit=500, lease_ms=1000)
    assert {(delivery.destination, delivery.revision) for delivery in deliveries} == {
        (name, 1) for name in destinations
    }


async def test_a_change_that_nobody_wants_leaves_no_body(store: Store) -> None:
    """The frozen bodies go with the last lane that needs them, at once where there is none."""
    await register(store, "acme", "W1")
    await register(store, "acme", "W2")
    await fan_out_all(store)
    assert not any(await store._everywhere(lambda shard: store._plain(shard, b"EXISTS", store.keys.bodies[shard])))
