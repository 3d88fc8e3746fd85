"""Lanes keep a shipment's order, share the slots between destinations and lose nothing to a crash."""

from __future__ import annotations

import asyncio
import time

from tracker.store import Store
from tracker.store.types import Claim, Delivery, Fanned, LaneRef, NewChange, Outcome, Settlement

from .goods import creation, fan_out_all, next_write, register


async def claim(store: Store, name: str, lease_ms: int = 60_000, free: dict[str, int] | None = None) -> list[Delivery]:
    """A claim of plenty."""
    return await store.claim_lanes(name, free=free or {}, default_free=100, limit=500, lease_ms=lease_ms)


def done(delivery: Delivery) -> Settlement:
    return Settlement(delivery=delivery, outcome=Outcome.DONE)


async def bodies_left(store: Store) -> int:
    return sum(await store._everywhere(lambda shard: store._plain(shard, b"HLEN", store.keys.bodies[shard])))


async def test_a_lane_gives_its_changes_one_by_one_in_order(store: Store) -> None:
    """The next is out only after the one before has settled, and each body goes with its last lane."""
    write = creation(store, "acme", "W1")
    committed = await store.commit(write)
    await store.commit(next_write(write, committed))
    await fan_out_all(store, "sub_1", "sub_2")
    seen = []
    for turn in range(2):
        deliveries = await claim(store, f"c{turn}")
        assert len(deliveries) == 2
        assert await claim(store, f"other{turn}") == []
        seen += [(delivery.destination, delivery.revision, delivery.attempt) for delivery in deliveries]
        await store.settle_lanes([done(delivery) for delivery in deliveries])
    assert sorted(seen) == [("sub_1", 1, 1), ("sub_1", 2, 1), ("sub_2", 1, 1), ("sub_2", 2, 1)]
    assert await store.lanes("sub_1") == 0
    assert await bodies_left(store) == 0
    assert await claim(store, "end") == []


async def test_a_retry_comes_back_at_its_time_with_the_same_bytes(store: Store) -> None:
    """Attempts count up; a later change of the shipment waits behind it."""
    write = creation(store, "acme", "W1")
    committed = await store.commit(write)
    await fan_out_all(store, "sub_1")
    (first,) = await claim(store, "c1")
    await store.commit(next_write(write, committed))
    await fan_out_all(store, "sub_1")
    await store.settle_lanes([Settlement(delivery=first, outcome=Outcome.RETRY, retry_at=4_000_000_000_000)])
    assert await claim(store, "c2") == []
    await store.settle_lanes([Settlement(delivery=first, outcome=Outcome.RETRY, retry_at=1)])
    assert await claim(store, "c3") == [], "the first settle ended the claim"


async def test_an_attempt_whose_worker_died_is_made_again(store: Store) -> None:
    """After the lease the next worker gets it; the dead one's late settle changes nothing."""
    await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1")
    (dead,) = await claim(store, "dead", lease_ms=20)
    await asyncio.sleep(0.05)
    (alive,) = await claim(store, "alive")
    assert (alive.body, alive.attempt) == (dead.body, 2)
    await store.settle_lanes([done(dead)])
    assert await store.lanes("sub_1") == 1
    await store.settle_lanes([done(alive), done(alive)])
    assert await store.lanes("sub_1") == 0


async def test_the_same_claim_gets_the_same_deliveries(store: Store) -> None:
    """Less what was settled meanwhile."""
    for n in range(6):
        await register(store, "acme", f"W{n}")
    await fan_out_all(store, "sub_1")
    first = await store.claim_lanes("c1", free={"sub_1": 4}, default_free=9, limit=9, lease_ms=60_000)
    again = await store.claim_lanes("c1", free={"sub_1": 0}, default_free=9, limit=9, lease_ms=60_000)
    assert len(first) == 4
    assert sorted(first, key=lambda one: one.id) == sorted(again, key=lambda one: one.id)
    await store.settle_lanes([done(first[0])])
    third = await store.claim_lanes("c1", free={"sub_1": 0}, default_free=9, limit=9, lease_ms=60_000)
    assert {one.id for one in third} == {one.id for one in first[1:]}


