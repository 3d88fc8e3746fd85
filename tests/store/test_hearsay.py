"""Fan-out goes by what it is told of commits, and by what it reads where it was not told all."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from tracker.feeds import Audience, FanOut
from tracker.store import Store
from tracker.store.cursors import Position, pack_position
from tracker.store.hearsay import KEPT, Hearsay, unpacked
from tracker.store.types import FeedEntry, LaneRef, NewChange, Outcome, Settlement

from .goods import creation, indexed, listening, next_write, reads, register


async def told(store: Store, shard: int, count: int) -> tuple[str, list[FeedEntry]]:
    """What was heard of the shard, once it is so many entries."""
    async with asyncio.timeout(60):
        while len((known := store.heard(shard) or ("", []))[1]) < count:
            await asyncio.sleep(0.001)
    return known


def refs_of(entries: list[FeedEntry]) -> list[LaneRef]:
    return [LaneRef("sub_1", one.account, one.id, one.revision, one.kind) for one in entries]


async def test_what_is_heard_is_what_would_be_read(store: Store) -> None:
    """Kinds with a letter and without one, with an order and without."""
    await listening(store)
    write = creation(store, "acme", "W1", after=indexed(order_number="O1"))
    shard = store.shard_of_id(write.id)
    await store.unfanned(shard)
    committed = await store.commit(write)
    kinds = (NewChange("in_transit", b"1"), NewChange("of_a_kind_to_come", b"2"), NewChange("stalled", b"3"))
    committed = await store.commit(next_write(write, committed, changes=kinds))
    await store.delete("acme", write.id, committed.version, write.after, ("W1",), NewChange("deleted", b"4"))
    heard = await told(store, shard, 5)
    assert heard == await store.unfanned(shard)
    assert [one.revision for one in heard[1]] == [1, 2, 3, 4, 5]


async def test_a_commit_that_was_heard_is_fanned_out_without_a_read(store: Store) -> None:
    await listening(store)
    fan_out = FanOut(store, Audience(store, {}), _no_labels)
    await fan_out.turn()
    for n in range(3):
        id = await register(store, "acme", f"W{n}", after=indexed(order_number="O1"))
        shard = store.shard_of_id(id)
        _, entries = await told(store, shard, 1)
        before = await reads(store)
        assert await fan_out.turn(frozenset({shard})) == frozenset()
        assert await reads(store) == before
        assert store.heard(shard) == (entries[-1].position, [])
    assert await store.lanes("orders:acme") == 3


async def _no_labels(ids: object) -> list[None]:
    raise AssertionError("nobody filters")


async def test_where_something_went_by_unheard_nothing_is_fanned_out_until_it_is_read(store: Store) -> None:
    """Whatever is not in the lanes by then would never be."""
    await listening(store)
    write = creation(store, "acme", "W1")
    shard = store.shard_of_id(write.id)
    cursor, _ = await store.unfanned(shard)
    committed = await store.commit(write)
    _, (lost,) = await told(store, shard, 1)
    await store.commit(next_write(write, committed))
    _, (_, known) = await told(store, shard, 2)
    assert not (await store.fan_out(shard, cursor, known.position, refs_of([known]), heard=[known])).moved
    assert store.heard(shard) is None
    cursor, entries = await store.unfanned(shard)
    assert entries == [lost, known]
    assert (await store.fan_out(shard, cursor, known.position, refs_of(entries))).moved
    assert await store.lanes("sub_1") == 1


async def test_more_refs_than_one_call_carries_are_heard_in_full_too(store: Store) -> None:
    await listening(store)
    write = creation(store, "acme", "W1", changes=tuple(NewChange("in_transit", b"%d" % n) for n in range(300)))
    shard = store.shard_of_id(write.id)
    await store.unfanned(shard)
    await store.commit(write)
    cursor, entries = await told(store, shard, 300)
    refs = [LaneRef(f"sub_{n}", one.account, one.id, one.revision, one.kind) for one in entries for n in range(4)]
    assert (await store.fan_out(shard, cursor, entries[-1].position, refs, heard=entries)).moved
    assert [await store.lanes(f"sub_{n}") for n in range(4)] == [1] * 4
    assert (await store.unfanned(shard))[1] == []


async def test_whatever_is_lost_on_the_way_every_change_is_fanned_out_once(store: Store) -> None:
    """By two workers that hear half of it each, of commits that come one upon the other."""
    chance = random.Random(7)

    def deaf(shard: int, entries: bytes) -> None:
        if chance.random() < 0.5:
            hear(shard, entries)

    hear = store.hearsay.told
    store.hearsay.told = deaf  # type: ignore[method-assign]
    workers = [asyncio.create_task(FanOut(store, Audience(store, {}), _no_labels).run()) for _ in range(2)]
    await asyncio.gather(*(_life(store, n) for n in range(30)))
    out: list[tuple[str, int]] = []
    async with asyncio.timeout(60):
        while len(out) < 30 * 5:
            found = await store.claim_lanes(f"c{len(out)}", free={}, default_free=99, limit=99, lease_ms=60_000)
            out += [(one.id, one.revision) for one in found]
            await store.settle_lanes([Settlement(delivery=one, outcome=Outcome.DONE) for one in found])
            await asyncio.sleep(0.01)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert len(set(out)) == len(out)
    assert all([revision for id, revision in out if id == one] == [1, 2, 3, 4, 5] for one, _ in out)


async def _life(store: Store, n: int) -> None:
    write = creation(store, "acme", f"W{n}", after=indexed(order_number="O1"))
    committed = await store.commit(write)
    for _ in range(4):
        write = next_write(write, committed)
        committed = await store.commit(write)


async def test_a_backlog_of_more_than_a_page_is_read_to_its_end(store: Store) -> None:
    """Nobody told of what was committed before anybody listened."""
    write = creation(store, "acme", "W1", changes=tuple(NewChange("in_transit", b"%d" % n) for n in range(7)))
    await store.commit(write)
    shard = store.shard_of_id(write.id)
    for _ in range(2):
        cursor, entries = await store.unfanned(shard, 3)
        assert (await store.fan_out(shard, cursor, entries[-1].position, refs_of(entries))).moved
        assert store.heard(shard) is None
    assert len((await store.unfanned(shard, 3))[1]) == 1
    assert store.heard(shard) is not None


# ---------------------------------------------------------------- what is kept

ENTRIES = st.lists(st.tuples(st.integers(0, 2**47), st.integers(0, 2**31)), unique=True, max_size=9).map(sorted)


def stream_id(position: Position) -> str:
    return f"{position[0]}-{position[1]}"


def message(*positions: Position) -> bytes:
    """As a commit publishes it."""
    change = b"\1\2\3\4\5\6" + (7).to_bytes(4, "big") + b"t"
    return b"acme\0" + b"".join(pack_position(one) + bytes([len(change)]) + change for one in positions)


@given(positions=ENTRIES)
def test_a_message_gives_its_account_and_entries_back(positions: list[Position]) -> None:
    account, entries = unpacked(message(*positions))
    assert account == "acme"
    assert [position for position, _ in entries] == positions


@given(positions=ENTRIES, fanned=st.integers(0, 9))
def test_what_is_fanned_out_already_is_not_heard_of_again(positions: list[Position], fanned: int) -> None:
    """Whether the message came before the cursor moved past it or after."""
    cursor = positions[fanned] if fanned < len(positions) else (2**47, 2**32)
    early, late = Hearsay(1), Hearsay(1)
    early.read(0, "0-0", early.reading(0))
    early.told(0, message(*positions))
    early.moved(0, stream_id(cursor))
    late.read(0, stream_id(cursor), late.reading(0))
    late.told(0, message(*positions))
    assert early.unfanned(0) == late.unfanned(0)
    known = late.unfanned(0)
    assert known and [one.position for one in known[1]] == [stream_id(one) for one in positions if one > cursor]


def test_what_is_heard_before_a_read_that_missed_it_is_answered_is_kept() -> None:
    """It comes over another connection than the answer."""
    hearsay = Hearsay(1)
    reading = hearsay.reading(0)
    hearsay.told(0, message((1, 0)))
    hearsay.read(0, "0-0", reading)
    known = hearsay.unfanned(0)
    assert known and [one.position for one in known[1]] == ["1-0"]


def test_a_read_is_no_ground_to_stand_on_where_something_may_have_gone_by_meanwhile() -> None:
    hearsay = Hearsay(1)
    reading = hearsay.reading(0)
    hearsay.forget(0)
    hearsay.read(0, "0-0", reading)
    assert hearsay.unfanned(0) is None


def test_one_who_does_not_fan_out_keeps_nothing() -> None:
    hearsay = Hearsay(1)
    hearsay.told(0, message((1, 0)))
    assert hearsay.unfanned(0) is None


def test_one_who_hears_and_never_fans_out_keeps_no_more_than_a_page() -> None:
    hearsay = Hearsay(1)
    hearsay.read(0, "0-0", hearsay.reading(0))
    hearsay.told(0, message(*[(n, 0) for n in range(1, KEPT + 1)]))
    assert len((hearsay.unfanned(0) or ("", []))[1]) == KEPT
    hearsay.told(0, message((KEPT + 1, 0)))
    assert hearsay.unfanned(0) is None
