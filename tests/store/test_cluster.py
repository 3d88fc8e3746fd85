"""A cluster holds the same store; a primary that is away fails its own shards only."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tracker.errors import ConfigError
from tracker.store import Store, StoreSettings, open_store
from tracker.store.keys import CONTROL, SLOTS, Keys, slot_of
from tracker.store.records import META
from tracker.store.types import Conflict, StoreDown

from . import test_agenda, test_feed, test_lanes, test_parking, test_shipments, test_tips
from .clusters import Node, three_nodes
from .goods import creation, register

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three servers, joined."""
    with three_nodes(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
async def store(nodes: list[Node], tmp_path: Path) -> AsyncIterator[Store]:
    """The empty store of these tests."""
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    async with open_store(StoreSettings(directory=tmp_path, url=url), patience=1.0) as opened:
        await opened.clear()
        yield opened


def test_shards_spread_evenly_over_primaries() -> None:
    """Contiguous thirds of the slots hold 21 or 22 of 64 shards, quarters 16."""
    for primaries, counts in ((3, {21, 22}), (4, {16})):
        spread = Counter(slot * primaries // SLOTS for slot in Keys(64).slots)
        assert set(spread.values()) == counts


@pytest.mark.parametrize(
    "story",
    [
        test_shipments.test_a_committed_shipment_is_read_back_and_found_by_all_its_numbers,
        test_shipments.test_a_commit_of_an_old_version_changes_nothing,
        test_shipments.test_sixteen_writers_of_one_shipment_lose_nothing,
        test_shipments.test_indexes_follow_the_shipment,
        test_shipments.test_pages_are_newest_first_and_miss_nobody,
        test_shipments.test_a_deleted_shipment_is_gone_from_every_list,
        test_agenda.test_due_shipments_are_claimed_once_and_not_before_their_hour,
        test_agenda.test_the_same_claim_gets_the_same_answer,
        test_agenda.test_a_commit_wakes_those_who_wait,
        test_tips.test_a_commit_of_another_account_costs_a_waiting_reader_nothing,
        test_tips.test_thirty_two_readers_of_a_busy_account_cost_a_bounded_number_of_looks,
        test_tips.test_a_connection_that_answers_is_kept,
        test_tips.test_what_is_committed_while_nobody_hears_is_found_when_it_is_heard_again,
        test_feed.test_a_reader_that_follows_its_cursor_misses_nothing,
        test_feed.test_a_cursor_below_the_trimmed_is_too_old,
        test_feed.test_more_refs_than_one_call_carries_are_fanned_out_in_steps,
        test_lanes.test_a_retry_comes_back_at_its_time_with_the_same_bytes,
        test_lanes.test_a_hanging_destination_takes_no_more_than_its_slots,
        test_lanes.test_a_dead_letter_keeps_the_body_and_can_be_replayed,
        test_lanes.test_the_delivery_log_keeps_the_latest_attempts,
        test_parking.test_a_scan_that_races_its_registration_is_never_lost,
        test_parking.test_an_unread_body_is_kept_whole_until_it_is_released,
        test_parking.test_records_are_read_whole_and_as_new_as_the_call,
    ],
    ids=lambda story: story.__name__.removeprefix("test_"),
)
async def test_in_a_cluster_too(story: Callable[[Store], Awaitable[None]], store: Store) -> None:
    """What holds on one server holds on three."""
    await story(store)


async def test_a_publish_that_was_lost_in_a_cluster_is_made_up_for(store: Store) -> None:
    """Each primary is asked for its shards."""
    await test_tips.test_a_publish_that_was_lost_is_made_up_for(store, (0.5, 60.0))


async def test_a_deleted_account_is_swept_from_every_primary(store: Store) -> None:
    """Nothing of it stays but tombstones and thin feed entries."""
    for n in range(30):
        await register(store, "acme", f"W{n}")
    await store.park("acme", "later", b"scan", now_ms=0, limit=5, ttl_ms=60_000)
    await store.drop_account("acme")
    for primary in store.wire.primaries():
        assert [key for key in await primary.send(b"KEYS", b"*") if b"acme" in key] == []


async def move_slot(nodes: list[Node], slot: int, target: Node) -> None:
    """Give a slot to another primary, with the keys in it."""
    names = {node: (await node.ask("CLUSTER", "MYID")).decode() for node in nodes}
    for node in nodes:
        keys = await node.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        if keys and node is not target:
            await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[node])
            await node.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
            await node.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, *nodes):
        await node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[target])


