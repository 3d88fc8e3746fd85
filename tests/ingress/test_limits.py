"""What a whole daemon answers to those who come too often or with wrong secrets."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from urllib.parse import urlencode

from tests.ingress.conftest import Opened
from tests.ingress.site import Answer, Site

WRONG = "Bearer mp_" + "a" * 8 + "_" + "b" * 32
OPEN = {"limits__stranger_rate": "0"}


async def push(site: Site, path: str, **headers: str) -> Answer:
    body = b'{"Body":{"WaybillRoute":[]}}'
    async with site.http.post(site.url + path, data=body, headers=headers) as answer:
        return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read())


async def test_every_answer_to_a_key_says_what_is_left_of_its_quota(opened: Opened) -> None:
    site = await opened(limits__key_rate="0.1", limits__window_s="50")
    seen = [
        await site.call("GET", "/v1/counts"),
        await site.call("GET", "/v1/shipments?limit=0"),
        await site.call("GET", "/v1/shipments/shp_s00_0"),
        await site.call("DELETE", "/v1/quarantine/1-1"),
    ]
    assert [answer.status for answer in seen] == [200, 422, 404, 404]
    assert {answer.headers["ratelimit-policy"] for answer in seen} == {'"key";q=5;w=50'}
    assert [answer.headers["ratelimit"][:9] for answer in seen] == [f'"key";r={left}' for left in (4, 3, 2, 1)]


async def test_a_key_that_asks_too_often_is_told_when_to_come_back_and_another_is_not(opened: Opened) -> None:
    site = await opened(limits__key_rate="0.1", limits__window_s="20")
    other = (await site.call("POST", "/v1/keys", {"scopes": ["read"], "name": "other"})).json()["key"]
    assert (await site.call("GET", "/v1/counts")).status == 200
    refused = await site.call("GET", "/v1/counts")
    assert refused.status == 429
    assert refused.json()["type"] == "/docs#problem-rate-limited"
    assert refused.json()["violated-policies"] == ["key"]
    assert 0 < int(refused.headers["retry-after"]) <= 10
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')
    assert (await site.call("GET", "/v1/counts", Authorization=f"Bearer {other}")).status == 200


async def test_more_keys_are_no_way_round_the_quota(opened: Opened) -> None:
    """All keys of an account together have four keys' worth, and the console's pages count as requests of a key."""
    site = await opened(limits__key_rate="0.1", limits__window_s="100")  # ten of a key, forty of the account
    keys = [(await site.call("POST", "/v1/keys", {"scopes": ["read"], "name": f"{n}"})).json()["key"] for n in range(5)]
    cookie = await signed_in(site)
    pages = [(await site.call("GET", "/", Cookie=cookie)).status for _ in range(6)]
    assert pages == [200] * 5 + [429]
    assert (await site.call("GET", "/v1/counts")).status == 429
    answers = [await site.call("GET", "/v1/counts", Authorization=f"Bearer {key}") for key in keys for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 30 + [429] * 10
    assert answers[-1].json()["violated-policies"] == ["account"]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_many_guesses_at_once_are_no_more_than_one_after_the_other(opened: Opened) -> None:
    """Which is why the right key among them is not told either."""
    site = await opened(**OPEN)
    guesses = [WRONG] * 30 + [f"Bearer {site.key}"] + [WRONG] * 30
    answers = await asyncio.gather(*[site.call("GET", "/v1/counts", Authorization=guess) for guess in guesses])
    assert Counter(answer.status for answer in answers) == {401: 8, 429: 53}


async def test_many_sign_ins_at_once_are_no_more_than_one_after_the_other(opened: Opened) -> None:
    site = await opened(**OPEN)
    signed = await asyncio.gather(*[sign_in(site, WRONG.removeprefix("Bearer "), "") for _ in range(40)])
    assert Counter(answer.status for answer in signed) == {401: 8, 429: 32}


async def test_a_connection_that_pushes_too_often_hears_the_carriers_own_no(opened: Opened) -> None:
    site = await opened(limits__push_rate="0.1", limits__window_s="20")
    hook, other = [await site.hook("sf", partner_id="p", checkword="c") for _ in range(2)]
    assert [(await push(site, hook)).status for _ in range(3)] == [200, 200, 429]
    refused = await push(site, hook)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["return_code"] != "0000"
    assert (await push(site, other)).status == 200


async def test_wrong_keys_make_their_address_wait_but_not_a_key_that_is_known_there(opened: Opened) -> None:
    site = await opened(**OPEN)
    new = (await site.call("POST", "/v1/keys", {"scopes": ["read"], "name": "new"})).json()["key"]
    answers = [(await site.call("GET", "/v1/counts", Authorization=WRONG)).status for _ in range(9)]
    assert answers == [401] * 8 + [429]
    assert (await site.call("GET", "/v1/counts")).status == 200
    waits = await site.call("GET", "/v1/counts", Authorization=f"Bearer {new}")
    assert (waits.status, waits.headers["retry-after"]) == (429, "1")


async def test_behind_a_trusted_proxy_each_client_waits_for_itself(opened: Opened) -> None:
    site = await opened(http__trusted_proxies="127.0.0.0/8", **OPEN)
    for client, expected in (("198.51.100.1", [401] * 8 + [429]), ("198.51.100.2", [401])):
        said = {"Authorization": WRONG, "X-Forwarded-For": f"6.6.6.6, {client}"}
        assert [(await site.call("GET", "/v1/counts", **said)).status for _ in expected] == expected


async def test_what_a_client_says_of_its_address_does_not_free_it(opened: Opened) -> None:
    site = await opened(**OPEN)
    statuses = [
        (await site.call("GET", "/v1/counts", **{"Authorization": WRONG, "X-Forwarded-For": f"6.6.6.{n}"})).status
        for n in range(9)
    ]
    assert statuses == [401] * 8 + [429]


async def test_wrong_secrets_in_the_path_are_slowed_at_that_connection_alone(opened: Opened) -> None:
    site = await opened(**OPEN)
    hook, other = [await site.hook("sf", partner_id="p", checkword="c") for _ in range(2)]
    wrong = hook.rpartition("/")[0] + "/wrong"
    assert [(await push(site, wrong)).status for _ in range(9)] == [401] * 8 + [429]
    assert (await push(site, hook)).status == 429
    assert (await push(site, other)).status == 200


async def test_a_carrier_that_has_proved_itself_does_not_wait_for_a_neighbour(opened: Opened) -> None:
    site = await opened(**OPEN)
    hook = await site.hook("sf", partner_id="p", checkword="c")
    assert (await push(site, hook)).status == 200
    wrong = hook.rpartition("/")[0] + "/wrong"
    assert {(await push(site, wrong)).status for _ in range(20)} == {401}
    assert (await push(site, hook)).status == 200


async def test_an_address_that_only_fails_is_no_longer_looked_at(opened: Opened) -> None:
    site = await opened(limits__stranger_rate="0.1", limits__window_s="50")
    hook = await site.hook("aftership", api_key="k", webhook_secret="s")
    signed = hook.rpartition("/")[0]
    statuses = [(await push(site, signed, **{"aftership-hmac-sha256": "x"})).status for _ in range(8)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    assert (await site.call("GET", "/v1/counts")).status == 200


async def sign_in(site: Site, key: str, client: str) -> Answer:
    form = await site.call("GET", "/login")
    token = re.search(rb'name="form" value="(\w+)"', form.body)
    assert token
    body = urlencode({"form": token[1].decode(), "key": key}).encode()
    cookie = form.headers["set-cookie"].partition(";")[0]
    head = (
        f"POST /login HTTP/1.1\r\nHost: m\r\nCookie: {cookie}\r\nX-Forwarded-For: {client}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return await site.once(head.encode(), body)


async def signed_in(site: Site) -> str:
    """The cookie of a sign-in with the site's key."""
    async with site.http.get(site.url + "/login") as form:
        token = re.search(r'name="form" value="(\w+)"', await form.text())
        cookie = form.cookies["milepost_form"].OutputString(())
    assert token
    said = {"form": token[1], "key": site.key}
    async with site.http.post(
        site.url + "/login", data=said, headers={"Cookie": cookie}, allow_redirects=False
    ) as done:
        return done.cookies["milepost_session"].OutputString(())


async def test_signing_in_is_slowed_by_address_and_nobody_keeps_the_owner_of_a_key_out(opened: Opened) -> None:
    """The public part of a key stands in trails and lists: to know it is of no use."""
    site = await opened(http__trusted_proxies="127.0.0.0/8", **OPEN)
    guess = site.key[:12] + "b" * 32
    assert [(await sign_in(site, guess, "198.51.100.1")).status for _ in range(9)] == [401] * 8 + [429]
    assert [(await sign_in(site, guess, f"198.51.100.{n}")).status for n in range(2, 12)] == [401] * 10
    assert (await sign_in(site, site.key, "198.51.100.100")).status == 303
