"""Fan-out from a real store: every change into every lane that wants it, once, whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec import Struct

from tests.cancelling import Cut, When, watching
from tracker.feeds import Audience, FanOut, refs
from tracker.store import Store
from tracker.store.types import Claim, Delivery, Fanned, FeedEntry, Indexed, NewChange, StoreDown, Write

KIND = "subscription"
LISTED = Indexed(status="in_transit", stalled=None, open=True, order_number="O1", registered_at=1)


class Listening(Struct, frozen=True):
    """A listener by shop; one without a shop hears all."""

    id: str
    account: str
    shop: str = ""
    orders_only: bool = False

    @property
    def filters_labels(self) -> bool:
        return bool(self.shop)

    def wants(self, kind: str, shop: str | None, carrier: str | None) -> bool:
        return not self.shop or shop is None or shop == self.shop


def read(records: Mapping[tuple[str, str], bytes]) -> list[Listening]:
    return [Listening(id, account, value.decode()) for (account, id), value in records.items()]


class Shops:
    """The labels of shipments, and how often they were asked for."""

    def __init__(self) -> None:
        self.of: dict[str, tuple[str, str] | None] = {}
        self.asked: list[list[str]] = []

    async def labels(self, ids: Sequence[str]) -> list[tuple[str, str] | None]:
        self.asked.append(list(ids))
        return [self.of.get(id) for id in ids]


@pytest.fixture
def shops() -> Shops:
    return Shops()


@pytest.fixture
def fan_out(store: Store, shops: Shops) -> FanOut:
    return FanOut(store, Audience(store, {KIND: read}), shops.labels)


async def listen(store: Store, id: str, shop: str = "", account: str = "acme") -> None:
    await store.put_record(KIND, account, id, shop.encode())


async def commit(store: Store, waybill: str, changes: int = 1, account: str = "acme") -> str:
    id = store.new_id(account, waybill)
    announced = tuple(NewChange("updated", b"{%d}" % n) for n in range(changes))
    await store.commit(
        Write(
            account=account,
            id=id,
            expected=0,
            document=b"d",
            before=None,
            after=LISTED,
            changes=announced,
            waybills=(waybill,),
        )
    )
    return id


async def lanes(store: Store) -> list[Delivery]:
    return await store.claim_lanes("claim", free={}, default_free=10_000, limit=10_000, lease_ms=60_000)


async def heads(store: Store) -> set[tuple[str, str]]:
    return {(one.destination, one.id) for one in await lanes(store)}


async def test_every_change_goes_to_its_accounts_order_book_and_listeners(store: Store, fan_out: FanOut) -> None:
    await listen(store, "sub_a")
    await listen(store, "sub_b", account="other")
    ours = await commit(store, "SF1")
    theirs = await commit(store, "SF1", account="other")
    await fan_out.turn()
    assert await heads(store) == {
        ("orders:acme", ours),
        ("sub_a", ours),
        ("orders:other", theirs),
        ("sub_b", theirs),
    }


async def test_a_second_turn_moves_nothing_twice(store: Store, fan_out: FanOut) -> None:
    await listen(store, "sub_a")
    await commit(store, "SF1", changes=3)
    for _ in range(3):
        await fan_out.turn()
    first = [one for one in await lanes(store) if one.destination == "sub_a"]
    assert [(one.revision, one.body) for one in first] == [(1, b"{0}")]
    assert await store.lanes("sub_a") == 1


async def test_workers_that_race_fill_each_lane_once(store: Store, shops: Shops) -> None:
    await listen(store, "sub_a")
    for n in range(40):
        await commit(store, f"SF{n}")
    workers = [FanOut(store, Audience(store, {KIND: read}), shops.labels) for _ in range(4)]
    await asyncio.gather(*(worker.turn() for worker in workers))
    found = await lanes(store)
    assert len(found) == 80
    assert len({(one.destination, one.id) for one in found}) == 80


async def test_a_listener_hears_every_change_committed_after_it_was_made(store: Store, fan_out: FanOut) -> None:
    expected = set()
    running = asyncio.create_task(fan_out.run())
    for n in range(30):
        await listen(store, f"sub_{n}")
        id = await commit(store, f"SF{n}")
        expected |= {(f"sub_{earlier}", id) for earlier in range(n + 1)}
    async with asyncio.timeout(60):
        while not await _all_fanned(store):
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert expected <= await heads(store)


class Slots:
    """A courier with so many slots for each destination."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.got: list[Delivery] = []
        self.open: list[Claim] = []

    def offer(self, wanted: Mapping[str, int]) -> Claim:
        self.open.append(Claim(id="courier", lease_ms=60_000, free=dict.fromkeys(wanted, self.free)))
        return self.open[-1]

    async def take_claimed(self, claim: Claim, found: Sequence[Delivery], sent_at: float) -> None:
        self.got += found

    def withdraw(self, claim: Claim) -> None:
        self.open.remove(claim)


