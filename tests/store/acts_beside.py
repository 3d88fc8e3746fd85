"""The store's calls that fill lanes, work them off, sweep, and keep the small things."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from tracker.store import Store
from tracker.store.sightings import EVERYBODY
from tracker.store.types import Claim, Delivery, LaneRef, Letter, Outcome, Settlement, Sighting

from .acts import ACTS, LEASE_MS, Call, act, parcels, unanswered
from .goods import fan_out_all, register

__all__ = ["ACTS"]  # all of them, by now


def heads(deliveries: list[Delivery]) -> list[tuple[str, str, int, int]]:
    return sorted((one.destination, one.claim, one.revision, one.attempt) for one in deliveries)


async def claim(store: Store, name: str) -> list[Delivery]:
    return await store.claim_lanes(name, free={}, default_free=9, limit=20, lease_ms=LEASE_MS)


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


# ------------------------------------------------------------ feed and lanes


def _filling(store: Store, *, claimed: Claim | None = None) -> Callable[[Store], Coroutine[Any, Any, Any]]:
    shard = store.keys.shard_of("acme", "W0")

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
    return _filling(store)


@act("claimed_lanes")
async def lanes_are_filled_and_claimed_at_once(store: Store) -> Call:
    await parcels(store)
    return _filling(store, claimed=Claim(id="c1", lease_ms=LEASE_MS, free={"sub_1": 1, "sub_2": 9}))


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
    return lambda far: unanswered(far.settle_lanes(settlements))


@act("settle_lanes", adds=True)
async def heads_are_settled_and_logged(store: Store) -> Call:
    settlements = [
        Settlement(delivery=one, outcome=Outcome.DONE, log=b"attempt") for one in (await with_lanes(store))[:1]
    ]
    return lambda far: unanswered(far.settle_lanes(settlements))


@act("log_attempt", adds=True)
async def a_test_is_logged(store: Store) -> Call:
    return lambda far: far.log_attempt("acme", "sub_1", b"test")


@act("replay_dead", steps=True)
async def dead_letters_are_sent_again(store: Store) -> Call:
    ids = await with_letters(store)
    return lambda far: unanswered(far.replay_dead("acme", ids))


@act("relay")
async def letters_go_past_the_feed(store: Store) -> Call:
    letters = [Letter(id=id, revision=1, kind="registered", body=b"body") for id in await parcels(store)]
    await fan_out_all(store)
    return lambda far: unanswered(far.relay("acme", "sub_1", letters))


@act("trim_feed", steps=True)
async def the_feed_is_trimmed(store: Store) -> Call:
    await parcels(store)
    await fan_out_all(store)
    return lambda far: unanswered(far.trim_feed(keep_ms=LEASE_MS, keep_entries=0))


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
    return lambda far: unanswered(far.replace_record("key", "acme", "k1", b"newer", seen=b"old"))


@act("remove_record")
async def a_record_is_removed(store: Store) -> Call:
    await store.put_record("key", "acme", "k1", b"value")
    return lambda far: unanswered(far.remove_record("key", "acme", "k1"))


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
    return lambda far: far.mark("shop", "con_1", b"mark", life_ms=LEASE_MS)
