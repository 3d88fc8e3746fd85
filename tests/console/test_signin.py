"""Signing in: by key, from our own form, not too often, and only for as long as the key lives."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tracker.accounts import ApiKey, Scope
from tracker.console.session import COOKIE

from .conftest import NOW, Browser, Desk


async def sign_in(browser: Browser, key: str, path: str = "/login", **how: Any) -> tuple[int, str]:
    """Fill in the form; the status and where it leads."""
    async with browser.get("/login") as form:
        token = re.search(r'name="form" value="(\w+)"', await form.text())
    assert token
    return await send(browser, {"key": key, "form": token[1]}, path, **how)


async def send(browser: Browser, form: dict[str, str], path: str = "/login", **how: Any) -> tuple[int, str]:
    async with browser.post(path, data=form, allow_redirects=False, **how) as response:
        return response.status, response.headers.get("Location", "")


@pytest.fixture
async def minted(desk: Desk) -> tuple[ApiKey, str]:
    return await desk.accounts.create_key("default", [Scope.READ], now=NOW * 1000)


async def status(browser: Browser, path: str = "/") -> int:
    async with browser.get(path, allow_redirects=False) as response:
        return response.status


async def test_a_stranger_is_sent_to_the_form_and_afterwards_back(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    async with browser.get("/orders?status=shipped", allow_redirects=False) as response:
        target = response.headers["Location"]
    assert (response.status, target.partition("?")[0]) == (303, "/login")
    assert await sign_in(browser, minted[1], target) == (303, "/orders?status=shipped")
    assert await status(browser) == 200


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    await sign_in(browser, minted[1])
    [cookie] = [cookie for cookie in browser.session.cookie_jar if cookie.key == "milepost_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert minted[1] not in cookie.value


@pytest.mark.parametrize("key", ["", "x", "mp_abcdefgh_" + "a" * 32, "é" * 30, "x" * 300])
async def test_a_wrong_key_is_refused(desk: Desk, key: str) -> None:
    browser = await desk.browse(account="")
    assert (await sign_in(browser, key))[0] == 401
    assert await status(browser) == 303


async def test_a_revoked_key_ends_its_sessions(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    await sign_in(browser, minted[1])
    await desk.accounts.revoke("default", minted[0].id)
    assert await status(browser) == 303


async def test_signing_out_ends_the_session(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    await sign_in(browser, minted[1])
    assert await send(browser, {}, "/logout", headers={"Sec-Fetch-Site": "cross-site"}) == (303, "/login")
    assert await status(browser) == 200
    await send(browser, {}, "/logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert await status(browser) == 303


async def test_signing_out_ends_the_session_wherever_its_cookie_is_and_no_other(
    desk: Desk, minted: tuple[ApiKey, str]
) -> None:
    """Somebody copied it from the browser, or another worker is asked."""
    browser, elsewhere = await desk.browse(account=""), await desk.browse(account="")
    await sign_in(browser, minted[1])
    await sign_in(elsewhere, minted[1])
    [copied] = [one.value for one in browser.session.cookie_jar if one.key == "milepost_session"]
    await send(browser, {}, "/logout")
    thief = await desk.browse(account="")
    headers = {"Cookie": f"milepost_session={copied}"}
    async with thief.get("/", headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303
    assert await status(elsewhere) == 200


async def test_over_https_the_cookies_are_of_this_very_host(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    """No neighbour under the same domain can set them, or read them over HTTP; signing out lets go of them."""
    browser = await desk.browse(account="", secure=True)
    async with browser.get("/login") as form:
        told = form.headers["Set-Cookie"]
        token = re.search(r'name="form" value="(\w+)"', await form.text())
    assert token and told.startswith("__Host-milepost_form=") and "Secure" in told and "Path=/" in told
    headers = {"Cookie": told.partition(";")[0]}
    fields = {"key": minted[1], "form": token[1]}
    async with browser.post("/login", data=fields, headers=headers, allow_redirects=False) as answer:
        [session, form_gone] = answer.headers.getall("Set-Cookie")
    assert session.startswith("__Host-milepost_session=") and "Secure" in session
    assert form_gone.startswith("__Host-milepost_form=") and "Max-Age=0" in form_gone and "Secure" in form_gone
    headers = {"Cookie": session.partition(";")[0]}
    assert await status_with(browser, headers) == 200
    assert await status_with(browser, {"Cookie": headers["Cookie"].removeprefix("__Host-")}) == 303


async def status_with(browser: Browser, headers: dict[str, str]) -> int:
    async with browser.get("/", headers=headers, allow_redirects=False) as response:
        return response.status


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}],
)
async def test_a_form_of_another_site_signs_nobody_in(
    desk: Desk, minted: tuple[ApiKey, str], headers: dict[str, str]
) -> None:
    browser = await desk.browse(account="")
    assert (await sign_in(browser, minted[1], headers=headers))[0] == 403


async def test_a_form_without_its_token_signs_nobody_in(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    assert (await send(browser, {"key": minted[1], "form": "0" * 64}))[0] == 403
    assert (await send(browser, {"key": minted[1]}))[0] == 403


async def test_guessing_is_slowed_down(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    answers = [(await sign_in(browser, "mp_guess"))[0] for _ in range(9)]
    assert answers == [401] * 8 + [429]
    assert (await sign_in(browser, minted[1]))[0] == 429


ELSEWHERE = ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "x", "///elsewhere.example"]
ELSEWHERE += [
    "/\t/elsewhere.example",
    "\t//elsewhere.example",
    "/\n/elsewhere.example",
    "\\\\elsewhere.example",
    " //elsewhere.example",
]
ELSEWHERE += [
    "javascript:alert(1)",
    "/\x00/elsewhere.example",
    "/\u2028/elsewhere.example",
    "/a\r\nSet-Cookie: a=b",
    "",
]


@pytest.mark.parametrize("target", ELSEWHERE)
async def test_the_way_back_never_leads_elsewhere(desk: Desk, minted: tuple[ApiKey, str], target: str) -> None:
    browser = await desk.browse(account="")
    async with browser.get("/login") as form:
        token = re.search(r'name="form" value="(\w+)"', await form.text())
    assert token
    answer = await send(browser, {"key": minted[1], "form": token[1]}, "/login", params={"next": target})
    assert answer == (303, "/")


async def test_a_session_that_was_planted_in_a_browser_is_not_the_one_that_is_signed_in(
    desk: Desk, minted: tuple[ApiKey, str]
) -> None:
    """Whoever planted it has a cookie of his own, and it shows him nothing of who signs in after that."""
    await desk.accounts.create("other", now=NOW * 1000)
    _, another = await desk.accounts.create_key("other", [Scope.READ], now=NOW * 1000)
    browser = await desk.browse(account="")
    await sign_in(browser, another)
    planted = session_in(browser)
    await sign_in(browser, minted[1])
    assert session_in(browser) != planted
    await desk.parcel("AC000001")
    thief = await desk.browse(account="")
    async with thief.get("/parcels", headers={"Cookie": f"{COOKIE}={planted}"}, allow_redirects=False) as answer:
        assert "AC000001" not in await answer.text()
    async with browser.get("/parcels", allow_redirects=False) as answer:
        assert "AC000001" in await answer.text()


def session_in(browser: Browser) -> str:
    [cookie] = [one.value for one in browser.session.cookie_jar if one.key == COOKIE]
    return cookie


async def test_a_forged_cookie_is_worth_nothing(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    for cookie in ("x", "x.y", "é.é", "a.b.c", "WyJkZWZhdWx0IiwieCIsOTk5OTk5OTk5OV0.AAAA", ""):
        async with browser.get("/", headers={"Cookie": f"milepost_session={cookie}"}, allow_redirects=False) as answer:
            assert answer.status == 303


async def test_sign_ins_are_in_the_trail_and_so_are_those_that_failed(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    await sign_in(browser, "mp_abcdefgh_" + "a" * 32)
    await sign_in(browser, minted[1])
    await send(browser, {}, "/logout")
    await desk.audit.write()
    found, _ = await desk.audit.page("default", None, 10)
    acts = [(one.act.actor, one.act.action, one.act.key, one.act.outcome) for one in found[::-1]]
    key = minted[0].id
    assert acts == [
        ("console", "sign_in", "", "refused"),
        ("console", "sign_in", key, "done"),
        ("console", "sign_out", key, "done"),
    ]
    assert {one.act.address for one in found} == {"127.0.0.1"}


async def test_a_key_that_has_ended_ends_its_sessions(desk: Desk, minted: tuple[ApiKey, str]) -> None:
    browser = await desk.browse(account="")
    await sign_in(browser, minted[1])
    assert await status(browser) == 200
    await desk.accounts.rotate_key("default", minted[0].id, overlap_s=0, now=NOW * 1000)
    assert await status(browser) == 303
