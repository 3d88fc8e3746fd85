"""Order stores in the console: how each does, what it was told, and what a person may do for one that fails."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tests.api.desk import Lanes
from tracker.accounts import Scope
from tracker.order_stores import OrderStore, Watermark
from tracker.order_stores.stores import WATERMARK
from tracker.store.types import Outcome
from webhooks.standard import new_secret

from .conftest import NOW, Browser, Desk
from .test_pages import ZH, page, words
from .test_signin import send
from .test_subscriptions import signed_in

BASE = "https://erp.example/orders"
REFUSED = "refused: answered 422: no such order"


async def made(desk: Desk, **said: Any) -> OrderStore:
    credentials = {"signing_secret": new_secret()}
    return await desk.shops.create(
        "default", platform="http", base=BASE, credentials=credentials, now=NOW * 1000, **said
    )


async def died(desk: Desk, shop: OrderStore) -> Lanes:
    """Two changes that its platform refused."""
    lanes = Lanes(desk.store, shop.destination)
    for waybill in ("AC000001", "AC000002"):
        await desk.parcel(waybill, order_number="A-1")
    await lanes.fan_out()
    assert len(await lanes.settle(Outcome.DEAD, status=None, error=REFUSED)) == 2
    return lanes


async def form(browser: Browser, path: str, deed: str) -> dict[str, str] | None:
    """The fields of that button, None where there is none."""
    found = re.search(rf'action="{path}/{deed}">(.*?)</form>', await page(browser, path))
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', found[1])) if found else None


async def press(browser: Browser, path: str, deed: str) -> str:
    """What the page says after that button."""
    fields = await form(browser, path, deed)
    assert fields, f"no button {deed}"
    status, target = await send(browser, fields, f"{path}/{deed}")
    assert status == 303
    return words(await page(browser, target))


async def test_the_list_says_how_each_does_and_begins_with_the_one_that_fails(desk: Desk) -> None:
    browser = await desk.browse()
    assert "No shops yet" in words(await page(browser, "/shops"))
    await made(desk, name="well")
    await made(desk, name="resting", enabled=False)
    await died(desk, await made(desk, name="failing", shops=("north",)))
    seen = words(await page(browser, "/shops"))
    assert seen.index("failing") < seen.index("resting") < seen.index("well")
    assert "Latest attempts failed: 2" in seen and REFUSED in seen
    assert "最近 2 次同步失败" in words(await page(browser, "/shops", headers=ZH))


async def test_a_page_shows_what_was_told_and_what_was_given_up(desk: Desk) -> None:
    """To who may only look: no button."""
    shop = await made(desk, name="failing", shops=("north",))
    await died(desk, shop)
    html = await page(await desk.browse(), f"/shops/{shop.id}")
    seen = words(html)
    for expected in (BASE, "2 changes were given up", "Given up", REFUSED, "shipment.registered", "north"):
        assert expected in seen
    assert "signing_secret" not in html and "<form method" not in html.partition("<main")[2]


async def test_what_was_given_up_is_told_again_by_a_button(desk: Desk) -> None:
    shop = await made(desk)
    lanes = await died(desk, shop)
    browser = await signed_in(desk)
    assert "2 are on their way again" in await press(browser, f"/shops/{shop.id}", "recover")
    assert len(await lanes.settle()) == 2
    assert await form(browser, f"/shops/{shop.id}", "recover") is None


async def test_one_that_is_off_is_told_nothing_again_before_it_is_on(desk: Desk) -> None:
    """What goes into its lanes then is passed over: it would be gone."""
    shop = await made(desk)
    await died(desk, shop)
    await desk.shops.amend("default", shop.id, enabled=False)
    browser = await signed_in(desk)
    assert "Once the shop is switched on" in words(await page(browser, f"/shops/{shop.id}"))
    fields = await form(browser, f"/shops/{shop.id}", "test")
    assert fields and (await send(browser, fields, f"/shops/{shop.id}/recover"))[0] == 404


async def test_a_test_is_asked_for_by_a_button_of_who_may_write(desk: Desk) -> None:
    shop = await made(desk)
    assert "It was reached" in await press(await signed_in(desk), f"/shops/{shop.id}", "test")
    reader = await signed_in(desk, Scope.READ)
    assert await form(reader, f"/shops/{shop.id}", "test") is None
    assert (await send(reader, {"form": "x"}, f"/shops/{shop.id}/test"))[0] == 404


async def test_one_whose_platform_can_not_be_asked_says_so(desk: Desk) -> None:
    """When it was asked last, what came of that, and why not since."""
    said = {"client_id": "I", "client_secret": "S"}
    base = "https://a.myshopify.com"
    shop = await desk.shops.create("default", platform="shopify", base=base, credentials=said, now=NOW * 1000)
    mark = Watermark(since=1, done_at=NOW * 1000, found=7, problem="answered 403: it does not accept the credentials")
    await desk.store.put_record(WATERMARK, "default", shop.id, msgspec.json.encode(mark))
    browser = await desk.browse()
    assert "Its orders can’t be looked through" in words(await page(browser, "/shops"))
    seen = words(await page(browser, f"/shops/{shop.id}"))
    assert "answered 403: it does not accept the credentials" in seen
    assert "Orders looked through 11-23 02:13 UTC · 7 waybills found" in seen
