"""Every call of the store, as something that can be done again and again: what it needs first, and the call itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec import Struct

from tracker.store import Store
from tracker.store.sightings import EVERYBODY
from tracker.store.types import (
    Claim,
    Conflict,
    Delivery,
    LaneRef,
    Letter,
    NewChange,
    Outcome,
    Settlement,
    Sighting,
)

from .goods import creation, fan_out_all, indexed, next_write, register

LEASE_MS = 60_000
Call = Callable[[Store], Coroutine[Any, Any, Any]]
Begin = Callable[[Store], Awaitable[Call]]


class Act(Struct, frozen=True):
    """`begin` prepares and gives the call, which answers the same however often it is made.

    `steps`: it makes several calls of one shard, so that it may end between two. `adds`: done again, it adds to what is
    there, or what is left of it is another thing.
    """

    method: str
    name: str
    begin: Begin
    steps: bool = False
    adds: bool = False


ACTS: list[Act] = []


def act(method: str, *, steps: bool = False, adds: bool = False) -> Callable[[Begin], Begin]:
    def note(begin: Begin) -> Begin:
        name = begin.__name__.replace("_", " ").strip()
        ACTS.append(Act(method, name, begin, steps, adds))
        return begin

    return note


def elsewhere(store: Store, number: str, account: str = "acme") -> str:
    """A number of that account in another shard than this one."""
    home = store.keys.shard_of(account, number)
    return next(one for one in (f"{number}-{n}" for n in range(99)) if store.keys.shard_of(account, one) != home)


async def done_or_done_before(call: Coroutine[Any, Any, Any]) -> None:
    """Whoever does it again finds that it was done."""
    try:
        await call
    except Conflict:
        return


def heads(deliveries: list[Delivery]) -> list[tuple[str, str, int, int]]:
    return sorted((one.destination, one.claim, one.revision, one.attempt) for one in deliveries)


async def claim(store: Store, name: str) -> list[Delivery]:
    return await store.claim_lanes(name, free={}, default_free=9, limit=20, lease_ms=LEASE_MS)


async def parcels(store: Store, number: int = 4, **changes: Any) -> list[str]:
    return [await register(store, "acme", f"W{n}", **changes) for n in range(number)]


async def with_lanes(store: Store) -> list[Delivery]:
    """Changes in the lanes of two destinations, all of them claimed."""
    await parcels(store)
    await fan_out_all(store, "sub_1", "sub_2")
    return await claim(store, "first")


async def with_letters(store: Store) -> list[str]:
    """Dead letters."""
    deliveries = await with_lanes(store)
    await store.settle_lanes([Settlement(delivery=one, outcome=Outcome.DEAD) for one in deliveries])
    letters, _ = await store.dead_letters("acme")
    return [letter.id for letter in sorted(letters, key=lambda one: (one.destination, one.body))]


# ------------------------------------------------------------ shipments


@act("commit")
async def a_shipment_is_made(store: Store) -> Call:
    write = creation(store, "acme", "W1", after=indexed(order_number="O1"), due=1000)
    return lambda far: done_or_done_before(far.commit(write))


@act("commit")
async def a_shipment_is_made_with_an_alias_in_another_shard(store: Store) -> Call:
    write = creation(store, "acme", "W1", waybills=("W1", elsewhere(store, "W1")))
    return lambda far: done_or_done_before(far.commit(write))


@act("commit", steps=True)
async def a_shipment_is_made_where_one_was_left_half_made(store: Store) -> Call:
    other = elsewhere(store, "W2")  # its home is written first, and the shipment itself never
    holder = store.keys.split(store.new_id("acme", "W2"))
    await store._alias("acme", holder[0], holder[1], [other])
    write = creation(store, "acme", other)
    return lambda far: done_or_done_before(far.commit(write))


@act("commit")
async def a_shipment_takes_along_what_was_parked(store: Store) -> Call:
    for item in (b"one", b"two"):
        await store.park("acme", "W1", item, now_ms=0, limit=9, ttl_ms=LEASE_MS)
    write = creation(store, "acme", "W1", parked=2)
    return lambda far: done_or_done_before(far.commit(write))


@act("commit")
async def a_shipment_changes(store: Store) -> Call:
    write = creation(store, "acme", "W1", due=1000)
    after = indexed(status="delivered", order_number="O1", stalled=True, open=False)
    changes = (NewChange("delivered", b"change 2"), NewChange("stalled", b"change 3"))
    again = next_write(write, await store.commit(write), after=after, changes=changes)
    return lambda far: done_or_done_before(far.commit(again))


@act("delete", adds=True)  # cut off, it leaves an alias of nothing, which finds nothing
async def a_shipment_is_deleted(store: Store) -> Call:
    numbers = ("W1", elsewhere(store, "W1"))
    write = creation(store, "acme", "W1", waybills=numbers, after=indexed(order_number="O1"), due=1000)
    committed = await store.commit(write)
    change = NewChange("deleted", b"gone")
    return lambda far: done_or_done_before(
        far.delete("acme", write.id, committed.version, write.after, numbers, change)
    )


# ------------------------------------------------------------ parking, quarantine


@act("park", adds=True)
async def a_scan_is_parked(store: Store) -> Call:
    return lambda far: far.park("acme", "W1", b"scan", now_ms=0, limit=9, ttl_ms=LEASE_MS)


@act("park", steps=True, adds=True)
async def a_scan_is_parked_for_one_that_was_left_half_made(store: Store) -> Call:
    other = elsewhere(store, "W2")
    holder = store.keys.split(store.new_id("acme", "W2"))
    await store._alias("acme", holder[0], holder[1], [other])
    return lambda far: far.park("acme", other, b"scan", now_ms=0, limit=9, ttl_ms=LEASE_MS)


@act("park", steps=True, adds=True)
async def a_scan_is_parked_where_others_make_room(store: Store) -> Call:
    await store.park("acme", "W1", b"scan", now_ms=0, limit=9, ttl_ms=LEASE_MS)
    home = store.keys.shard_of("acme", "W1")
    other = next(one for n in range(9_999) if store.keys.shard_of("acme", one := f"W1-{n}") == home)
    return lambda far: far.park("acme", other, b"scan", now_ms=0, limit=9, ttl_ms=LEASE_MS, most=1)


@act("quarantine", adds=True)
async def a_body_is_kept(store: Store) -> Call:
    return lambda far: far.quarantine("acme", b"body")


@act("release")
async def a_body_is_released(store: Store) -> Call:
    id = await store.quarantine("acme", b"body")
    return lambda far: _unanswered(far.release("acme", id))


# ------------------------------------------------------------ agenda


@act("claim_due")
async def what_is_due_is_claimed(store: Store) -> Call:
    await parcels(store, due=1000)

    async def call(far: Store) -> list[tuple[int, str]]:
        items = await far.claim_due("c1", limit=20, lease_ms=LEASE_MS)
        return [(item.due, item.claim) for item in items]

    return call


@act("settle_due")
async def what_was_due_is_settled(store: Store) -> Call:
    await parcels(store, due=1000)
    items = await store.claim_due("c1", limit=20, lease_ms=LEASE_MS)
    dues = [(item, 4_000_000_000_000 if n % 2 else None) for n, item in enumerate(items)]
    return lambda far: far.settle_due(dues)


# ------------------------------------------------------------ feed and lanes


def _filling(store: Store, shard: int, *, claimed: Claim | None = None) -> Callable[[Store], Coroutine[Any, Any, Any]]:
    async def call(far: Store) -> Any:
        cursor, entries = await far.unfanned(shard)
        refs = [
            LaneRef(name, one.account, one.id, one.revision, one.kind) for one in entries for name in ("sub_1", "sub_2")
        ]
        if entries:
            await far.fan_out(shard, cursor, entries[-1].position, refs, claimed)
        return heads(await far.claimed_lanes(shard, claimed.id)) if claimed else None

    return call


@act("fan_out")
async def lanes_are_filled(store: Store) -> Call:
    await parcels(store)
    return _filling(store, 0)


@act("claimed_lanes")
async def lanes_are_filled_and_claimed_at_once(store: Store) -> Call:
    await parcels(store)
    return _filling(store, 0, claimed=Claim(id="c1", lease_ms=LEASE_MS, free={"sub_1": 1, "sub_2": 9}))


@act("claim_lanes")
async def heads_are_claimed(store: Store) -> Call:
    await parcels(store)
    await fan_out_all(store, "sub_1", "sub_2")

    async def call(far: Store) -> Any:
        return heads(await claim(far, "c1"))

    return call


@act("settle_lanes")
async def heads_are_settled(store: Store) -> Call:
    outcomes = (Outcome.DONE, Outcome.RETRY, Outcome.DEAD, Outcome.DISCARD, Outcome.HELD)
    settlements = [
        Settlement(delivery=one, outcome=outcomes[n % 5], retry_at=4_000_000_000_000)
        for n, one in enumerate(await with_lanes(store))
    ]
    return lambda far: far.settle_lanes(settlements)


@act("settle_lanes", adds=True)
async def heads_are_settled_and_logged(store: Store) -> Call:
    settlements = [
        Settlement(delivery=one, outcome=Outcome.DONE, log=b"attempt") for one in (await with_lanes(store))[:1]
    ]
    return lambda far: far.settle_lanes(settlements)


@act("replay_dead", steps=True)
async def dead_letters_are_sent_again(store: Store) -> Call:
    ids = await with_letters(store)
    return lambda far: _unanswered(far.replay_dead("acme", ids))


@act("relay")
async def letters_go_past_the_feed(store: Store) -> Call:
    letters = [Letter(id=id, revision=1, kind="registered", body=b"body") for id in await parcels(store)]
    await fan_out_all(store)
    return lambda far: _unanswered(far.relay("acme", "sub_1", letters))


@act("trim_feed", steps=True)
async def the_feed_is_trimmed(store: Store) -> Call:
    await parcels(store)
    await fan_out_all(store)
    return lambda far: _unanswered(far.trim_feed(keep_ms=LEASE_MS, keep_entries=0))


# ------------------------------------------------------------ sweeping


@act("drop_destination", steps=True)
async def a_destination_is_dropped(store: Store) -> Call:
    ids = await with_letters(store)
    await store.replay_dead("acme", ids[::2])
    return lambda far: far.drop_destination("acme", "sub_1")


@act("close_account")
async def an_account_is_closed(store: Store) -> Call:
    return lambda far: far.close_account("acme")


@act("drop_account", steps=True)
async def an_account_is_dropped(store: Store) -> Call:
    await with_letters(store)
    await store.quarantine("acme", b"body")
    await store.park("acme", "LATER", b"scan", now_ms=0, limit=9, ttl_ms=LEASE_MS)
    for kind, id in (("key", "k1"), ("subscription", "sub_1"), ("subscription", "sub_2")):
        await store.put_record(kind, "acme", id, b"value")
    await register(store, "other", "W1")
    return lambda far: far.drop_account("acme")


# ------------------------------------------------------------ control records and what is beside


@act("put_record")
async def a_record_is_put(store: Store) -> Call:
    return lambda far: far.put_record("key", "acme", "k1", b"value")


@act("replace_record")
async def a_record_is_replaced(store: Store) -> Call:
    await store.put_record("key", "acme", "k1", b"old")
    return lambda far: _unanswered(far.replace_record("key", "acme", "k1", b"newer", seen=b"old"))


@act("remove_record")
async def a_record_is_removed(store: Store) -> Call:
    await store.put_record("key", "acme", "k1", b"value")
    return lambda far: _unanswered(far.remove_record("key", "acme", "k1"))


@act("note", adds=True)
async def sightings_are_noted(store: Store) -> Call:
    sightings = [Sighting("acme", "code", f"X{n}", 1, 1, 1) for n in range(3)]
    return lambda far: far.note(EVERYBODY, sightings, limit=9)


@act("forget")
async def sightings_are_forgotten(store: Store) -> Call:
    await (await sightings_are_noted(store))(store)
    return lambda far: far.forget(EVERYBODY, [("acme", "code", "X1")])


@act("record_acts", adds=True)
async def acts_are_recorded(store: Store) -> Call:
    return lambda far: far.record_acts("acme", [b"one", b"two"], keep_ms=LEASE_MS, keep=100)


@act("mark")
async def a_push_is_marked(store: Store) -> Call:
    return lambda far: far.mark("con_1", b"mark", life_ms=LEASE_MS)


async def _unanswered(call: Coroutine[Any, Any, Any]) -> None:
    """Its answer tells whether it did something: not the same each time."""
    await call
