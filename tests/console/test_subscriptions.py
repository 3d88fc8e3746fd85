"""Webhook subscriptions in the console: how each does, and what a person may do for one that fails."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.api.desk import Lanes
from tracker.accounts import Scope
from tracker.console import endpoint_pages
from tracker.store.types import Outcome
from webhooks.subscription import Subscription
from webhooks.subscriptions import disable

from .conftest import NOW, Browser, Desk
from .test_pages import EN, ZH, page, words
from .test_signin import send, sign_in

URL = "https://shop.example/hook"
GONE = "the receiver answered 410 Gone"
BUTTONS = [one for one in endpoint_pages.routes if isinstance(one, web.RouteDef) and one.method == "POST"]


async def subscribed(desk: Desk, **said: Any) -> Subscription:
    made, _ = await desk.subscriptions.create("default", url=URL, now=NOW * 1000, **said)
    return made


async def signed_in(desk: Desk, scope: Scope = Scope.WRITE) -> Browser:
    _, key = await desk.accounts.create_key("default", [scope], now=NOW * 1000)
    browser = await desk.browse(account="")
    assert (await sign_in(browser, key))[0] == 303
    return browser


async def died(desk: Desk, subscription: Subscription) -> Lanes:
    """Two changes that were given up for that subscription."""
    lanes = Lanes(desk.store, subscription.id)
    for waybill in ("AC000001", "AC000002"):
        await desk.parcel(waybill)
    await lanes.fan_out()
    assert len(await lanes.settle(Outcome.DEAD)) == 2
    return lanes


async def press(browser: Browser, subscription: Subscription, deed: str, **how: str) -> str:
    """Send the form of that button, as the page has it; what the page says afterwards."""
    path = f"/subscriptions/{subscription.id}"
    form = re.search(rf'action="{path}/{deed}">(.*?)</form>', await page(browser, path))
    assert form, f"no button {deed}"
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))
    status, target = await send(browser, fields, f"{path}/{deed}")
    assert status == 303
    return words(await page(browser, target))


async def test_the_list_says_how_each_does_since_when_and_why_and_begins_with_the_worst(desk: Desk) -> None:
    assert "No webhooks yet" in words(await page(await desk.browse(), "/subscriptions"))
    await subscribed(desk, description="the shop")
    await subscribed(desk, description="the desk", paused=True)
    off = await subscribed(desk, description="the old one")
    await disable(desk.store, "default", off.id, GONE, now=NOW * 1000)
    seen = words(await page(await desk.browse(), "/subscriptions"))
    assert seen.index("the old one") < seen.index("the desk") < seen.index("the shop")
    assert f"Disabled 11-23 02:13 UTC {GONE}" in seen
    seen = words(await page(await desk.browse(), "/subscriptions", headers=ZH))
    assert "已停用 11-23 02:13 UTC 对方返回 410 Gone，不再接收" in seen
    assert "已暂停" in seen


async def test_a_page_shows_what_was_sent_and_what_was_given_up(desk: Desk) -> None:
    subscription = await subscribed(desk, types=["shipment.registered"])
    await died(desk, subscription)
    html = await page(await desk.browse(), f"/subscriptions/{subscription.id}")
    seen = words(html)
    for expected in (
        URL,
        "Latest attempts failed: 2",
        "2 changes were given up",
        "shipment.registered",
        "Given up",
        "/parcels/shp_",
    ):
        assert expected in (html if expected.startswith("/") else seen)
    assert "<form method" not in html.partition("<main")[2]  # nobody signed in, so nobody may do anything


async def test_every_page_says_how_many_were_switched_off_without_anybodys_wish(desk: Desk) -> None:
    by_hand, given_up = await subscribed(desk), await subscribed(desk)
    await desk.subscriptions.amend("default", by_hand.id, enabled=False)
    for path in ("/", "/parcels", "/orders", "/subscriptions", "/drift"):
        assert 'class="off"' not in await page(await desk.browse(), path)
    await disable(desk.store, "default", given_up.id, GONE, now=NOW * 1000)
    for path in ("/", "/parcels", "/orders", "/subscriptions", "/drift"):
        assert '<span class="off" title="1 switched off">1</span>' in await page(await desk.browse(), path)


async def test_a_page_says_what_each_attempt_got_how_long_it_took_and_when_it_is_tried_again(desk: Desk) -> None:
    subscription = await subscribed(desk, payload="thin", rate=2.5)
    lanes = Lanes(desk.store, subscription.id)
    assert "Parcels waiting 0" in words(await page(await desk.browse(), f"/subscriptions/{subscription.id}"))
    await desk.parcel("AC000001")
    await lanes.fan_out()
    said = {"status": 503, "error": "answered 503", "latency_ms": 340.4, "response": "busy"}
    await lanes.settle(Outcome.RETRY, next_at="2026-11-23T05:00:00.000Z", **said)
    for headers, expected in (
        (EN, ("To be retried not before 11-23 05:00 UTC", "answered 503 340 ms busy", "Parcels waiting 1", "2.5 a")),
        (ZH, ("将重试 不早于 11-23 05:00 UTC", "返回 503 340 毫秒 busy", "仅通知 · hmac-sha256 · 每秒最多 2.5 条")),
    ):
        seen = words(await page(await desk.browse(), f"/subscriptions/{subscription.id}", headers=headers))
        for one in expected:
            assert one in seen, seen


async def test_a_test_is_sent_by_a_button_and_stands_in_the_log_as_a_test_that_can_not_be_sent_again(
    desk: Desk,
) -> None:
    subscription, browser = await subscribed(desk), await signed_in(desk)
    assert "The test arrived: answered 200" in await press(browser, subscription, "test")
    for headers, expected in ((EN, "milepost.test Test 1 Delivered"), (ZH, "milepost.test 测试 1 已送达")):
        html = await page(browser, f"/subscriptions/{subscription.id}", headers=headers)
        assert expected in words(html)
        assert "/resend" not in html


async def test_a_webhook_whose_latest_attempts_failed_says_so_at_once(desk: Desk) -> None:
    """Before anything is noted of it: the first of them is enough, and the first that succeeds takes it back."""
    subscription = await subscribed(desk)
    lanes = Lanes(desk.store, subscription.id)
    for waybill in ("AC000001", "AC000002"):
        await desk.parcel(waybill)
    await lanes.fan_out()
    await lanes.settle(Outcome.RETRY, at="2026-11-23T02:14:00.000Z", status=503, error="answered 503")
    for path in ("/subscriptions", f"/subscriptions/{subscription.id}"):
        seen = words(await page(await desk.browse(), path))
        assert "Active" not in seen
        assert "Latest attempts failed: 2" in seen
        assert "最近 2 次推送失败" in words(await page(await desk.browse(), path, headers=ZH))
    await desk.parcel("AC000003")
    await lanes.fan_out()
    await lanes.settle(Outcome.DONE)
    assert "Active" in words(await page(await desk.browse(), "/subscriptions"))


async def test_what_was_given_up_is_sent_again_by_a_button(desk: Desk) -> None:
    subscription = await subscribed(desk)
    lanes = await died(desk, subscription)
    browser = await signed_in(desk)
    assert "2 are on their way again" in await press(browser, subscription, "recover")
    assert len(await lanes.settle()) == 2
    assert "given up" not in words(await page(browser, f"/subscriptions/{subscription.id}")).partition("Latest")[0]


async def test_one_message_of_the_log_is_sent_again_by_a_button(desk: Desk) -> None:
    subscription = await subscribed(desk)
    lanes = await died(desk, subscription)
    assert "On its way again" in await press(await signed_in(desk), subscription, "resend")
    assert len(await lanes.settle()) == 1


async def test_one_is_paused_and_resumed_and_one_that_is_off_is_switched_on(desk: Desk) -> None:
    subscription, browser = await subscribed(desk), await signed_in(desk)
    assert "What happens meanwhile is kept" in await press(browser, subscription, "pause")
    assert "Switched on" in await press(browser, subscription, "resume")
    await disable(desk.store, "default", subscription.id, GONE, now=NOW * 1000, gave_up=True)
    assert GONE in words(await page(browser, f"/subscriptions/{subscription.id}"))
    assert "Active" in await press(browser, subscription, "resume")
    now = await desk.subscriptions.get("default", subscription.id)
    assert now
    assert (now.enabled, now.paused, now.disabled_why) == (True, False, "")


@pytest.mark.parametrize("deed", [button.path.rpartition("/")[2] for button in BUTTONS])
async def test_nothing_is_done_without_a_form_of_ours_and_a_key_that_may_write(desk: Desk, deed: str) -> None:
    subscription = await subscribed(desk)
    lanes = await died(desk, subscription)
    path = f"/subscriptions/{subscription.id}"
    [before] = await desk.subscriptions.all("default")
    writer, reader = await signed_in(desk), await signed_in(desk, Scope.READ)
    token = re.search(r'name="form" value="(\w+)"', (await page(writer, path)).partition("<main")[2])
    assert token
    assert not re.search(r'name="form"', (await page(reader, path)).partition("<main")[2])
    [entry] = await desk.store.delivery_log("default", subscription.id, 1)
    form = {"form": token[1], "message": msgspec.json.decode(entry)["id"]}
    for browser, fields, headers in (
        (writer, {}, {}),
        (writer, form | {"form": "0" * 64}, {}),
        (writer, form, {"Sec-Fetch-Site": "cross-site"}),
        (writer, form, {"Origin": "https://elsewhere.example"}),
        (reader, form, {}),
        (await desk.browse(), form, {}),
    ):
        assert (await send(browser, fields, f"{path}/{deed}", headers=headers))[0] == 404
    assert (await send(await desk.browse(account=""), form, f"{path}/{deed}"))[1].startswith("/login")
    assert await desk.subscriptions.all("default") == [before]
    assert await lanes.settle() == []


async def test_a_wrong_address_has_a_page_in_the_readers_language_and_a_program_a_plain_404(desk: Desk) -> None:
    browser = await desk.browse()
    html = {"Accept": "text/html,application/xhtml+xml"}
    for headers, word, nav in ((EN, "Not found", "Parcels"), (ZH, "页面不存在", "全部包裹")):
        seen = words(await page(browser, "/parcles/1?x=2", status=404, headers=headers | html))
        assert word in seen
        assert nav in seen
    stranger = words(await page(await desk.browse(account=""), "/nowhere", status=404, headers=EN | html))
    assert "Not found" in stranger
    assert "Parcels" not in stranger
    assert await page(browser, "/nowhere", status=404, headers={"Accept": "*/*"}) == "404: Not Found"
    async with browser.post("/nowhere", headers=html) as response:
        assert (response.status, await response.text()) == (404, "404: Not Found")


async def test_every_button_is_in_the_audit_trail_and_so_is_who_may_not_press_it(desk: Desk) -> None:
    """Over the table of the pages' routes: one entry for each."""
    subscription = await subscribed(desk)
    reader, stranger = await signed_in(desk, Scope.READ), await desk.browse(account="")
    await desk.audit.write()
    before = len((await desk.audit.page("default", None, 100))[0])
    for route in BUTTONS:
        path = route.path.replace("{id}", subscription.id)
        assert (await send(reader, {}, path))[0] == 404
        assert (await send(stranger, {}, path))[0] == 303
    await press(await signed_in(desk), subscription, "pause")
    await desk.audit.write()
    found, _ = await desk.audit.page("default", None, 100)
    acts = [(one.act.action, one.act.status, one.act.target, bool(one.act.key)) for one in found[::-1]][before:]
    refused = [
        (route.path, status, subscription.id, known)
        for route in BUTTONS
        for status, known in ((404, True), (401, False))
    ]
    assert acts == [*refused, ("sign_in", 303, "", True), ("/subscriptions/{id}/pause", 303, subscription.id, True)]
