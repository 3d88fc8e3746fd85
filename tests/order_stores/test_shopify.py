"""What Shopify is told, and what it may push to us."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
from msgspec import structs

from tracker.errors import BadInput
from tracker.order_stores.conformance import WAYBILL, Trouble, desk
from tracker.order_stores.platforms.shopify import check, fulfilments, platform
from tracker.order_stores.sdk import Fulfilment, ParseError, Push
from tracker.store.types import Outcome

from .peers.shopify import SECRET, ShopifyPeer
from .peers.shopify_costs import LONGEST, Bucket

STEPS = ("info_received", "picked_up", "in_transit", "out_for_delivery", "delivery_failed", "available_for_pickup")
PUSH: dict[str, Any] = {
    "id": 255858046,
    "order_id": 820982911946154508,
    "status": "success",
    "name": "#1001.1",
    "tracking_company": "SF Express",
    "tracking_number": WAYBILL,
    "tracking_numbers": [WAYBILL, "SF1000000000002"],
}


def push(body: Any, topic: str = "fulfillments/create") -> Push:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Push(headers={"x-shopify-topic": topic}, query={}, body=raw)


async def test_each_status_has_its_word(shopify: ShopifyPeer) -> None:
    shopify.sell("1001", [WAYBILL])
    async with desk(shopify) as fed:
        for revision, status in enumerate((*STEPS, "delivered"), 1):
            await fed.deliver(status, revision)
        assert fed.told() == [
            "CONFIRMED",
            "CARRIER_PICKED_UP",
            "IN_TRANSIT",
            "OUT_FOR_DELIVERY",
            "ATTEMPTED_DELIVERY",
            "READY_FOR_PICKUP",
            "DELIVERED",
        ]


async def test_an_event_has_the_time_and_the_words_of_its_scan(shopify: ShopifyPeer) -> None:
    shopify.sell("1001", [WAYBILL])
    async with desk(shopify) as fed:
        await fed.deliver("picked_up", 1)
    [[event]] = shopify.events.values()
    assert (event["happenedAt"], event["message"]) == ("2026-11-20T01:00:00Z", "scan 1")


async def test_what_shopify_has_no_word_for_is_not_asked_about(shopify: ShopifyPeer) -> None:
    async with desk(shopify) as fed:
        assert (await fed.deliver("returning", 1)).outcome is Outcome.DONE
    assert shopify.requests == 0


async def test_an_order_store_has_the_last_word_on_words(shopify: ShopifyPeer) -> None:
    shopify.sell("1001", [WAYBILL])
    async with desk(shopify, statuses={"returning": "FAILURE", "picked_up": ""}) as fed:
        await fed.deliver("picked_up", 1)
        await fed.deliver("returning", 2)
        assert fed.told() == ["FAILURE"]


@pytest.mark.parametrize("number", ["1002", 'x" OR name:"1001'])
async def test_an_order_without_the_fulfilment_is_waited_for(shopify: ShopifyPeer, number: str) -> None:
    shopify.sell("1001", [WAYBILL])
    async with desk(shopify) as fed:
        answer = await fed.deliver("picked_up", 1, order=number)
    assert answer.outcome is Outcome.RETRY
    assert f"has no fulfilment with the tracking number {WAYBILL}" in answer.detail


async def test_an_update_costs_three_queries_and_none_more_than_one_may(shopify: ShopifyPeer) -> None:
    """At the platform's own pace they cost less than a shop on its standard plan gets back, a dozen events in."""
    shopify.sell("1001", [WAYBILL])
    shopify.platform = structs.replace(platform, rate=1_000.0)
    async with desk(shopify) as fed:
        for revision in range(1, 13):
            await fed.deliver("delivered" if revision % 2 else "out_for_delivery", revision)
    assert shopify.seen == [("POST", "/admin/api/2026-10/graphql.json")] * 36
    assert max(shopify.asked) <= LONGEST
    assert platform.rate * sum(shopify.bucket.spent[-3:]) / 3 <= shopify.bucket.restore


