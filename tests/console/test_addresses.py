"""The addresses that take pushes, in the console: whose they are, and a new one that is shown once."""

from __future__ import annotations

import re

from msgspec import structs

from tracker.accounts import Scope
from tracker.connections.connection import Connection
from tracker.order_stores import Watermarks

from .conftest import NOW, Browser, Desk
from .test_pages import EN, ZH, page, words
from .test_signin import send
from .test_subscriptions import signed_in

SHOP = {"platform": "woocommerce", "base": "https://shop.example", "name": "the shop"}
HOLDS = {"consumer_key": "ck_1", "consumer_secret": "cs_1"}


async def connected(desk: Desk, account: str = "default") -> Connection:
    return await desk.connections.create(account, carrier="acme", name="north", now=NOW * 1000)


async def form_of(browser: Browser, kind: str, id: str) -> dict[str, str]:
    found = re.search(rf'action="/addresses/{kind}/{id}/rotate">(.*?)</form>', await page(browser, "/addresses"), re.S)
    assert found, "no form"
    return dict(re.findall(r'name="(form)" value="([^"]*)"', found[1]))


async def pressed(browser: Browser, kind: str, id: str, hours: str = "24") -> tuple[int, str]:
    """The status and the page that answers to the button."""
    form = await form_of(browser, kind, id) | {"overlap_h": hours}
    async with browser.post(f"/addresses/{kind}/{id}/rotate", data=form, headers=EN) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.text()


async def test_the_page_names_connections_and_shops_that_push_without_their_secrets(desk: Desk) -> None:
    assert "No addresses yet" in words(await page(await desk.browse(), "/addresses"))
    connection = await connected(desk)
    store = await desk.shops.create("default", **SHOP, credentials=HOLDS, now=NOW * 1000)
    for headers, expected in ((EN, "Acme Post con_"), (ZH, "极速快递 con_")):
        html = await page(await desk.browse(), "/addresses", headers=headers)
        assert expected in words(html)
        assert f"WooCommerce {store.id} the shop" in words(html)
        assert connection.path_secret not in html
        assert store.path_secret not in html


async def test_the_page_says_how_far_a_shop_was_asked_what_it_did_not_push(desk: Desk) -> None:
    store = await desk.shops.create("default", **SHOP, credentials=HOLDS, now=NOW * 1000)
    marks, browser = Watermarks(desk.store), await desk.browse()
    taken = await marks.take(store, since=0, now=NOW * 1000)
    assert taken
    asked = structs.replace(taken, done_at=NOW * 1000 - 3_600_000)
    assert await marks.keep(store, taken, asked)
    assert "Orders looked through 11-23 01:13 UTC" in words(await page(browser, "/addresses"))
    assert await marks.keep(store, asked, structs.replace(asked, problem="answered 401: <b>who</b> are you?"))
    html = await page(browser, "/addresses", headers=ZH)
    assert "店铺订单核对失败: answered 401: &lt;b&gt;who&lt;/b&gt; are you?" in html
    assert "looked through" not in html


async def test_a_button_makes_a_new_address_that_is_shown_once_and_lets_the_old_one_go_on(desk: Desk) -> None:
    browser, connection = await signed_in(desk, Scope.ADMIN), await connected(desk)
    store = await desk.shops.create("default", **SHOP, credentials=HOLDS, now=NOW * 1000)
    status, html = await pressed(browser, "connection", connection.id)
    now = await desk.connections.get("default", connection.id)
    assert now
    assert now.path_secret != connection.path_secret
    assert (status, f"https://parcels.example/hooks/{connection.id}/{now.path_secret}" in html) == (200, True)
    assert "goes on until 11-24 02:13 UTC" in words(html)
    again = await page(browser, "/addresses")
    assert now.path_secret not in again
    assert "goes on until 11-24 02:13 UTC" in words(again)
    status, html = await pressed(browser, "order-store", store.id, "0")
    ended = await desk.shops.get("default", store.id)
    assert ended
    assert (status, ended.old_secret) == (200, "")
    assert f"https://parcels.example/order-stores/{store.id}/{ended.path_secret}" in html


async def test_only_a_key_of_the_scope_admin_with_a_form_of_ours_replaces_an_address_and_each_is_in_the_trail(
    desk: Desk,
) -> None:
    """As with the API, where a new address needs that scope too."""
    connection = await connected(desk)
    theirs = await connected(desk, (await desk.accounts.create("other", now=NOW * 1000)).name)
    admin, writer = await signed_in(desk, Scope.ADMIN), await signed_in(desk)
    form = await form_of(admin, "connection", connection.id) | {"overlap_h": "24"}
    assert "/rotate" not in await page(writer, "/addresses")
    path = f"/addresses/connection/{connection.id}/rotate"
    for browser, fields, headers in (
        (writer, form, {}),
        (admin, form | {"form": "0" * 64}, {}),
        (admin, form | {"overlap_h": "-1"}, {}),
        (admin, form, {"Sec-Fetch-Site": "cross-site"}),
        (await desk.browse(), form, {}),
    ):
        assert (await send(browser, fields, path, headers=headers))[0] == 404
    for kind, id in (("connection", theirs.id), ("connection", "con_0"), ("shop", connection.id), ("order-store", "x")):
        assert (await send(admin, form, f"/addresses/{kind}/{id}/rotate"))[0] == 404
    assert (await send(await desk.browse(account=""), form, path))[1].startswith("/login")
    for account, one in (("default", connection), ("other", theirs)):
        assert await desk.connections.get(account, one.id) == one
    assert (await pressed(admin, "connection", connection.id))[0] == 200
    await desk.audit.write()
    [latest, *_], _ = await desk.audit.page("default", None, 10)
    told = (latest.act.action, latest.act.target, latest.act.status)
    assert told == ("/addresses/{kind}/{id}/rotate", f"connection/{connection.id}", 200)
