"""The page of a parcel for its buyer: by its link alone, and with nothing on it that is the shop's own affair."""

from __future__ import annotations

import re

from yarl import URL

from tests.console.conftest import LINKS, NOW, Browser, Desk
from tracker.buyer_links import BuyerLinks
from tracker.ingress.bounds import Bounds
from tracker.ingress.rates import Rates
from tracker.secrets import new_key


def link(id: str) -> str:
    """The path of a shipment's link."""
    return URL(LINKS.url(id)).path


async def page(browser: Browser, path: str, lang: str = "en") -> tuple[int, str]:
    answer = await browser.get(path, headers={"Accept-Language": lang}, allow_redirects=False)
    return answer.status, await answer.text()


async def test_the_link_opens_the_timeline_without_a_sign_in(desk: Desk) -> None:
    """In either language; the console's own page of the parcel goes on asking who is there."""
    parcel = await desk.parcel("AC000001", scans=4, order_number="A-1")
    browser = await desk.browse("")
    status, text = await page(browser, link(parcel.document.id))
    assert status == 200
    assert all(said in text for said in ("AC000001", "Acme Post", "A-1", "Delivered", "正在派送"))
    status, text = await page(browser, link(parcel.document.id), "zh-CN")
    assert "已签收" in text and "极速快递" in text
    assert (await page(browser, f"/parcels/{parcel.document.id}"))[0] == 303


async def test_the_page_says_nothing_that_is_the_shops_own(desk: Desk) -> None:
    """No label of the shop, no source, no code of the carrier's, no limit, and no way to any other page."""
    parcel = await desk.stalled("AC000001", order_number="A-1", shop="lanhai", warehouse="HZ-9", tags=("vip7",))
    _, text = await page(await desk.browse(""), link(parcel.document.id))
    assert "No progress for" in text
    assert [word for word in ("lanhai", "HZ-9", "vip7", "con_1", "HUB", "limit", 'href="/"') if word in text] == []
    assert "/orders" not in text and "/find" not in text and "&lt;b&gt;杭州" in text
    assert '<meta name="robots" content="noindex">' in text


async def test_any_other_link_opens_nothing_and_confirms_nothing(desk: Desk) -> None:
    """Forged, cut short, another parcel's, of a parcel that is gone or never was: the same page, byte for byte."""
    mine, other = await desk.parcel("AC000001"), await desk.parcel("AC000002")
    id, proof = mine.document.id, link(mine.document.id).rpartition("/")[2]
    gone = await desk.parcel("AC000003")
    await desk.ingest.delete("default", gone.document.id, now=NOW * 1000)
    browser = await desk.browse("")
    wrong = [
        f"/parcels/{id}/{proof[:-1]}",
        f"/parcels/{id}/{proof}x",
        f"/parcels/{id}/%E4%B8%AD%00",
        f"/parcels/{other.document.id}/{proof}",
        link(gone.document.id),
        link("shp_001234567890"),
        link("nonsense"),
    ]
    answers = [await page(browser, path) for path in wrong]
    assert set(answers) == {(404, answers[0][1])}


async def test_the_link_goes_to_nobody_with_what_the_page_asks_for_and_is_kept_by_nobody(desk: Desk) -> None:
    """Not as the address that another site is told one came from, nor in a cache, nor in a frame of somebody's."""
    parcel = await desk.parcel("AC000001", scans=4)
    browser = await desk.browse("")
    path = link(parcel.document.id)
    for one, status in ((path, 200), (path + "?lang=en", 200), (path[:-1], 404)):
        async with browser.get(one, allow_redirects=False) as answer:
            assert answer.status == status
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            leading = re.findall(r'(?:href|src|action)="([^"]*)"', await answer.text())
            assert leading and not [to for to in leading if not to.startswith(("/", "?", "#")) or to.startswith("//")]


async def test_the_other_parcels_of_the_order_are_a_step_away(desk: Desk) -> None:
    """Those of the same shop: another shop's order of that number is another buyer's."""
    first = await desk.parcel("AC000001", order_number="A-1", shop="north")
    second = await desk.parcel("AC000002", order_number="A-1", shop="north", scans=4)
    await desk.parcel("AC000003", order_number="A-1", shop="south")
    await desk.parcel("AC000004", order_number="A-1", account="other")
    browser = await desk.browse("")
    _, text = await page(browser, link(first.document.id))
    assert LINKS.url(second.document.id) in text
    assert "AC000003" not in text and "AC000004" not in text
    assert "AC000001" in (await page(browser, link(second.document.id)))[1]


async def test_another_shop_with_many_parcels_of_that_number_hides_none(desk: Desk) -> None:
    for n in range(45):
        await desk.parcel(f"AC0001{n:02}", order_number="A-1", shop="south")
    parcels = [await desk.parcel(f"AC00020{n}", order_number="A-1", shop="north") for n in range(3)]
    _, text = await page(await desk.browse(""), link(parcels[0].document.id))
    assert [LINKS.url(one.document.id) in text for one in parcels[1:]] == [True, True]
    assert "AC0001" not in text


async def test_who_asks_too_often_is_told_when_to_come_again(desk: Desk) -> None:
    """By address, and by itself: who shares it, a carrier behind the same proxy say, does not wait for buyers."""
    parcel = await desk.parcel("AC000001")
    few, strangers = Rates(1.0, window_s=2.0, policy="address"), Rates(1.0, window_s=2.0, policy="address")
    browser = await desk.browse("", Bounds(buyers=few, strangers=strangers))
    answers = [await browser.get(link(parcel.document.id)) for _ in range(4)]
    assert answers[0].status == 200 and answers[-1].status == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert strangers.wait_s("127.0.0.1") == 0


async def test_a_parcel_of_which_nothing_was_heard_says_what_will_come(desk: Desk) -> None:
    parcel = await desk.parcel("AC000001")
    _, text = await page(await desk.browse(""), link(parcel.document.id))
    assert "Once the carrier has the parcel" in text


def test_a_link_outlives_the_change_of_the_key_while_the_old_one_is_kept() -> None:
    old, new = new_key(), new_key()
    link = BuyerLinks([old], "https://a.example").url("shp_1").rpartition("/")[2]
    assert BuyerLinks([new, old], "").opens("shp_1", link)
    assert not BuyerLinks([new], "").opens("shp_1", link)
    assert BuyerLinks([new, old], "https://a.example").url("shp_1") != f"https://a.example/parcels/shp_1/{link}"


def test_a_link_is_whole_wherever_a_program_believes_that_it_ends() -> None:
    """Mail programs leave `-` and `_` out of a link that ends with them."""
    assert all(BuyerLinks([new_key()], "https://a.example").url("shp_1")[-24:].isalnum() for _ in range(50))