async def test_lanes_are_claimed_as_they_are_filled(store: Store) -> None:
    """As far as the quota goes; the same claim gets the same answer again, and the second change waits."""
    write = creation(store, "acme", "W1", changes=(NewChange("registered", b"1"), NewChange("in_transit", b"2")))
    await store.commit(write)
    fanned = await fan_out(store, write.id, {"sub_1": 5, "sub_2": 0})
    assert [(one.destination, one.revision, one.attempt, one.body) for one in fanned.claimed] == [("sub_1", 1, 1, b"1")]
    assert await store.claimed_lanes(store.shard_of_id(write.id), "now") == fanned.claimed
    assert [one.destination for one in await claim(store, "c1")] == ["sub_2"]
    await store.settle_lanes([done(one) for one in fanned.claimed])
    assert [(one.destination, one.body) for one in await claim(store, "c2")] == [("sub_1", b"2")]


async def test_a_new_change_is_not_claimed_before_those_that_wait(store: Store) -> None:
    """Of the same shard and destination; what is claimed comes back when its lease has run out."""
    first, second = creation(store, "acme", "W1"), creation(store, "acme", "W2")
    while store.shard_of_id(second.id) != store.shard_of_id(first.id):
        second = creation(store, "acme", f"W{time.monotonic_ns()}")
    await store.commit(first)
    await fan_out(store, first.id, {})
    await store.commit(second)
    assert (await fan_out(store, second.id, {"sub_1": 5})).claimed == []
    assert len(await claim(store, "c1")) == 4
    third = creation(store, "acme", "W3")
    await store.commit(third)
    dead = await fan_out(store, third.id, {"sub_1": 5}, lease_ms=20)
    await asyncio.sleep(0.05)
    (alive,) = [one for one in await claim(store, "c2") if one.destination == "sub_1"]
    assert (alive.body, alive.attempt) == (dead.claimed[0].body, 2)


async def fan_out(store: Store, id: str, free: dict[str, int], lease_ms: int = 60_000) -> Fanned:
    """The changes of a shipment into the lanes of two destinations, claimed as far as `free` says."""
    shard = store.shard_of_id(id)
    cursor, entries = await store.unfanned(shard)
    refs = [
        LaneRef(name, one.account, one.id, one.revision, one.kind) for one in entries for name in ("sub_1", "sub_2")
    ]
    wish = Claim(id="now", lease_ms=lease_ms, free=free) if free else None
    return await store.fan_out(shard, cursor, entries[-1].position, refs, wish)


async def test_a_hanging_destination_takes_no_more_than_its_slots(store: Store) -> None:
    """However much waits for it, the healthy one beside it is served in full."""
    for n in range(100):
        await register(store, "acme", f"W{n}")
    await fan_out_all(store, "hanging")
    await fan_out_all(store, "healthy")
    for n in range(100):
        await register(store, "other", f"W{n}")
    await fan_out_all(store, "healthy")
    out = await store.claim_lanes("c1", free={}, default_free=5, limit=50, lease_ms=60_000)
    assert sorted(delivery.destination for delivery in out) == ["hanging"] * 5 + ["healthy"] * 5
    served = 5
    while served < 100:
        free = {"hanging": 0, "healthy": 40}
        more = await store.claim_lanes(f"c{served}", free=free, default_free=5, limit=50, lease_ms=60_000)
        assert {delivery.destination for delivery in more} == {"healthy"}
        served += len(more)
    assert await store.lanes("hanging") == 100


