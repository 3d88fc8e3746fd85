"""The pages, over the real store, ingest and order book."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tracker.accounts import Scope
from tracker.model import ChangeKind
from tracker.orders import stated_from, update_from
from tracker.views import change_body

from .conftest import LINKS, NOW, Browser, Desk
from .test_signin import sign_in

EN = {"Accept-Language": "en"}
ZH = {"Accept-Language": "zh-CN,zh;q=0.9"}


async def page(browser: Browser, path: str, *, status: int = 200, headers: dict[str, str] = EN, **how: Any) -> str:
    async with browser.get(path, headers=headers, **how) as response:
        assert response.status == status
        return await response.text()


def words(html: str) -> str:
    """What a reader sees, on one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_the_stalled_list_says_how_long_since_what_and_where(desk: Desk) -> None:
    await desk.stalled("AC000001", order_number="A-1", shop="tmall")
    await desk.parcel("AC000002", scans=3)
    seen = words(await page(await desk.browse(), "/"))
    for expected in ("AC000001", "Acme Post", "A-1", "tmall", "Arrived at hub", "1 d 1 h", "limit 1 d", "转运中心"):
        assert expected in seen
    assert "AC000002" not in seen


async def test_the_stalled_list_is_narrowed_by_shop_and_carrier(desk: Desk) -> None:
    await desk.stalled("AC000001", shop="tmall")
    await desk.stalled("AC000002", shop="jd")
    browser = await desk.browse()
    assert "AC000002" not in await page(browser, "/?shop=tmall")
    assert "AC000001" in await page(browser, "/?shop=tmall&carrier=acme")
    nothing = await page(browser, "/?carrier=sf")
    assert "AC000001" not in nothing
    assert "Nothing is stalled" in nothing


async def test_a_parcels_page_shows_its_strip_and_its_timeline_newest_first(desk: Desk) -> None:
    shipment = await desk.parcel("AC000001", scans=3, order_number="A-1")
    seen = words(await page(await desk.browse(), f"/parcels/{shipment.document.id}", headers=ZH))
    assert "极速快递" in seen
    timeline = seen[seen.index("物流轨迹") :]
    assert timeline.index("派件中") < timeline.index("到达转运中心") < timeline.index("已揽收")


async def test_a_carriers_words_are_text_and_never_markup(desk: Desk) -> None:
    shipment = await desk.parcel("AC000001", scans=2, order_number='"><script>')
    html = await page(await desk.browse(), f"/parcels/{shipment.document.id}")
    assert "到达&lt;b&gt;杭州&lt;/b&gt;转运中心" in html
    assert '"><script>' not in html


async def test_a_parcel_of_another_account_does_not_exist(desk: Desk) -> None:
    shipment = await desk.parcel("AC000001", account="other")
    browser = await desk.browse()
    foreign = await page(browser, f"/parcels/{shipment.document.id}", status=404)
    missing = await page(browser, f"/parcels/{shipment.document.id[:-1]}x", status=404)
    assert words(foreign).replace(shipment.document.id, "") == words(missing).replace(
        f"{shipment.document.id[:-1]}x", ""
    )


async def test_orders_show_their_lines_total_and_parcels(desk: Desk) -> None:
    body = {
        "placed_at": "2026-11-20T00:00:00Z",
        "paid_at": "2026-11-20T00:00:00Z",
        "total": "129.90",
        "lines": [{"name": "保温杯", "spec": "雾白", "quantity": 2, "price": "64.95"}],
    }
    await desk.book.put("default", stated_from("A-1", body), now=NOW * 1000)
    await tell_the_book(desk, "AC000001", scans=3)
    browser = await desk.browse()
    seen = words(await page(browser, "/orders"))
    for expected in ("A-1", "Shipped", "保温杯", "雾白", "64.95", "× 2", "CNY 129.90", "AC000001", "正在派送"):
        assert expected in seen
    assert "A-1" in await page(browser, "/orders?status=shipped")
    assert "No orders match" in await page(browser, "/orders?status=completed")
    assert "No orders match" in await page(browser, "/orders?number=B")


async def tell_the_book(desk: Desk, waybill: str, *, scans: int) -> None:
    shipment = await desk.parcel(waybill, scans=scans, order_number="A-1")
    body = change_body(ChangeKind.UPDATED, None, shipment, revision=5, now=NOW * 1000)
    update = update_from("default", msgspec.json.decode(body))
    assert update
    await desk.book.apply(update)


@pytest.mark.parametrize("spelling", ["AC000001", "ac000001", " AC 0000 01 "])
async def test_a_waybill_leads_to_its_parcel_however_it_is_typed(desk: Desk, spelling: str) -> None:
    shipment = await desk.parcel("AC000001")
    async with (await desk.browse()).get("/find", params={"q": spelling}, allow_redirects=False) as response:
        assert response.headers["Location"] == f"/parcels/{shipment.document.id}"


