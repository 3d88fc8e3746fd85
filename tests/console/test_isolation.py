"""A page shows nothing of another account: with its numbers a visitor is told what he is told of numbers that never
were, byte for byte."""

from __future__ import annotations

import re

import pytest
from aiohttp import web

from tracker.console import address_pages, endpoint_pages, pages, shop_pages
from tracker.orders import stated_from
from webhooks.standard import new_secret

from .conftest import NOW, Browser, Desk

# Every page, at each place of its address where something can be named.
ADDRESSES = (
    "/?carrier=acme&shop={shop}",
    "/?cursor={cursor}",
    "/parcels?status=in_transit&cursor={cursor}",
    "/parcels/{id}",
    "/orders?number={order}",
    "/orders?number={order}&attention=1",
    "/drift",
    "/subscriptions",
    "/addresses",
    "/shops",
    "/shops/{order_store}",
    "/subscriptions/{subscription}",
    "/find?q={waybill}",
    "/find?q={order}",
    "/find?q={id}",
)
UNKNOWN = {
    "id": "shp_001234567890",
    "subscription": "sub_0123456789abcdef0123",
    "order_store": "ost_0123456789abcdef0123",
    "waybill": "AC999999",
    "order": "A-0",
    "shop": "nowhere",
    "cursor": "AAABjAAAAAAAAAAAAAAAAA",
}


@pytest.fixture
async def theirs(desk: Desk) -> dict[str, str]:
    """A stalled parcel of an order, in an account of its own."""
    await desk.accounts.create("other", now=NOW * 1000)
    shipment = await desk.stalled("AC000001", account="other", order_number="A-77", shop="lanhai")
    await desk.book.put("other", stated_from("A-77", {"placed_at": "2026-11-20T10:00:00+08:00"}), now=NOW * 1000)
    [_], cursor = await desk.store.page("other", limit=1)
    subscription, _ = await desk.subscriptions.create("other", url="https://lanhai.example/hook", now=NOW * 1000)
    await desk.connections.create("other", carrier="acme", name="lanhai", now=NOW * 1000)
    said = {"platform": "http", "base": "https://lanhai.example", "credentials": {"signing_secret": new_secret()}}
    shop = await desk.shops.create("other", **said, now=NOW * 1000)
    return {
        "order_store": shop.id,
        "subscription": subscription.id,
        "id": shipment.document.id,
        "waybill": "AC000001",
        "order": "A-77",
        "shop": "lanhai",
        "cursor": cursor or "",
    }


async def _page(browser: Browser, address: str, named: dict[str, str]) -> tuple[int, str]:
    """The page, without the names that it was asked with."""
    async with browser.get(address.format_map(named), headers={"Accept-Language": "en"}) as response:
        text = await response.text()
        for kind in re.findall(r"\{(\w+)\}", address):
            text = text.replace(named[kind], f"<{kind}>")
        return response.status, text


@pytest.mark.parametrize("address", ADDRESSES)
async def test_anothers_number_shows_the_page_of_an_unknown_one(
    desk: Desk, theirs: dict[str, str], address: str
) -> None:
    await desk.parcel("AC000002", scans=1, order_number="A-1", shop="mine")
    browser = await desk.browse()
    status, text = await _page(browser, address, theirs)
    assert (status, text) == await _page(browser, address, UNKNOWN)
    assert not [name for name in ("AC000001", "A-77", "lanhai", theirs["id"]) if name in text]


def test_every_page_is_tried() -> None:
    tried = {re.sub(r"\?.*", "", address) for address in ADDRESSES}
    tried |= {"/subscriptions/{id}", "/shops/{id}"}  # whose id is a subscription's, an order store's
    shown = [*pages.routes, *endpoint_pages.routes, *address_pages.routes, *shop_pages.routes]
    missing = [
        one.path for one in shown if isinstance(one, web.RouteDef) and one.method == "GET" and one.path not in tried
    ]
    assert not missing, f"name another account's things in {missing}: add them to ADDRESSES of {__file__}"
