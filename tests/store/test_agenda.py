"""Due work is claimed by one worker at a time and settled only by the one that holds it."""

from __future__ import annotations

import asyncio

from tracker.store import Store

from .goods import creation, listening, next_write, register


async def test_due_shipments_are_claimed_once_and_not_before_their_hour(store: Store) -> None:
    """What is due in the far future is left alone."""
    due = {await register(store, "acme", f"W{n}", due=1000 + n) for n in range(50)}
    await register(store, "acme", "LATER", due=4_000_000_000_000)
    await register(store, "acme", "NEVER", due=None)
    first = await store.claim_due("c1", limit=30, lease_ms=60_000)
    second = await store.claim_due("c2", limit=30, lease_ms=60_000)
    assert len(first) == 30
    assert {item.id for item in first} | {item.id for item in second} == due
    assert len(first) + len(second) == 50


async def test_the_same_claim_gets_the_same_answer(store: Store) -> None:
    """A worker whose reply was lost asks again; what it settled meanwhile is not given again."""
    for n in range(10):
        await register(store, "acme", f"W{n}", due=1000)
    first = await store.claim_due("c1", limit=5, lease_ms=60_000)
    assert sorted(await store.claim_due("c1", limit=5, lease_ms=60_000), key=lambda item: item.id) == sorted(
        first, key=lambda item: item.id
    )
    await store.settle_due([(first[0], None)])
    again = await store.claim_due("c1", limit=5, lease_ms=60_000)
    assert {item.id for item in again} == {item.id for item in first[1:]}


async def test_a_lease_that_ran_out_is_fenced(store: Store) -> None:
    """The late worker's settle changes nothing; the new holder's does."""
    await register(store, "acme", "W1", due=1000)
    (late,) = await store.claim_due("late", limit=5, lease_ms=20)
    await asyncio.sleep(0.05)
    (now,) = await store.claim_due("now", limit=5, lease_ms=20)
    await store.settle_due([(late, None)])
    await asyncio.sleep(0.05)
    (again,) = await store.claim_due("again", limit=5, lease_ms=20)
    assert now.id == again.id
    await store.settle_due([(again, 4_000_000_000_000), (now, 1)])
    assert await store.claim_due("last", limit=5, lease_ms=20) == []


async def test_a_commit_replaces_the_entry_and_ends_the_claim(store: Store) -> None:
    """A push that arrives while a poll is out decides when the shipment is due next."""
    write = creation(store, "acme", "W1", due=1000)
    committed = await store.commit(write)
    (item,) = await store.claim_due("poll", limit=5, lease_ms=60_000)
    await store.commit(next_write(write, committed, due=2000))
    await store.settle_due([(item, None)])
    (again,) = await store.claim_due("next", limit=5, lease_ms=60_000)
    assert again.due == 2000


async def test_a_small_limit_starves_no_shard(store: Store) -> None:
    """Claims of one begin at another shard each time."""
    for n in range(20):
        await register(store, "acme", f"W{n}", due=1000)
    taken = [await store.claim_due(f"c{n}", limit=1, lease_ms=60_000) for n in range(20)]
    assert all(len(items) == 1 for items in taken)
    assert len({items[0].id for items in taken}) == 20


async def test_a_commit_wakes_those_who_wait(store: Store) -> None:
    """A task that calls wake in a loop hears of every shard that was written to, also between two calls."""
    await listening(store)
    await store.wake(0)
    id = await register(store, "acme", "W1")
    woken: set[int] = set()
    async with asyncio.timeout(60):
        while store.shard_of_id(id) not in woken:
            woken |= await store.wake(1)
    assert await store.wake(0.01) == frozenset()
