"""Commits are all or nothing, compared with what was read, and safe against lost replies and racing writers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tracker.errors import TooMany
from tracker.store import Store
from tracker.store.types import Committed, Conflict, Gone, NewChange, Stored, StoreDown, Write

from .goods import REGISTERED_AT, creation, indexed, next_write, register
from .lines import unreliable


async def test_a_committed_shipment_is_read_back_and_found_by_all_its_numbers(store: Store) -> None:
    """Waybill, alias (whatever its shard) and order number lead to the id; another account's do not."""
    aliases = tuple(f"PIECE{n}" for n in range(20))
    write = creation(store, "acme", "W1", waybills=("W1", *aliases), after=indexed(order_number="O1"))
    assert await store.commit(write) == Committed(1, 1)
    assert await store.read([write.id]) == [Stored(1, 1, b"document of W1")]
    assert await store.find("acme", ["W1", *aliases, "W2"]) == [write.id] * 21 + [None]
    assert await store.find("other", ["W1"]) == [None]
    assert await store.find_order("acme", "O1") == [write.id]
    assert await store.find_order("other", "O1") == []


async def test_an_id_carries_the_shard_of_its_waybill(store: Store) -> None:
    """Foreign and malformed ids are no shipments."""
    id = await register(store, "acme", "W1")
    assert id.startswith("shp_")
    assert store.shard_of_id(id) == store.shard_of_id(store.new_id("acme", "W1"))
    assert await store.read(["shp_", "shp_zzzzzzzzzzzz", "nonsense", id.upper(), ""]) == [None] * 5
    with pytest.raises(ValueError, match="shp_"):
        store.shard_of_id("nonsense")


async def test_a_commit_of_an_old_version_changes_nothing(store: Store) -> None:
    """The second writer of version 1 gets a conflict, and no change is announced for it."""
    write = creation(store, "acme", "W1")
    first = await store.commit(write)
    await store.commit(next_write(write, first))
    with pytest.raises(Conflict):
        await store.commit(next_write(write, first, document=b"late", after=indexed(status="delivered"), due=5))
    assert await store.read([write.id]) == [Stored(2, 2, b"document of W1, again")]
    assert len((await store.changes("acme", None)).entries) == 2
    assert (await store.counts("acme"))["delivered"] == 0
    assert await store.claim_due("c1", limit=10, lease_ms=1000) == []


async def test_a_waybill_is_registered_once(store: Store) -> None:
    """A second registration of the waybill under another id is a conflict."""
    id = await register(store, "acme", "W1")
    with pytest.raises(Conflict):
        await register(store, "acme", "W1")
    assert await store.find("acme", ["W1"]) == [id]
    assert await register(store, "other", "W1") != id


async def test_a_number_whose_shipment_was_never_written_can_be_registered(store: Store) -> None:
    """An alias is indexed before its shipment; where the shipment's commit then fails, the number stays free."""
    write = creation(store, "acme", "W1")
    await store.commit(write)
    orphan = creation(store, "acme", "W1", waybills=("W1", "A1", "A2", "A3"))
    with pytest.raises(Conflict):
        await store.commit(orphan)
    for alias in ("A1", "A2", "A3"):
        id = await register(store, "acme", alias)
        assert await store.find("acme", [alias]) == [id]


async def test_several_changes_raise_the_revision_by_one_each(store: Store) -> None:
    """A commit without changes raises the version and announces nothing."""
    write = creation(store, "acme", "W1", changes=(NewChange("registered", b"1"), NewChange("delivered", b"2")))
    first = await store.commit(write)
    assert first == Committed(1, 2)
    assert await store.commit(next_write(write, first, changes=())) == Committed(2, 2)
    entries = (await store.changes("acme", None)).entries
    assert [(entry.revision, entry.kind) for entry in entries] == [(1, "registered"), (2, "delivered")]


