"""Every call of the store, as something that can be done again and again: what it needs first, and the call itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec import Struct

from tracker.store import Store
from tracker.store.types import (
    Conflict,
    NewChange,
)

from .goods import REGISTERED_AT, creation, indexed, next_write, register

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


async def unanswered(call: Coroutine[Any, Any, Any]) -> None:
    """Its answer tells whether it did something: not the same each time."""
    await call


async def parcels(store: Store, number: int = 4, **changes: Any) -> list[str]:
    return [await register(store, "acme", f"W{n}", **changes) for n in range(number)]


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
    after = indexed(status="delivered", order_number="O1", stalled=REGISTERED_AT, open=False)
    changes = (NewChange("delivered", b"change 2"), NewChange("stalled", b"change 3"))
    again = next_write(write, await store.commit(write), after=after, changes=changes)
    return lambda far: done_or_done_before(far.commit(again))


@act("delete", steps=True)
async def a_shipment_is_deleted(store: Store) -> Call:
    numbers = ("W1", elsewhere(store, "W1"))
    write = creation(store, "acme", "W1", waybills=numbers, after=indexed(order_number="O1"), due=1000)
    committed = await store.commit(write)
    change = NewChange("deleted", b"gone")

    async def call(far: Store) -> None:
        await done_or_done_before(far.delete("acme", write.id, committed.version, write.after, numbers, change))
        await far.finish_deletions()

    return call


@act("finish_deletions", steps=True)
async def what_deletions_left_is_taken_away(store: Store) -> Call:
    for n in range(2):
        numbers = (f"W{n}", elsewhere(store, f"W{n}"))
        write = creation(store, "acme", numbers[0], waybills=numbers)
        await store.commit(write)
        shard, local = store.keys.split(write.id)
        await store._delete(shard, local, "acme", 1, write.after, numbers, None)  # and it is cut off
    return lambda far: far.finish_deletions()


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
    return lambda far: unanswered(far.release("acme", id))


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
