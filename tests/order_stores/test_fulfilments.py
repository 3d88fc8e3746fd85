"""A platform's push of a new fulfilment registers its waybill, over real HTTP into the real store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs

from carriers.sdk import Push
from tracker.ingest.types import Registration
from tracker.model import Details
from tracker.order_stores import Platforms
from tracker.order_stores.sdk import Fulfilment
from tracker.replay import Replay, Wanted
from tracker.store import Store

from .counter import SECRET, Counter
from .test_shopify import PUSH as SHOPIFY
from .test_woocommerce import PUSH as WOOCOMMERCE

DHL = {"api_key": "k"}
PARCEL = SHOPIFY | {
    "tracking_company": "UPS",
    "tracking_number": "1Z999AA10123456784",
    "tracking_numbers": ["1Z999AA10123456784"],
    "destination": {"phone": "+1 555 010-4477", "zip": "K2P 2L8"},
}


@pytest.fixture
async def counter(store: Store) -> AsyncIterator[Counter]:
    made = Counter(store)
    app = web.Application()
    app.add_routes(made.handler.routes())
    async with TestClient(TestServer(app)) as made.client:
        yield made


async def test_a_replaced_address_takes_pushes_until_its_overlap_ends(counter: Counter) -> None:
    old, now = await counter.open("shopify"), round(time.time() * 1000)
    new = await counter.order_stores.rotate("acme", old.id, overlap_s=60, now=now)
    assert [await counter.push(to, PARCEL) for to in (old, new)] == [200, 200]
    newer = await counter.order_stores.rotate("acme", old.id, overlap_s=0, now=now)
    assert [await counter.push(to, PARCEL) for to in (old, new, newer)] == [401, 401, 200]


async def test_a_new_fulfilment_of_shopify_is_followed_under_its_order(counter: Counter) -> None:
    to = await counter.open("shopify", shop="north")
    assert [await counter.push(to, PARCEL), await counter.push(to, PARCEL)] == [200, 200]
    wanted = Details(order_number="#1001", shop="north", phone_tail="4477", postal_code="K2P 2L8")
    assert await counter.followed() == [("1Z999AA10123456784", "ups", wanted)]


async def test_an_order_of_woocommerce_brings_its_waybills(counter: Counter) -> None:
    to = await counter.open("woocommerce")
    said = WOOCOMMERCE | {"billing": {"phone": "138 0000 1234"}, "shipping": {"phone": "", "postcode": "310000"}}
    assert await counter.push(to, said) == 200
    assert [
        (waybill, carrier, details.order_number, details.phone_tail)
        for waybill, carrier, details in (await counter.followed())
    ] == [("1Z999AA10123456784", "ups", "727", "1234"), ("SF1000000000001", "sf", "727", "1234")]


@pytest.mark.parametrize(
    ("name", "number", "carrier"),
    [
        ("FedEx", "999999999999", "fedex"),  # the name tells what the number would not
        ("顺丰速运", "SF1000000000001", "sf"),
        ("sf-express", "SF1000000000001", "sf"),
        ("Tea House's own van", "1Z999AA10123456784", "ups"),  # the number tells what the name does not
        ("", "1Z999AA10123456784", "ups"),
    ],
)
async def test_the_carrier_is_told_by_its_name_or_by_the_number(
    counter: Counter, name: str, number: str, carrier: str
) -> None:
    to = await counter.open("shopify")
    said = PARCEL | {"tracking_company": name, "tracking_numbers": [number]}
    assert await counter.push(to, said) == 200
    assert [(waybill, slug) for waybill, slug, _ in await counter.followed()] == [(number, carrier)]


async def test_a_waybill_that_was_followed_before_joins_its_order(counter: Counter) -> None:
    to = await counter.open("shopify")
    await counter.push(to, PARCEL | {"name": "#1001.1"})
    [(waybill, _, _)] = await counter.followed()
    await counter.push(to, PARCEL | {"name": "#2002.1"})
    assert [details.order_number for _, _, details in await counter.followed()] == ["#1001"]
    [id] = await counter.store.find("acme", [waybill])
    assert id
    await counter.ingest.delete("acme", id, now=2)
    await counter.ingest.register("acme", [_bare(waybill)], now=3)
    await counter.push(to, PARCEL)
    assert [details.order_number for _, _, details in await counter.followed()] == ["#1001"]


def _bare(waybill: str) -> Any:
    return Registration(waybill=waybill, carrier="ups")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (PARCEL | {"tracking_company": "?", "tracking_numbers": ["12345678"]}, "12345678: carrier"),
        (PARCEL | {"tracking_numbers": ["!"]}, "waybill"),
        ({"name": "1001"}, "$.name"),
        (b"<html>", "$"),
    ],
)
async def test_what_can_not_be_followed_is_kept_and_acknowledged(counter: Counter, body: Any, reason: str) -> None:
    to = await counter.open("shopify")
    assert await counter.push(to, body) == 200
    [kept] = await counter.kept()
    assert counter.bad == [kept.carrier]
    assert (kept.carrier, kept.source, reason in kept.reason) == ("shopify", f"{to.id}/push", True)
    assert SECRET not in str(kept.headers)


async def test_a_replay_follows_what_can_be_followed_by_now(counter: Counter) -> None:
    """Its carrier is known meanwhile, say: the push was acknowledged, and the platform will not send it again."""
    to = await counter.open("shopify")
    await counter.push(to, PARCEL | {"tracking_company": "Acme Post", "tracking_numbers": ["73100000000000"]})
    await counter.push(to, b"<html>")
    replay = Replay(counter.ingest, counter.store, counter.connections, counter.registry, counter.handler)
    page = await replay.page("acme", Wanted(), now=1)
    assert (page.read, page.unreadable, await counter.followed()) == ((), 2, [])
    assert any("'Acme Post' is no carrier that we know" in kept.reason for kept in await counter.kept())
    await counter.connections.create("acme", carrier="dhl", credentials=DHL, now=1)
    for dry, left in ((True, 2), (False, 1)):
        page = await replay.page("acme", Wanted(dry_run=dry), now=1)
        assert (len(page.read), page.unreadable, len(await counter.kept())) == (1, 1, left)
    [(waybill, carrier, details)] = await counter.followed()
    assert (waybill, carrier, details.order_number) == ("73100000000000", "dhl", "#1001")


async def test_a_platform_that_breaks_costs_no_push(counter: Counter) -> None:
    to = await counter.open("shopify")
    platform = counter.order_stores.platform_of(to)
    assert platform

    def breaks(push: Push) -> list[Fulfilment]:
        raise RuntimeError("a mistake in the platform")

    counter.order_stores._platforms = Platforms([structs.replace(platform, fulfilments=breaks)])
    assert await counter.push(to, PARCEL) == 200
    assert [kept.reason for kept in await counter.kept()] == ["platform: RuntimeError"]


async def test_a_push_must_be_addressed_and_signed(counter: Counter) -> None:
    to = await counter.open("shopify")
    unsigned = await counter.open("shopify", credentials={"access_token": "t"})
    off = await counter.open("shopify", enabled=False)
    app = await counter.open("shopify", credentials={"client_id": "id", "client_secret": SECRET})
    assert await counter.push(app, PARCEL | {"tracking_numbers": []} | {"tracking_number": None}) == 200
    assert await counter.push(to, PARCEL, secret="guessed") == 401
    assert await counter.push(to, PARCEL, **{"X-Shopify-Hmac-Sha256": "bm8="}) == 401
    assert await counter.push(to, PARCEL, **{"X-Shopify-Hmac-Sha256": ""}) == 401
    assert await counter.push(unsigned, PARCEL) == 401
    assert await counter.push(off, PARCEL) == 404
    async with counter.client.post("/order-stores/ost_unknown/secret") as response:
        assert response.status == 404
    assert await counter.followed() == []


async def test_a_greeting_of_woocommerce_is_answered_though_it_is_not_signed(counter: Counter) -> None:
    to = await counter.open("woocommerce")
    assert await counter.push(to, b"webhook_id=12", **{"X-WC-Webhook-Signature": ""}) == 200
    assert (await counter.followed(), await counter.kept()) == ([], [])


async def test_what_is_of_another_topic_is_acknowledged(counter: Counter) -> None:
    to = await counter.open("shopify")
    assert await counter.push(to, PARCEL, **{"X-Shopify-Topic": "orders/paid"}) == 200
    assert (await counter.followed(), await counter.kept()) == ([], [])