async def test_sixteen_writers_of_one_shipment_lose_nothing(store: Store) -> None:
    """Each merges what it read with its own mark until its commit is taken."""
    write = creation(store, "acme", "W1", document=b"")
    await store.commit(write)

    async def add(mark: bytes) -> None:
        while True:
            (now,) = await store.read([write.id])
            assert now
            more = next_write(write, Committed(now.version, now.revision), document=now.document + mark)
            try:
                await store.commit(more)
            except Conflict:
                continue
            return

    await asyncio.gather(*[add(bytes([65 + n])) for n in range(16)])
    (now,) = await store.read([write.id])
    assert now
    assert sorted(now.document) == list(range(65, 81))
    assert (now.version, now.revision) == (17, 17)


async def test_a_lost_reply_is_resolved_by_reading(store: Store, tmp_path: Path) -> None:
    """Where the commit ran it counts as done; where it did not, it is a conflict: never sent twice."""
    write = creation(store, "acme", "W1")
    async with unreliable(store, tmp_path) as (line, far):
        line.lose_reply = True
        assert await far.commit(write) == Committed(1, 1)
        line.lose_request = True
        with pytest.raises(Conflict):
            await far.commit(next_write(write, Committed(1, 1)))
        assert await far.commit(next_write(write, Committed(1, 1))) == Committed(2, 2)
        line.lose_reply = True
        await far.delete("acme", write.id, 2, write.after, ("W1",))
    assert await store.read([write.id]) == [None]
    assert len((await store.changes("acme", None)).entries) == 2


async def test_writers_over_a_line_that_loses_replies_neither_lose_nor_double(store: Store, tmp_path: Path) -> None:
    """Eight writers add forty marks each to one document; every change is announced once."""
    write = creation(store, "acme", "W1", document=b"\0" * 8)
    await store.commit(write)
    async with unreliable(store, tmp_path) as (line, far):

        async def add(writer: int) -> None:
            for count in range(1, 41):
                await settle(writer, count)

        async def settle(writer: int, count: int) -> None:
            while True:
                try:
                    (now,) = await far.read([write.id])
                    assert now
                    if now.document[writer] == count:
                        return
                    document = bytearray(now.document)
                    document[writer] = count
                    more = next_write(write, Committed(now.version, now.revision), document=bytes(document))
                    await far.commit(more)
                except (Conflict, StoreDown):
                    continue

        line.lose_every = 23  # more than it takes to connect again
        await asyncio.gather(*[add(writer) for writer in range(8)])
    (now,) = await store.read([write.id])
    assert now == Stored(321, 321, bytes([40] * 8))


async def test_the_stalled_come_longest_silent_first_over_all_pages(store: Store) -> None:
    """Whenever they were registered; at times that no clock of ours shows, too."""
    silent_since = [5_000, -7, 3_000, 1_000, 4_000, 1 << 60, 2_000]
    ids = {}
    for place, since in enumerate(silent_since):
        listed = indexed(stalled=since, registered_at=REGISTERED_AT + place)
        ids[since] = await register(store, "acme", f"W{place}", after=listed)
    found, cursor = [], None
    for _ in range(4):
        page, cursor = await store.page("acme", stalled=True, cursor=cursor, limit=2)
        found += page
    assert found == [ids[since] for since in sorted(silent_since)] and cursor is None


async def test_a_stall_that_begins_anew_moves_to_its_new_place(store: Store) -> None:
    first = creation(store, "acme", "W1", after=indexed(stalled=1_000))
    written = await store.commit(first)
    await register(store, "acme", "W2", after=indexed(stalled=2_000))
    await store.commit(next_write(first, written, after=indexed(stalled=3_000)))
    assert (await store.page("acme", stalled=True))[0][1] == first.id
    assert (await store.counts("acme"))["stalled"] == 2


