"""What a house-made platform gets: docs/order-stores.md in action."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tracker.order_stores.conformance import OTHER, WAYBILL, desk
from tracker.store.types import Outcome

from .peers.http import HousePeer


async def test_the_order_comes_whole_with_every_parcel(house: HousePeer) -> None:
    async with desk(house) as fed:
        await fed.deliver("delivered", 3)
        await fed.deliver("picked_up", 1, waybill=OTHER)
    order = house.orders["1001"]
    assert (order["number"], order["status"]) == ("1001", "shipped")
    assert [(one["waybill"], one["status"]) for one in order["parcels"]] == [
        (WAYBILL, "delivered"),
        (OTHER, "picked_up"),
    ]


@pytest.mark.parametrize(("statuses", "word"), [({}, "shipped"), ({"shipped": "SENT 已发货"}, "SENT 已发货")])
async def test_the_status_of_the_order_is_told_in_the_words_of_the_house(
    house: HousePeer, statuses: dict[str, str], word: str
) -> None:
    async with desk(house, statuses=statuses) as fed:
        await fed.deliver("in_transit", 1)
    assert [said["status"] for said in map(msgspec.json.decode, house.taken.values())] == [word]
    assert house.orders["1001"]["status"] == "shipped"


async def test_parcels_told_at_once_leave_the_order_as_it_is(house: HousePeer) -> None:
    waybills = [f"SF10000000001{n:02}" for n in range(12)]
    async with desk(house) as fed:
        await asyncio.gather(*(fed.deliver("delivered", 5, waybill=waybill) for waybill in waybills))
    assert house.orders["1001"]["status"] == "completed"
    assert len(house.orders["1001"]["parcels"]) == 12


async def test_what_was_overtaken_on_its_way_is_told_anew(house: HousePeer) -> None:
    house.slow[f"shp_{WAYBILL}"] = go = asyncio.Event()
    async with desk(house) as fed, asyncio.TaskGroup() as tasks:
        tasks.create_task(fed.deliver("delivered", 1))
        while not house.seen:
            await asyncio.sleep(0.01)
        await fed.deliver("delivered", 1, waybill=OTHER)
        go.set()
    assert [one["waybill"] for one in house.orders["1001"]["parcels"]] == [WAYBILL, OTHER]


async def test_the_same_said_again_is_the_same_message(house: HousePeer) -> None:
    """A reply that was lost: the receiver may drop what it has by its `webhook-id`."""
    async with desk(house) as fed:
        await fed.deliver("delivered", 1)
        await fed.deliver("delivered", 1)
        assert (len(house.seen), len(house.taken)) == (2, 1)
        await fed.deliver("picked_up", 1, waybill=OTHER)
    assert len(house.taken) == 2


@pytest.mark.parametrize("number", [".", ".."])
async def test_a_number_that_would_lead_out_of_the_address_is_not_told(house: HousePeer, number: str) -> None:
    async with desk(house) as fed:
        assert (await fed.deliver("picked_up", 1, order=number)).outcome is Outcome.DEAD
    assert house.seen == []


async def test_a_number_is_one_step_of_the_address(house: HousePeer) -> None:
    async with desk(house) as fed:
        await fed.deliver("picked_up", 1, order="双11 A&B?")
    assert house.seen == [("PUT", "/双11 A&B?")]
    assert list(house.orders) == ["双11 A&B?"]