async def test_an_order_number_leads_to_the_order_or_else_to_its_parcels(desk: Desk) -> None:
    await desk.parcel("AC000001", order_number="A-1")
    await desk.parcel("AC000002", order_number="A-1")
    browser = await desk.browse()
    listed = await page(browser, "/find?q=A-1")
    assert "AC000001" in listed
    assert "AC000002" in listed
    await desk.book.put("default", stated_from("A-1", {}), now=NOW * 1000)
    async with browser.get("/find?q=A-1", allow_redirects=False) as response:
        assert response.headers["Location"] == "/orders?number=A-1"


async def test_an_unknown_number_says_so(desk: Desk) -> None:
    assert "Nothing found for “nope”" in await page(await desk.browse(), "/find?q=nope")


async def test_all_parcels_are_listed_by_status(desk: Desk) -> None:
    await desk.parcel("AC000001", scans=4)
    await desk.parcel("AC000002")
    browser = await desk.browse()
    delivered = await page(browser, "/parcels?status=delivered")
    assert "AC000001" in delivered
    assert "AC000002" not in delivered
    assert "AC000002" in await page(browser, "/parcels")
    await page(browser, "/parcels?status=flying", status=404)


async def test_the_language_follows_the_question_then_the_cookie_then_the_browser(desk: Desk) -> None:
    browser = await desk.browse()
    assert "停滞包裹" in await page(browser, "/", headers=ZH)
    assert "Stalled parcels" in await page(browser, "/?lang=en", headers=ZH)
    assert "Stalled parcels" in await page(browser, "/", headers=ZH)
    assert '<html lang="zh-CN">' in await page(browser, "/?lang=zh", headers=EN)


async def test_the_live_part_alone_is_sent_and_only_when_it_changed(desk: Desk) -> None:
    browser = await desk.browse()
    headers = EN | {"X-Milepost-Live": "1"}
    async with browser.get("/", headers=headers) as first:
        assert "<html" not in await first.text()
        tag = first.headers["ETag"]
    await page(browser, "/", status=304, headers=headers | {"If-None-Match": tag})
    await desk.stalled("AC000001")
    assert "AC000001" in await page(browser, "/", headers=headers | {"If-None-Match": tag})


@pytest.mark.parametrize("path", ["/", "/orders", "/parcels/x", "/static/console.css"])
async def test_every_answer_forbids_foreign_content(desk: Desk, path: str) -> None:
    async with (await desk.browse()).get(path) as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_pages_carry_no_inline_code_and_name_no_other_host(desk: Desk) -> None:
    shipment = await desk.stalled("AC000001")
    browser = await desk.browse()
    for path in ("/", "/parcels", "/orders", "/drift", f"/parcels/{shipment.document.id}"):
        html = (await page(browser, path)).replace(LINKS.url(shipment.document.id), "our own")
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script>|https?://", html)


@pytest.mark.parametrize("path", ["/?cursor=!", "/orders?cursor=!", "/parcels?cursor=!"])
async def test_a_broken_link_is_explained(desk: Desk, path: str) -> None:
    assert "no longer works" in await page(await desk.browse(), path, status=400)


async def test_what_nothing_covers_is_shown_with_its_words_and_its_parcel(desk: Desk) -> None:
    shipment = await desk.parcel("AC000001", account="default")
    desk.drift.unknown(shipment.document, "acme", "ZZZ", "神秘<b>事件</b> 13800000000")
    desk.drift.heard("default", "acme", b'{"a": 1}', ())
    await desk.drift.write()
    browser = await desk.browse()
    html = await page(browser, "/drift", headers=ZH)
    assert "<code>ZZZ</code>" in html
    assert "神秘&lt;b&gt;事件&lt;/b&gt; ***" in html
    assert f'href="/parcels/{shipment.document.id}"' in html
    for expected in ("极速快递", "代码", "空报文", "新的报文结构", "$.a number"):
        assert expected in words(html)
    assert "Everything is covered" in await page(browser, "/drift?carrier=sf")


async def test_drift_of_another_account_is_shown_to_an_operator_alone(desk: Desk) -> None:
    await desk.accounts.create("other", now=NOW * 1000)
    shipment = await desk.parcel("AC000001", account="other")
    desk.drift.unknown(shipment.document, "acme", "ZZZ", "words of another")
    await desk.drift.write()
    assert "Everything is covered" in await page(await desk.browse(), "/drift")
    seen = {}
    for scope in (Scope.READ, Scope.ADMIN):
        _, text = await desk.accounts.create_key("default", [scope], now=NOW * 1000)
        browser = await desk.browse(account="")
        await sign_in(browser, text)
        seen[scope] = await page(browser, "/drift")
    assert "words of another" not in seen[Scope.READ]
    assert "words of another" in seen[Scope.ADMIN]
    assert shipment.document.id not in seen[Scope.ADMIN]  # a link that would lead nowhere


async def test_an_empty_account_is_told_what_to_do(desk: Desk) -> None:
    browser = await desk.browse()
    assert "Nothing is stalled" in await page(browser, "/")
    assert "POST /v1/shipments" in await page(browser, "/parcels")
    assert "PUT /v1/orders" in await page(browser, "/orders")
