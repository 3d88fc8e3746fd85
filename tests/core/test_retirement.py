"""What was closed long ago leaves the store; what is under way, and what was closed lately, stays."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.core.parcels import ACME, NOW, REGISTRY, journey, report, scan
from tracker import retirement
from tracker.accounts import Account
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.model import Details, Shipment
from tracker.retirement import Retirement
from tracker.store import Store

DAY = 86_400_000
KEEP = 180 * DAY


@pytest.fixture
def door(store: Store) -> Ingest:
    return Ingest(store, REGISTRY, due=lambda shipment, now: None)


async def parcel(door: Ingest, waybill: str, *, since: int = NOW, closed: int = NOW, account: str = "acme") -> str:
    """One that was registered `since`, on its way, and delivered at `closed` (ms; 0: it is under way)."""
    wanted = Registration(waybill=waybill, carrier="acme", details=Details(order_number="A-1"))
    [made] = await door.register(account, [wanted], now=since)
    assert made.shipment
    for told, at in ((journey("PUP", "ARR"), since), ([scan("DLV", 50)], closed)):
        if at:
            await door.receive(account, "con/push", ACME, [report(waybill, *told)], fingerprint=f"{at}", now=at)
    return made.shipment.document.id


async def sweep(
    store: Store, door: Ingest, now: int, *, keep: int = KEEP, accounts: tuple[str, ...] = ("acme",)
) -> int:
    """One round at that time, for these accounts; how many left."""
    gone: Counter[str] = Counter()

    async def named() -> list[Account]:
        return [Account(name=name, created_at=0) for name in accounts]

    def count(shipments: int) -> None:
        gone["all"] += shipments

    await Retirement(store, door, named, keep_ms=keep, now=lambda: now, retired=count).sweep()
    return gone["all"]


async def there(door: Ingest, *ids: str, account: str = "acme") -> list[bool]:
    return [shipment is not None for shipment in await door.get(account, ids)]


async def test_what_was_closed_long_ago_leaves_with_all_that_leads_to_it(store: Store, door: Ingest) -> None:
    """And nobody is told: for those who follow it was over long ago."""
    old = await parcel(door, "W10001")
    feed = await store.head()
    assert await sweep(store, door, NOW + KEEP) == 0, "not a moment too early"
    assert await sweep(store, door, NOW + KEEP + 1) == 1
    assert await there(door, old) == [False]
    assert (await store.find("acme", ["W10001"]), await store.find_order("acme", "A-1")) == ([None], [])
    assert set((await store.counts("acme")).values()) == {0}
    assert (await store.changes("acme", feed)).entries == ()


async def test_what_is_under_way_stays_however_old(store: Store, door: Ingest) -> None:
    id = await parcel(door, "W10001", closed=0)
    assert await sweep(store, door, NOW + 100 * KEEP) == 0
    assert await there(door, id) == [True]


async def test_what_was_closed_lately_hides_none_that_was_closed_long_ago(
    store: Store, door: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each list is looked through from its oldest registration, more of them than are looked at together."""
    monkeypatch.setattr(retirement, "_PAGE", 3)
    later = NOW + 170 * DAY
    lately = [await parcel(door, f"L{n:05}", since=NOW + n, closed=later) for n in range(5 * store.shards)]
    old = [await parcel(door, f"O{n:05}", since=NOW + DAY, closed=NOW + 2 * DAY) for n in range(store.shards)]
    assert await sweep(store, door, NOW + 2 * DAY + KEEP + 1) == len(old)
    assert not any(await there(door, *old))
    assert all(await there(door, *lately))


async def test_what_is_heard_of_after_all_stays(store: Store, door: Ingest) -> None:
    """A late scan between the look and the removal: the parcel is read anew, and was written of just now."""
    id = await parcel(door, "W10001")
    first = door._one

    async def overtaken(account: str, id: str) -> tuple[int, Shipment]:
        found = await first(account, id)
        late = report("W10001", scan("DEP", 40, text="told late"))
        await door.receive("acme", "con/push", ACME, [late], fingerprint="late", now=NOW + KEEP)
        return found

    door._one = overtaken  # type: ignore[method-assign]
    assert await sweep(store, door, NOW + KEEP + DAY) == 0
    assert await there(door, id) == [True]


async def test_a_number_that_left_may_come_again_as_another_parcel(store: Store, door: Ingest) -> None:
    """Carriers give their numbers out again after some months."""
    old = await parcel(door, "W10001")
    await sweep(store, door, NOW + 2 * KEEP)
    new = await parcel(door, "W10001", since=NOW + 2 * KEEP, closed=0)
    assert new != old
    assert await there(door, new) == [True]


async def test_only_the_accounts_that_are_there_are_looked_through_and_none_where_all_is_kept(
    store: Store, door: Ingest
) -> None:
    mine, other = await parcel(door, "W10001"), await parcel(door, "W10001", account="other")
    assert await sweep(store, door, NOW + 100 * KEEP, keep=0) == 0
    assert await sweep(store, door, NOW + 100 * KEEP) == 1
    assert (await there(door, mine), await there(door, other, account="other")) == ([False], [True])


async def test_an_entry_that_leads_to_nothing_is_passed_over(store: Store, door: Ingest) -> None:
    """As one has, for a moment, that somebody else removes: nobody looks at it again and again."""
    shard, local = store.keys.split(await parcel(door, "W10001"))
    await store._plain(shard, b"DEL", store.keys.document(shard, local))
    async with asyncio.timeout(60):
        assert await sweep(store, door, NOW + 2 * KEEP) == 0