async def test_a_dead_letter_keeps_the_body_and_can_be_replayed(store: Store) -> None:
    """It goes back into its lane under the same revision, before later ones that wait there."""
    write = creation(store, "acme", "W1")
    committed = await store.commit(write)
    await fan_out_all(store, "sub_1")
    (delivery,) = await claim(store, "c1")
    death = Settlement(delivery=delivery, outcome=Outcome.DEAD, detail="410 Gone", log=b"attempt 1")
    await store.settle_lanes([death])
    assert await bodies_left(store) == 0
    ((letter,), cursor) = await store.dead_letters("acme")
    assert cursor is None
    assert (letter.destination, letter.shipment, letter.revision, letter.attempts) == ("sub_1", write.id, 1, 1)
    assert (letter.detail, letter.body, letter.kind) == ("410 Gone", b"W1 was registered", "registered")
    assert await store.dead_letters("other") == ([], None)
    assert await store.dead_letters("acme", destination="sub_2") == ([], None)
    assert await store.replay_dead("other", [letter.id]) == 0
    await store.commit(next_write(write, committed))
    await fan_out_all(store, "sub_1")
    assert await store.replay_dead("acme", [letter.id, "dl_nonsense"]) == 1
    assert await store.dead_letters("acme", destination="sub_1") == ([], None)
    (first,) = await claim(store, "c2")
    assert (first.revision, first.body, first.attempt) == (1, b"W1 was registered", 1)
    await store.settle_lanes([done(first)])
    (second,) = await claim(store, "c3")
    assert second.revision == 2
    await store.settle_lanes([done(second)])
    assert await bodies_left(store) == 0


async def test_dead_letters_are_listed_latest_first_page_by_page(store: Store) -> None:
    """Of one destination or of all."""
    for n in range(15):
        await register(store, "acme", f"W{n}")
    await fan_out_all(store, "sub_1", "sub_2")
    deliveries = await claim(store, "c1")
    await store.settle_lanes([Settlement(delivery=one, outcome=Outcome.DEAD) for one in deliveries])
    seen = []
    cursor = None
    while True:
        letters, cursor = await store.dead_letters("acme", destination="sub_1", cursor=cursor, limit=4)
        seen += letters
        if cursor is None:
            break
    assert len({letter.id for letter in seen}) == 15
    assert {letter.destination for letter in seen} == {"sub_1"}
    assert [letter.died_at for letter in seen] == sorted((letter.died_at for letter in seen), reverse=True)


async def test_the_delivery_log_keeps_the_latest_attempts(store: Store) -> None:
    """Newest first, two hundred of them."""
    write = creation(store, "acme", "W1")
    await store.commit(write)
    await fan_out_all(store, "sub_1")
    for n in range(210):
        (delivery,) = await claim(store, f"c{n}")
        retry = Settlement(delivery=delivery, outcome=Outcome.RETRY, retry_at=1, log=b"attempt %d" % (n + 1))
        await store.settle_lanes([retry])
    assert await store.delivery_log("acme", "sub_1", 2) == [b"attempt 210", b"attempt 209"]
    assert len(await store.delivery_log("acme", "sub_1", 1000)) == 200
    assert await store.delivery_log("other", "sub_1") == []


async def test_a_dropped_destination_gets_nothing_more(store: Store) -> None:
    """Its lanes, letters and log go; what is out settles as discarded; what fan-out still brings is left out."""
    for n in range(20):
        await register(store, "acme", f"W{n}")
    await fan_out_all(store, "sub_1", "sub_2")
    out = await store.claim_lanes("c1", free={"sub_2": 0}, default_free=3, limit=3, lease_ms=60_000)
    await store.settle_lanes([Settlement(delivery=out[0], outcome=Outcome.DEAD, log=b"attempt")])
    await store.drop_destination("acme", "sub_1")
    await store.settle_lanes([Settlement(delivery=out[1], outcome=Outcome.RETRY, retry_at=1, log=b"attempt")])
    id = await register(store, "acme", "LATE")
    await fan_out_all(store, "sub_1")
    assert id
    assert await store.lanes("sub_1") == 0
    assert await store.dead_letters("acme") == ([], None)
    assert await store.delivery_log("acme", "sub_1") == []
    others = await claim(store, "c2")
    assert {delivery.destination for delivery in others} == {"sub_2"}
    assert len(others) == 20
    await store.settle_lanes([done(delivery) for delivery in others])
    assert await bodies_left(store) == 0


async def test_a_ref_to_no_change_is_left_out(store: Store) -> None:
    """A lane never holds a change whose body does not exist."""
    id = await register(store, "acme", "W1")
    shard = store.shard_of_id(id)
    cursor, (entry,) = await store.unfanned(shard)
    refs = [LaneRef("sub_1", "acme", id, 9, "delivered")]
    assert (await store.fan_out(shard, cursor, entry.position, refs)).moved
    assert await store.lanes("sub_1") == 0
