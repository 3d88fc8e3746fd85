"""Scans wait for their registration, unread bodies for a better adapter, control records for nobody."""

from __future__ import annotations

import asyncio

import pytest

from tracker.store import Store
from tracker.store.types import Conflict, Full

from .goods import creation, register


async def park(store: Store, waybill: str, item: bytes, limit: int = 50) -> str | None:
    return (await store.park("acme", waybill, item, now_ms=0, limit=limit, ttl_ms=60_000)).holder


async def test_a_registration_takes_the_parked_scans_along(store: Store) -> None:
    """One that did not see them all is a conflict; after it nothing is parked any more."""
    assert await park(store, "W1", b"one") is None
    assert await park(store, "W1", b"two") is None
    assert await store.parked("acme", "W1") == [b"one", b"two"]
    assert await store.parked("other", "W1") == []
    with pytest.raises(Conflict):
        await store.commit(creation(store, "acme", "W1", parked=1))
    write = creation(store, "acme", "W1", parked=2)
    await store.commit(write)
    assert await store.parked("acme", "W1") == []
    assert await park(store, "W1", b"three") == write.id


async def test_a_scan_that_races_its_registration_is_never_lost(store: Store) -> None:
    """Each scan is either merged by the registration or told the id that it belongs to."""

    async def scan(waybill: str, n: int) -> tuple[str, str | None]:
        return waybill, await park(store, waybill, b"scan %d" % n)

    async def registration(waybill: str) -> list[bytes]:
        while True:
            items = await store.parked("acme", waybill)
            try:
                await register(store, "acme", waybill, parked=len(items))
            except Conflict:
                continue
            return items

    waybills = [f"W{n}" for n in range(40)]
    async with asyncio.TaskGroup() as group:
        scans = [group.create_task(scan(waybill, n)) for waybill in waybills for n in range(5)]
        merged = {waybill: group.create_task(registration(waybill)) for waybill in waybills}
        scans += [group.create_task(scan(waybill, 9)) for waybill in waybills]
    told = [task.result() for task in scans]
    for waybill in waybills:
        parked = sum(1 for name, id in told if name == waybill and id is None)
        assert len(merged[waybill].result()) == parked
        assert await store.parked("acme", waybill) == []


async def test_only_the_latest_scans_stay_parked(store: Store) -> None:
    """The limit is a bound for a waybill that nobody ever registers."""
    for n in range(5):
        await park(store, "W1", b"%d" % n, limit=3)
    assert await store.parked("acme", "W1") == [b"2", b"3", b"4"]


def of_one_shard(store: Store, count: int) -> list[str]:
    """Waybills that are parked in the same shard."""
    home = store.keys.shard_of("acme", "P0")
    fit = (waybill for n in range(100 * store.shards) if store.keys.shard_of("acme", waybill := f"P{n}") == home)
    return [next(fit) for _ in range(count)]


async def test_where_the_parking_is_full_those_that_waited_longest_make_room(store: Store) -> None:
    """Those heard of again have not waited; how many scans made room is told, and another account loses nothing."""
    first, second, third, fourth = of_one_shard(store, 4)
    most = store.shards * 3 * 2_000  # each weighs 1,600 bytes and what a waybill costs: three fit, four do not

    async def scan(waybill: str, account: str = "acme") -> int:
        item = b"%-1600d" % 7
        done = await store.park(account, waybill, item, now_ms=0, limit=9, ttl_ms=60_000, most=most)
        await asyncio.sleep(0.002)  # another millisecond
        return done.made_room

    await scan(first, "other")
    assert [await scan(waybill) for waybill in (first, second, third, first)] == [0, 0, 0, 1]
    assert [len(await store.parked("acme", waybill)) for waybill in (first, second, third)] == [2, 0, 1]
    assert await scan(fourth) == 1
    assert [len(await store.parked("acme", waybill)) for waybill in (first, third, fourth)] == [2, 0, 1]
    assert len(await store.parked("other", first)) == 1


async def test_what_was_registered_or_has_expired_takes_no_room(store: Store) -> None:
    """The room is counted as the scans leave: after all of it nothing is left of the count either."""
    gone, registered, late = of_one_shard(store, 3)
    most = store.shards * 4_500

    async def scan(waybill: str, ttl_ms: int = 60_000) -> int:
        done = await store.park("acme", waybill, b"%-1600d" % 7, now_ms=0, limit=9, ttl_ms=ttl_ms, most=most)
        return done.made_room

    await scan(registered)
    await scan(registered)
    await register(store, "acme", registered, parked=2)
    assert await scan(gone, ttl_ms=1) == 0
    await asyncio.sleep(0.01)
    assert [await scan(late) for _ in range(2)] == [0, 0]
    await register(store, "acme", late, parked=2)
    shard = store.keys.shard_of("acme", late)
    for letter in (b"K", b"W"):
        assert await store._plain(shard, b"EXISTS", store.keys.of_account(shard, letter, "acme")) == 0


async def test_a_full_quarantine_takes_no_more_and_what_it_has_stays(store: Store) -> None:
    """Until something is released; another account has a room of its own."""
    ids = [await store.quarantine("acme", b"x" * 400, most=1_000) for _ in range(2)]
    with pytest.raises(Full, match="the quarantine of account acme is full"):
        await store.quarantine("acme", b"x" * 400, most=1_000)
    assert {id for id, _ in (await store.quarantined("acme"))[0]} == set(ids)
    await store.quarantine("other", b"x" * 400, most=1_000)
    await store.quarantine("acme", b"x" * 200, most=1_000)
    assert await store.quarantined_body("acme", ids[0]) == b"x" * 400
    assert await store.quarantined_body("other", ids[0]) is None
    assert await store.quarantined_body("acme", "qua_nonsense") is None
    await store.release("acme", ids[0])
    await store.quarantine("acme", b"x" * 400, most=1_000)


async def test_an_unread_body_is_kept_whole_until_it_is_released(store: Store) -> None:
    """Listed for its account only, latest first."""
    ids = [await store.quarantine("acme", b"body %d \xff\x00" % n) for n in range(5)]
    found, cursor = await store.quarantined("acme", limit=3)
    more, end = await store.quarantined("acme", cursor, limit=3)
    assert end is None
    assert dict(found + more) == {id: b"body %d \xff\x00" % n for n, id in enumerate(ids)}
    assert await store.quarantined("other") == ([], None)
    assert not await store.release("other", ids[0])
    assert await store.release("acme", ids[0])
    assert not await store.release("acme", ids[0])
    assert not await store.release("acme", "qua_nonsense")


async def test_records_are_read_whole_and_as_new_as_the_call(store: Store) -> None:
    """Every put and removal raises the kind's version."""
    assert await store.records_version("key") == 0
    assert await store.put_record("key", "acme", "k1", b"one", create=True)
    assert not await store.put_record("key", "acme", "k1", b"two", create=True)
    assert await store.get_record("key", "acme", "k1") == b"one"
    assert await store.put_record("key", "acme", "k1", b"two")
    assert await store.put_record("key", "other", "k1", b"three")
    assert await store.records("key") == {("acme", "k1"): b"two", ("other", "k1"): b"three"}
    assert await store.records("key", "acme") == {("acme", "k1"): b"two"}
    assert await store.records_version("key") == 3
    assert await store.remove_record("key", "acme", "k1")
    assert not await store.remove_record("key", "acme", "k1")
    assert await store.get_record("key", "acme", "k1") is None
    assert await store.records_version("key") == 4
