"""From the shop and back to it: what it pushes is followed, and what becomes of it is told where it stands there."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.pipeline.daemon import Desk, running, until
from tracker import cli
from tracker.order_stores.conformance import Trouble

from .conftest import listening
from .peers.peer import Peer
from .peers.shopify import ShopifyPeer
from .peers.woocommerce import WooCommercePeer

WEBHOOK_SECRET = "not a real secret of a shop"
PUSH = Path(__file__).parents[2] / "carriers" / "sf" / "fixtures" / "push-delivered.json"
WAYBILL, ORDER = "SF1390000000117", "1001"
TO = {"phone": "138 0000 0000", "zip": "200000", "postcode": "200000"}

FULFILLED: dict[str, dict[str, Any]] = {
    "shopify": {
        "name": f"#{ORDER}.1",
        "tracking_company": "SF Express",
        "tracking_numbers": [WAYBILL],
        "destination": TO,
    },
    "woocommerce": {
        "id": int(ORDER),
        "shipping": TO,
        "meta_data": [
            {
                "key": "_wc_shipment_tracking_items",
                "value": [{"tracking_provider": "", "custom_tracking_provider": "顺丰", "tracking_number": WAYBILL}],
            }
        ],
    },
}
TOLD = {"shopify": ["DELIVERED"], "woocommerce": [f"SF Express {WAYBILL}: Delivered"]}


def here(desk: Desk, url: str) -> str:
    """An address of the daemon, whose port nobody knew when it was started."""
    return desk.url + URL(url).raw_path


async def push(desk: Desk, url: str, platform: str, said: Mapping[str, Any]) -> int:
    """Push what a shop says, as it signs it."""
    body = json.dumps(said).encode()
    signature = base64.b64encode(hmac.digest(WEBHOOK_SECRET.encode(), body, "sha256")).decode()
    headers = {
        "shopify": {"X-Shopify-Topic": "fulfillments/create", "X-Shopify-Hmac-Sha256": signature},
        "woocommerce": {"X-WC-Webhook-Topic": "order.updated", "X-WC-Webhook-Signature": signature},
    }[platform]
    async with desk.http.post(here(desk, url), data=body, headers=headers) as answer:
        return answer.status


@pytest.mark.parametrize("peer", [ShopifyPeer, WooCommercePeer])
async def test_a_fulfilment_that_the_shop_pushed_is_delivered_and_the_shop_is_told(
    tmp_path: Path, peer: type[Peer]
) -> None:
    async with listening(peer()) as shop, running(tmp_path, ports=[shop.base.rpartition(":")[2]]) as (desk, _):
        platform = shop.platform.slug
        shop.sell(ORDER, [WAYBILL])
        held = {**shop.credentials, "webhook_secret": WEBHOOK_SECRET}
        made = await desk("POST", "/v1/order-stores", {"platform": platform, "base": shop.base, "credentials": held})
        for _ in range(2):  # platforms push again what they are not sure of
            assert await push(desk, made["webhook_url"], platform, FULFILLED[platform]) == 200
        [followed] = (await desk("GET", "/v1/shipments"))["shipments"]
        assert (followed["waybill"], followed["carrier"], followed["status"]) == (WAYBILL, "sf", "pending")
        said = {"carrier": "sf", "name": "SF", "credentials": {"partner_id": "P", "checkword": "C"}}
        carrier = await desk("POST", "/v1/connections", said)
        async with desk.http.post(here(desk, carrier["webhook_url"]), json=json.loads(PUSH.read_bytes())) as answer:
            assert answer.status == 200
        await until(lambda: shop.told(ORDER, WAYBILL) == TOLD[platform])
        assert (await desk("GET", "/v1/dead-letters"))["dead_letters"] == []


@pytest.mark.parametrize("peer", [ShopifyPeer, WooCommercePeer])
async def test_a_fulfilment_whose_push_was_lost_is_found_and_asked_for_at_once(
    tmp_path: Path, peer: type[Peer]
) -> None:
    async with listening(peer()) as shop, running(tmp_path, ports=[shop.base.rpartition(":")[2]]) as (desk, _):
        shop.sell(ORDER, [WAYBILL])
        said = {"platform": shop.platform.slug, "base": shop.base, "credentials": dict(shop.credentials)}
        made = await desk("POST", "/v1/order-stores", said)
        assert made["backfill"] is None
        path = f"/v1/order-stores/{made['id']}"

        async def complete(found: int) -> bool:
            asked = (await desk("GET", path))["backfill"]
            return asked is not None and not asked["under_way"] and asked["found"] >= found

        while not await complete(1):  # by itself
            await asyncio.sleep(0.05)
        [followed] = (await desk("GET", "/v1/shipments"))["shipments"]
        assert followed["waybill"] == WAYBILL
        shop.sell("1002", ["SF1390000000118"])
        assert await asyncio.to_thread(cli.main, ["backfill", "--url", desk.url, "--key", desk.key]) == 0
        while not await complete(2):
            await asyncio.sleep(0.05)
        assert len((await desk("GET", "/v1/shipments"))["shipments"]) == 2
        shop.trouble(Trouble.STRANGER)
        asked = await desk("POST", f"{path}/backfill", {})
        while asked["under_way"]:
            asked = (await desk("GET", path))["backfill"]
            await asyncio.sleep(0.05)
        assert "does not accept the credentials" in asked["problem"]


async def test_where_each_role_has_a_process_the_one_that_tells_shops_asks_them(
    tmp_path: Path, shopify: ShopifyPeer
) -> None:
    """Both keep to one rate then."""
    port = shopify.base.rpartition(":")[2]
    async with running(tmp_path, ports=[port], processes="roles", **{"backfill.every_min": "0"}) as (desk, _):
        shopify.sell(ORDER, [WAYBILL])
        said = {"platform": "shopify", "base": shopify.base, "credentials": dict(shopify.credentials)}
        made = await desk("POST", "/v1/order-stores", said)
        assert (await desk("POST", f"/v1/order-stores/{made['id']}/backfill", {}))["under_way"]
        while not (await desk("GET", "/v1/shipments"))["shipments"]:
            await asyncio.sleep(0.1)