async def test_indexes_follow_the_shipment(store: Store) -> None:
    """Status, stall and order number move from list to list with the commit that changes them."""
    write = creation(store, "acme", "W1", after=indexed(order_number="O1", stalled=REGISTERED_AT))
    first = await store.commit(write)
    assert await store.page("acme", stalled=True) == ([write.id], None)
    await store.commit(next_write(write, first, after=indexed(status="delivered", order_number="O2", open=False)))
    assert await store.page("acme", status="in_transit") == ([], None)
    assert await store.page("acme", status="delivered") == ([write.id], None)
    assert await store.page("acme", stalled=True) == ([], None)
    assert await store.find_order("acme", "O1") == []
    assert await store.find_order("acme", "O2") == [write.id]
    counts = await store.counts("acme")
    assert {name: count for name, count in counts.items() if count} == {"delivered": 1}


async def test_pages_are_newest_first_and_miss_nobody(store: Store) -> None:
    """Shipments registered in the same millisecond are split over pages without loss or repetition."""
    ids = [
        await register(store, "acme", f"W{n}", after=indexed(registered_at=REGISTERED_AT + n // 7)) for n in range(60)
    ]
    times = dict(zip(ids, (n // 7 for n in range(60)), strict=True))
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = await store.page("acme", cursor=cursor, limit=9)
        seen += page
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)
    assert [times[id] for id in seen] == sorted(times.values(), reverse=True)
    with pytest.raises(ValueError, match="cursor"):
        await store.page("acme", cursor="AAAA")


async def test_several_shipments_share_an_order_number(store: Store) -> None:
    """All are found; one that leaves the order takes only itself away."""
    writes = [creation(store, "acme", f"W{n}", after=indexed(order_number="O1")) for n in range(200)]
    committed = await asyncio.gather(*[store.commit(write) for write in writes])
    assert sorted(await store.find_order("acme", "O1")) == sorted(write.id for write in writes)
    await store.commit(next_write(writes[0], committed[0], after=indexed()))
    assert sorted(await store.find_order("acme", "O1")) == sorted(write.id for write in writes[1:])


async def test_an_order_has_so_many_shipments_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What names one too many is refused whole, new or moved from another order; those that are there go on."""
    monkeypatch.setattr("tracker.store.shipments.ORDER_HOLDS", 1)
    together = [waybill for n in range(9_999) if store.keys.shard_of("acme", waybill := f"W{n}") == 0][:18]
    writes = [creation(store, "acme", waybill, after=indexed(order_number="O1")) for waybill in together]
    committed = await asyncio.gather(*[store.commit(write) for write in writes[:16]])
    for late in (writes[16], creation(store, "acme", together[17])):
        moved = await store.commit(late) if not late.after.order_number else None
        with pytest.raises(TooMany, match="order_number: the order has"):
            await store.commit(next_write(late, moved, after=indexed(order_number="O1")) if moved else late)
    assert await store.read([writes[16].id]) == [None]
    assert sorted(await store.find_order("acme", "O1")) == sorted(write.id for write in writes[:16])
    await store.commit(next_write(writes[0], committed[0]))
    await store.commit(creation(store, "acme", together[16], after=indexed(order_number="O2")))


async def test_a_deleted_shipment_is_gone_from_every_list(store: Store) -> None:
    """Only its announcement stays; the waybill can be registered again."""
    numbers = ("W1", "A1", "A2", "A3")
    write = creation(
        store, "acme", "W1", waybills=numbers, after=indexed(order_number="O1", stalled=REGISTERED_AT), due=1
    )
    await store.commit(write)
    with pytest.raises(Conflict):
        await store.delete("acme", write.id, 7, write.after, numbers)
    await store.delete("acme", write.id, 1, write.after, numbers, NewChange("deleted", b"gone"))
    assert await store.read([write.id]) == [None]
    assert await store.find("acme", numbers) == [None] * 4
    assert await store.find_order("acme", "O1") == []
    assert await store.page("acme") == ([], None)
    assert not any((await store.counts("acme")).values())
    assert await store.claim_due("c1", limit=10, lease_ms=1000) == []
    entries = (await store.changes("acme", None)).entries
    assert [(entry.revision, entry.kind) for entry in entries] == [(1, "registered"), (2, "deleted")]
    await register(store, "acme", "W1")


async def cut_off_deletion(store: Store) -> str:
    """Delete a shipment that has aliases in other shards, and get no further than the shipment; one of these."""
    numbers = ("W1", "A1", "A2", "A3")
    write = creation(store, "acme", "W1", waybills=numbers)
    await store.commit(write)
    shard, local = store.keys.split(write.id)
    await store._delete(shard, local, "acme", 1, write.after, numbers, None)
    left = [one for one, id in zip(numbers, await store.find("acme", numbers), strict=True) if id]
    assert left
    return left[0]


async def test_what_a_deletion_that_was_cut_off_left_goes_with_the_next_sweep(store: Store) -> None:
    """Every key of its numbers."""
    number = await cut_off_deletion(store)
    await store.finish_deletions()
    assert await store.find("acme", [number]) == [None]
    keys: list[bytes] = await store.wire.control().send(b"KEYS", b"*")
    assert not [key for key in keys if b"}n:" in key or key.endswith(b"}g")]


async def test_a_number_that_a_deletion_left_is_the_next_shipments_at_once(store: Store) -> None:
    """As an alias too: what is said of it reaches the shipment, and is not parked for nobody."""
    number = await cut_off_deletion(store)
    home = store.keys.shard_of("acme", number)
    beside, elsewhere = (
        next(one for one in map(str, range(9_999)) if (store.keys.shard_of("acme", one) == home) is here)
        for here in (True, False)
    )
    for waybills in ((beside, number), (elsewhere, number)):
        write = creation(store, "acme", waybills[0], waybills=waybills)
        await store.commit(write)
        assert await store.find("acme", waybills) == [write.id] * 2
        await store.finish_deletions()
        assert await store.find("acme", waybills) == [write.id] * 2
        await store.delete("acme", write.id, 1, write.after, waybills)
        await cut_off_deletion(store)


async def test_a_number_of_a_shipment_that_lives_stays_its_own(store: Store) -> None:
    """Another one that names it too does not take it away."""
    id = await register(store, "acme", "W1", waybills=("W1", "A1", "A2", "A3"))
    for n in range(9):
        await register(store, "acme", f"N{n}", waybills=(f"N{n}", "A1", "A2", "A3"))
    assert await store.find("acme", ["W1", "A1", "A2", "A3"]) == [id] * 4


async def test_a_deleted_account_takes_nothing_more_and_leaves_nothing(store: Store) -> None:
    """Every key that is left belongs to the neighbour, is a tombstone or a thin feed entry."""
    for n in range(30):
        await register(store, "acme", f"W{n}", after=indexed(order_number=f"O{n % 3}"), waybills=(f"W{n}", f"A{n}"))
    kept = await register(store, "other", "W1", after=indexed(order_number="O1"))
    await store.park("acme", "later", b"scan", now_ms=0, limit=5, ttl_ms=60_000)
    await store.quarantine("acme", b"body")
    await store.put_record("subscription", "acme", "sub_1", b"{}")
    write: Write = creation(store, "acme", "W99")
    await store.drop_account("acme")
    for refused in (
        store.commit(write),
        store.park("acme", "x", b"scan", now_ms=0, limit=5, ttl_ms=60_000),
        store.quarantine("acme", b"body"),
        store.put_record("key", "acme", "k", b"{}"),
    ):
        with pytest.raises(Gone):
            await refused
    assert await store.page("acme") == ([], None)
    assert await store.find("acme", ["W1", "A1"]) == [None, None]
    assert await store.find_order("acme", "O1") == []
    assert await store.records("subscription") == {}
    (primary,) = store.wire.primaries()
    assert [key for key in await primary.send(b"KEYS", b"*") if b"acme" in key] == []
    assert await store.page("other") == ([kept], None)
    assert await store.find("other", ["W1"]) == [kept]