async def test_a_bucket_that_is_empty_costs_no_parcel_its_event(shopify: ShopifyPeer) -> None:
    """Eight lanes at once, over a bucket that holds no query just now: nothing is asked until it does, all are told."""
    orders = {str(number): f"SF10000000002{number}" for number in range(10, 18)}
    for number, waybill in orders.items():
        shopify.sell(number, [waybill])
    shopify.bucket = Bucket(500.0, 100.0)
    shopify.bucket.take(300)
    shopify.platform = structs.replace(platform, rate=1_000.0)
    async with desk(shopify) as fed:

        async def until_it_is_told(order: str, waybill: str) -> None:
            while True:
                answer = await fed.deliver("delivered", 1, order=order, waybill=waybill)
                if answer.outcome is Outcome.DONE:
                    return
                assert answer.outcome is Outcome.RETRY
                assert answer.retry_after_ms > 0
                await asyncio.sleep(answer.retry_after_ms / 1000)

        async with asyncio.timeout(60):
            await asyncio.gather(*itertools.starmap(until_it_is_told, orders.items()))
    assert [shopify.told(*one) for one in orders.items()] == [["DELIVERED"]] * 8
    assert 0 < shopify.throttled <= 16


async def test_a_fulfilment_of_several_parcels_is_found_by_each(shopify: ShopifyPeer) -> None:
    """Up to the ten that are looked at."""
    waybills = [f"SF10000000003{n:02}" for n in range(10)]
    shopify.sell("1001", waybills)
    shopify.orders["#1001"] = dict.fromkeys(waybills, "gid://shopify/Fulfillment/7")
    async with desk(shopify) as fed:
        assert (await fed.deliver("delivered", 1, waybill=waybills[-1])).outcome is Outcome.DONE
    assert [event["status"] for event in shopify.events["gid://shopify/Fulfillment/7"]] == ["DELIVERED"]


async def test_an_app_gets_a_token_for_its_secret_once(shopify: ShopifyPeer) -> None:
    shopify.sell("1001", [WAYBILL])
    shopify.credentials = {"client_id": "id", "client_secret": SECRET}
    async with desk(shopify) as fed:
        await asyncio.gather(*(fed.deliver("picked_up", revision) for revision in (1, 2, 3)))
        assert (shopify.grants, fed.told()[-1]) == (1, "CARRIER_PICKED_UP")
        shopify.trouble(Trouble.STRANGER)
        await fed.deliver("delivered", 4)
        shopify.trouble(None)
        assert (await fed.deliver("delivered", 4)).outcome is Outcome.DONE
    assert shopify.grants == 2


async def test_a_token_that_ends_is_renewed_and_a_wrong_secret_waits(shopify: ShopifyPeer) -> None:
    shopify.sell("1001", [WAYBILL])
    shopify.life_s = 0
    shopify.credentials = {"client_id": "id", "client_secret": SECRET}
    async with desk(shopify) as fed:
        await fed.deliver("picked_up", 1)
    assert shopify.grants == 3
    shopify.credentials = {"client_id": "id", "client_secret": "wrong"}
    async with desk(shopify) as fed:
        answer = await fed.deliver("delivered", 2)
    assert (answer.outcome, answer.detail) == (
        Outcome.RETRY,
        "answered 400, gave no token: {'error': 'invalid_client'}",
    )


@pytest.mark.parametrize("lacking", [{}, {"client_id": "id"}, {"client_secret": SECRET}, {"access_token": ""}])
def test_a_token_or_what_gets_one_is_required(lacking: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="unless there are client_id and client_secret"):
        check(lacking)


def test_a_push_names_each_waybill_of_a_new_fulfilment() -> None:
    assert fulfilments(push(PUSH)) == [
        Fulfilment(order_number="#1001", waybill=waybill, carrier="SF Express") for waybill in PUSH["tracking_numbers"]
    ]


def test_a_fulfilment_may_have_no_waybill_yet_or_a_single_one() -> None:
    assert fulfilments(push(PUSH | {"tracking_numbers": [], "tracking_number": None})) == []
    alone = PUSH | {"tracking_numbers": [], "tracking_company": None}
    assert fulfilments(push(alone)) == [Fulfilment(order_number="#1001", waybill=WAYBILL)]


def test_a_cancelled_fulfilment_and_another_topic_say_nothing() -> None:
    assert fulfilments(push(PUSH | {"status": "cancelled"})) == []
    assert fulfilments(push(PUSH, "orders/paid")) == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", {"name": "1001"}, {"name": "#1.1", "tracking_numbers": "SF1"}])
def test_a_push_that_is_none_is_told_by_its_path(body: Any) -> None:
    with pytest.raises(ParseError, match=r"\$"):
        fulfilments(push(body))
