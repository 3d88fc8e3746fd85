"""What WooCommerce is told, and what it may push to us."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracker.order_stores.conformance import OTHER, WAYBILL, desk
from tracker.order_stores.platforms.woocommerce import fulfilments, greeting
from tracker.order_stores.sdk import Fulfilment, ParseError, Push
from tracker.store.types import Outcome

from .peers.woocommerce import WooCommercePeer

ITEMS = [
    {"tracking_provider": "ups", "custom_tracking_provider": "", "tracking_number": "1Z999AA10123456784"},
    {"tracking_provider": "", "custom_tracking_provider": "顺丰", "tracking_number": WAYBILL},
]
PUSH: dict[str, Any] = {
    "id": 727,
    "number": "727",
    "status": "completed",
    "meta_data": [
        {"id": 1, "key": "_order_source", "value": "web"},
        {"id": 2, "key": "_wc_shipment_tracking_items", "value": ITEMS},
    ],
}


def push(body: Any, topic: str = "order.updated") -> Push:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Push(headers={"x-wc-webhook-topic": topic}, query={}, body=raw)


async def test_an_order_is_completed_when_every_parcel_is_there(woocommerce: WooCommercePeer) -> None:
    woocommerce.sell("1001", [WAYBILL, OTHER])
    seen = []
    async with desk(woocommerce) as fed:
        for status, revision, waybill in (("picked_up", 1, OTHER), ("delivered", 2, WAYBILL), ("delivered", 2, OTHER)):
            await fed.deliver(status, revision, waybill=waybill)
            seen.append(woocommerce.orders["1001"]["status"])
    assert seen == ["processing", "processing", "completed"]


async def test_its_metadata_lists_every_parcel(woocommerce: WooCommercePeer) -> None:
    woocommerce.sell("1001", [WAYBILL, OTHER])
    async with desk(woocommerce) as fed:
        await fed.deliver("in_transit", 1)
        await fed.deliver("picked_up", 1, waybill=OTHER)
        await fed.deliver("delivered", 2)
    [_, meta] = woocommerce.orders["1001"]["meta_data"]
    told = [(parcel["waybill"], parcel["carrier"], parcel["status"]) for parcel in meta["value"]]
    assert (meta["key"], told) == ("milepost_parcels", [(WAYBILL, "sf", "delivered"), (OTHER, "sf", "picked_up")])


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        ({}, [("SF Express SF1000000000001: Picked up", False)]),
        ({"notes": "customer", "language": "zh"}, [("顺丰速运 SF1000000000001：已揽收", True)]),
        ({"notes": "none"}, []),
    ],
)
async def test_a_note_is_for_whom_and_in_which_language_one_likes(
    woocommerce: WooCommercePeer, options: dict[str, str], notes: list[tuple[str, bool]]
) -> None:
    woocommerce.sell("1001", [WAYBILL])
    async with desk(woocommerce, options=options) as fed:
        await fed.deliver("info_received", 1)
        await fed.deliver("picked_up", 2)
        await fed.deliver("picked_up", 2)
    assert [(one["note"], one["customer_note"]) for one in woocommerce.notes["1001"][1:]] == notes


async def test_a_step_that_comes_back_gets_a_note_again(woocommerce: WooCommercePeer) -> None:
    woocommerce.sell("1001", [WAYBILL])
    async with desk(woocommerce) as fed:
        for revision, status in enumerate(("delivered", "available_for_pickup", "delivered"), 1):
            await fed.deliver(status, revision)
        assert [note.rpartition(": ")[2] for note in fed.told()] == ["Delivered", "Ready for collection", "Delivered"]


@pytest.mark.parametrize("closed", ["cancelled", "refunded", "failed"])
async def test_an_order_that_the_shop_closed_stays_so(woocommerce: WooCommercePeer, closed: str) -> None:
    woocommerce.sell("1001", [WAYBILL])
    woocommerce.orders["1001"]["status"] = closed
    async with desk(woocommerce) as fed:
        await fed.deliver("delivered", 1)
    assert woocommerce.orders["1001"]["status"] == closed


async def test_what_is_so_already_is_not_written_again(woocommerce: WooCommercePeer) -> None:
    woocommerce.sell("1001", [WAYBILL])
    async with desk(woocommerce) as fed:
        await fed.deliver("delivered", 1)
        await fed.deliver("delivered", 1)
    assert woocommerce.puts == 1


@pytest.mark.parametrize(
    ("number", "why"), [("A-1", "a whole number"), ("4711", "woocommerce_rest_shop_order_invalid")]
)
async def test_an_order_that_is_not_there_is_dead(woocommerce: WooCommercePeer, number: str, why: str) -> None:
    async with desk(woocommerce) as fed:
        answer = await fed.deliver("picked_up", 1, order=number)
    assert (answer.outcome, why in answer.detail) == (Outcome.DEAD, True)


def test_a_push_names_the_waybills_of_the_tracking_extension() -> None:
    assert fulfilments(push(PUSH)) == [
        Fulfilment(order_number="727", waybill="1Z999AA10123456784", carrier="ups"),
        Fulfilment(order_number="727", waybill=WAYBILL, carrier="顺丰"),
    ]
    assert fulfilments(push(PUSH, "product.updated")) == []
    assert fulfilments(push(PUSH | {"meta_data": []})) == []


@pytest.mark.parametrize("body", [b"", b"[]", {"id": None}, {"id": 7, "meta_data": 7}])
def test_a_push_that_is_none_is_told_by_its_path(body: Any) -> None:
    with pytest.raises(ParseError, match=r"\$"):
        fulfilments(push(body))


@pytest.mark.parametrize(("body", "is_one"), [(b"webhook_id=12", True), (b"webhook_id=12&x=1", False), (b"{}", False)])
def test_a_greeting_is_known(body: bytes, is_one: bool) -> None:
    assert greeting(push(body)) is is_one