async def test_a_slot_that_moves_is_followed(store: Store, nodes: list[Node]) -> None:
    """The first call after it fails, and refreshes the map; the next ones go to the new primary."""
    shard = next(shard for shard, slot in enumerate(store.keys.slots) if slot < SLOTS // 3)
    key = store.keys.document(shard, b"000000")
    for target in (nodes[1], nodes[0]):
        await move_slot(nodes, store.keys.slots[shard], target)
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await store._plain(shard, b"GET", key) is None
                    break
                except StoreDown:
                    await asyncio.sleep(0.05)


async def test_commits_in_a_slot_that_moved_are_heard_where_it_is_now(store: Store, nodes: list[Node]) -> None:
    """The old primary takes its channels back, so that they are subscribed to at the new one."""
    writes = [creation(store, "acme", f"W{n}") for n in range(30)]
    write = next(one for one in writes if store.keys.slots[store.shard_of_id(one.id)] < SLOTS // 3)
    slot = store.keys.slots[store.shard_of_id(write.id)]
    with test_tips.net(60):
        async with test_tips.waiting(store, "acme") as [reader]:
            await move_slot(nodes, slot, nodes[1])
            try:
                async with asyncio.timeout(30):
                    while not reader.seen:
                        with contextlib.suppress(StoreDown, Conflict):
                            await store.commit(write)
                        await asyncio.sleep(0.05)
            finally:
                await store.clear()
                await move_slot(nodes, slot, nodes[0])


async def test_a_primary_that_is_away_fails_its_own_shards_only(store: Store, nodes: list[Node]) -> None:
    """The others go on; when it is back, so are its shards, with what they had acknowledged."""
    away = nodes[2]
    ids = [await register(store, "acme", f"W{n}") for n in range(60)]
    slots = store.keys.slots
    on_away = [id for id in ids if slots[store.shard_of_id(id)] >= 2 * SLOTS // 3]
    others = [id for id in ids if id not in on_away]
    away.kill()
    assert all(await store.read(others))
    with pytest.raises(StoreDown):
        await store.read(on_away[:1])
    assert all(await store.read(others))
    away.start()
    async with asyncio.timeout(60):
        while True:
            try:
                assert all(await store.read(ids))
                break
            except StoreDown:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("control", [True, False], ids=["with the control records", "without them"])
async def test_one_primary_that_was_emptied_fails_its_own_shards_until_it_is_restored(
    store: Store, nodes: list[Node], tmp_path: Path, control: bool
) -> None:
    """Nothing is written there that would look like a new beginning; and a store in that state is not opened."""
    third = slot_of(CONTROL) * 3 // SLOTS if control else (slot_of(CONTROL) * 3 // SLOTS + 1) % 3
    ids = [await register(store, "acme", f"W{n}") for n in range(60)]
    emptied = [shard for shard, slot in enumerate(store.keys.slots) if slot * 3 // SLOTS == third]
    gone = [id for id in ids if store.shard_of_id(id) in emptied]
    meta = await store.wire.control().send(b"HGETALL", META)
    await nodes[third].ask("FLUSHALL")
    with pytest.raises(StoreDown, match="it was emptied"):
        await store.read(gone[:1])
    new = [creation(store, "acme", f"N{n}") for n in range(60)]
    with pytest.raises(StoreDown, match="it was emptied"):
        await store.commit(next(write for write in new if store.shard_of_id(write.id) in emptied))
    assert all(await store.read([id for id in ids if id not in gone]))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"gone; one of its servers was emptied|and its shards are not; one"):
            async with open_store(StoreSettings(directory=tmp_path, url=store.url)):
                pass
    if control:
        await nodes[third].ask("DEL", META)
        await nodes[third].ask("HSET", META, *meta)
    for shard in emptied:
        await nodes[third].ask("SET", store.keys.id[shard], store.id)
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(StoreDown):
                assert await store.read(gone[:1]) == [None]
                break
            await asyncio.sleep(0.05)