async def test_a_courier_gets_what_it_has_slots_for_and_the_rest_waits_in_lanes(store: Store, shops: Shops) -> None:
    courier = Slots(3)
    for n in range(8):
        await commit(store, f"SF{n}")
    await FanOut(store, Audience(store, {KIND: read}), shops.labels, courier=courier).turn()
    assert len(courier.got) == 3 and not courier.open
    assert len(await lanes(store)) == 5


async def test_a_claim_whose_answer_was_lost_is_asked_for_again(
    store: Store, shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    fan_out = store.fan_out

    async def losing(*args: Any, **how: Any) -> Fanned:
        await fan_out(*args, **how)
        raise StoreDown("the answer was lost")

    monkeypatch.setattr(store, "fan_out", losing)
    courier = Slots(9)
    id = await commit(store, "SF1")
    await FanOut(store, Audience(store, {KIND: read}), shops.labels, courier=courier).turn()
    assert [(one.destination, one.id, one.body) for one in courier.got] == [("orders:acme", id, b"{0}")]


async def test_an_offer_ends_with_its_turn_also_where_the_turn_is_cut_off(store: Store, shops: Shops) -> None:
    """Or the courier would wait for it when it is to end."""
    await listen(store, "sub_1")
    await commit(store, "SF1")
    turns = Cut(-1, When.UNSENT)
    courier = Slots(3)
    fan_out = FanOut(store, Audience(store, {KIND: read}), shops.labels, courier=courier)
    with watching():
        await turns.run(fan_out.turn())
        for when in When:
            for at in range(turns.awaits):
                await commit(store, f"SF-{when.name}-{at}")
                await Cut(at, when).run(fan_out.turn())
                assert not courier.open
        await fan_out.turn()
    assert await _all_fanned(store)


async def _all_fanned(store: Store) -> bool:
    return not any(entries for _, entries in await asyncio.gather(*(store.unfanned(n) for n in range(store.shards))))


async def test_a_filter_by_shop_reads_the_labels_of_that_account_alone(
    store: Store, fan_out: FanOut, shops: Shops
) -> None:
    await listen(store, "sub_north", "north")
    north, south = await commit(store, "SF1"), await commit(store, "SF2")
    await commit(store, "SF3", account="other")
    shops.of = {north: ("north", "sf"), south: ("south", "sf")}
    await fan_out.turn()
    assert {pair for pair in await heads(store) if pair[0] == "sub_north"} == {("sub_north", north)}
    assert sorted(shops.asked[0]) == sorted([north, south])
    assert len(shops.asked) == 1


async def test_nothing_is_read_where_nobody_filters(store: Store, fan_out: FanOut, shops: Shops) -> None:
    await listen(store, "sub_a")
    await commit(store, "SF1")
    await fan_out.turn()
    assert shops.asked == []


async def test_a_page_that_was_full_says_that_there_is_more(store: Store, fan_out: FanOut) -> None:
    id = await commit(store, "SF1", changes=500)
    assert await fan_out.turn() == {store.shard_of_id(id)}
    assert await fan_out.turn() == frozenset()


async def test_listeners_are_read_again_only_when_one_was_written(store: Store) -> None:
    reads = []

    def counting(records: Mapping[tuple[str, str], bytes]) -> list[Listening]:
        reads.append(len(records))
        return read(records)

    audience = Audience(store, {KIND: counting})
    await listen(store, "sub_a")
    await audience.now()
    await audience.now()
    await listen(store, "sub_b")
    assert {one.id for one in (await audience.now())["acme"]} == {"sub_a", "sub_b"}
    await store.remove_record(KIND, "acme", "sub_a")
    assert {one.id for one in (await audience.now())["acme"]} == {"sub_b"}
    assert reads == [1, 2, 1]


def test_a_shipment_that_is_gone_is_kept_from_no_filter() -> None:
    entry = FeedEntry("1-0", "acme", "shp_1", 3, "deleted", 1)
    some = refs([entry], {"acme": [Listening("sub_north", "acme", "north")]}, {"shp_1": None}, "orders:")
    assert [ref.destination for ref in some] == ["orders:acme", "sub_north"]
