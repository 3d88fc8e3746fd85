"""Every read of the store, over goods that answer all of them."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tracker.store import Store

from .acts import LEASE_MS, Act, Call, parcels
from .acts_beside import a_push_is_marked, acts_are_recorded, sightings_are_noted, with_lanes
from .goods import REGISTERED_AT, indexed, register


async def _goods(store: Store) -> None:
    await with_lanes(store)
    for n in range(3):
        await register(store, "acme", f"LATER{n}", after=indexed(order_number="O1", stalled=REGISTERED_AT))
        await store.quarantine("acme", b"body")
        await store.park("acme", "UNKNOWN", b"scan %d" % n, now_ms=0, limit=9, ttl_ms=LEASE_MS)
        await store.put_record("key", "acme", f"k{n}", b"value")
    for begin in (a_push_is_marked, acts_are_recorded, sightings_are_noted):
        await (await begin(store))(store)


def look(method: str, *args: Any, **options: Any) -> Act:
    """The read of that name with those arguments; `first` of the options reads what the arguments come from."""

    async def begin(store: Store) -> Call:
        await _goods(store)

        def call(far: Store) -> Coroutine[Any, Any, Any]:
            found: Coroutine[Any, Any, Any] = getattr(far, method)(*args, **options)
            return found

        return call

    return Act(method, method.replace("_", " "), begin)


async def _documents(store: Store) -> Call:
    ids = await parcels(store)
    return lambda far: far.read([*ids, "shp_none"])


async def _alive(far: Store) -> bool:
    return (await far.stats()).durable


async def _rows(store: Store) -> Call:
    return lambda far: far.rows(lambda shard: [far.keys.of_account(shard, b"z", "acme")], None, 3)


async def _standing(store: Store) -> Call:
    await _goods(store)
    return _alive


LOOKS = [
    Act("read", "read", _documents),
    Act("stats", "stats", _standing),
    look("find", "acme", ["W0", "W1", "nobody"]),
    look("find_order", "acme", "O1"),
    look("page", "acme", limit=3),
    look("counts", "acme"),
    look("registered_before", "acme", "pending", 0, REGISTERED_AT + 1, skip=0, limit=9),
    look("unfanned", 0),
    look("changes", "acme", None, 5),
    look("committed", 0, (1, 0)),
    look("head"),
    look("committed", 0, (0, 0)),
    look("cursor_at", 1),
    look("parked", "acme", "UNKNOWN"),
    look("quarantined", "acme", None, 2),
    look("quarantined_body", "acme", "qua_000000000000"),
    look("dead_letters", "acme"),
    look("delivery_log", "acme", "sub_1"),
    look("lanes", "sub_1"),
    look("records", "key", "acme"),
    look("get_record", "key", "acme", "k1"),
    look("records_version", "key"),
    look("record_kinds"),
    look("sightings", ""),
    look("acts", "acme"),
    look("marked", "shop", "con_1", b"mark"),
    look("ping"),
    Act("rows", "rows", _rows),
]
