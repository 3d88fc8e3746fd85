"""The same spellings, given to a whole daemon: as a webhook, an order store and a carrier's address. And redirects, and
names that change their mind between two requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tests.pipeline.daemon import Desk
from tests.webhooks.naming import Naming
from tests.webhooks.receiving import ANY_PORT, LOOPBACK, Receiver
from tests.webhooks.test_egress import CANARY, ROWS, Row
from tracker.app import open_daemon
from tracker.config.loading import load
from webhooks import guard, wire
from webhooks.guard import Guard, guarded_session, unfit
from webhooks.wire import Target, Wire

GIVEN = [row for row in ROWS if row.verdict == "registration"]
NAMES = [row for row in ROWS if row.verdict in ("connection", "the public one")]
REDIRECTS = (300, 301, 302, 303, 305, 307, 308)
METADATA = "http://169.254.169.254/latest/meta-data/"
SECRET = {"signing_secret": "whsec_" + "c2VjcmV0" * 4}


@contextlib.asynccontextmanager
async def serving(directory: Path, **flags: str) -> AsyncIterator[Desk]:
    """A daemon with every role; without flags it reaches what a fresh one reaches."""
    usual = {"data": str(directory), "http.port": "0", "log.level": "error"}
    async with open_daemon(load(env={}, flags=usual | flags)) as daemon, aiohttp.ClientSession() as http:
        assert daemon.first_key
        yield Desk(http, daemon.url, daemon.first_key)


def bodies(url: str) -> dict[str, tuple[str, dict[str, Any], str]]:
    """What an account names an address in: the path, the body, and the field that holds the address."""
    return {
        "webhook": ("/v1/subscriptions", {"url": url}, "url"),
        "order store": ("/v1/order-stores", {"platform": "http", "base": url, "credentials": SECRET}, "base"),
        "carrier": ("/v1/connections", {"carrier": "inpost", "base": url}, "base"),
    }


async def make_all(desk: Desk, url: str) -> dict[str, str]:
    """One of each with that address; their ids."""
    made = {kind: await desk("POST", path, body) for kind, (path, body, _) in bodies(url).items()}
    return {kind: one["id"] for kind, one in made.items()}


async def call_all(desk: Desk, ids: dict[str, str], number: int) -> None:
    """Have the daemon send to the webhook, ask the order store, and poll the carrier; all of them in vain."""
    probe = await desk("POST", f"/v1/subscriptions/{ids['webhook']}/test", {})
    assert not probe["delivered"], probe
    probe = await desk("POST", f"/v1/order-stores/{ids['order store']}/test")
    assert not probe["reached"], probe
    waybill = f"6{number:023}"
    await desk("POST", "/v1/shipments", {"waybill": waybill, "carrier": "inpost", "connection": ids["carrier"]})


async def polled(desk: Desk, times: int) -> None:
    """Return once carriers were asked so often."""
    async with asyncio.timeout(30):
        while await _polls(desk) < times:
            await asyncio.sleep(0.05)


async def _polls(desk: Desk) -> int:
    async with desk.http.get(desk.url + "/metrics") as page:
        lines = [line for line in (await page.text()).splitlines() if line.startswith("milepost_polls_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def strayed(connects: list[tuple[str, int]], *ours: int) -> Counter[tuple[str, int]]:
    """The connects that went to no port of ours and to no public address."""
    return Counter(one for one in connects if one[1] not in ours and unfit(ip_address(one[0].partition("%")[0])))


# ---------------------------------------------------------------- given


async def test_a_forbidden_address_is_refused_when_it_is_given_and_the_field_is_named(tmp_path: Path) -> None:
    async with serving(tmp_path) as desk:
        ids = await make_all(desk, "https://shop.example/")
        for row in GIVEN:
            for kind, (path, body, field) in bodies(row.url).items():
                for method, where, said in (
                    ("POST", path, body),
                    ("PATCH", f"{path}/{ids[kind]}", {field: row.url}),
                ):
                    status, told = await desk.ask(method, where, said)
                    assert status == 422, (row.url, kind, method, told)
                    assert [error["field"] for error in told["errors"]] == [field]
                    assert kind == "carrier" or row.why in told["errors"][0]["problem"], (row.url, kind, told)
        for kind, (path, _, field) in bodies("").items():
            assert (await desk("GET", f"{path}/{ids[kind]}"))[field].startswith("https://shop.example"), kind


# ---------------------------------------------------------------- called


def own_name(row: Row, number: int) -> str:
    """The address of a row under a name of its own: the list has one name with several answers."""
    host = URL(row.url).host or ""
    return row.url.replace(host, f"n{number}.{host}", 1)


async def test_no_connect_to_a_denied_address_comes_of_a_name_whoever_is_called_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are looked up in the list; everything behind the look-up is the daemon's own."""
    urls = {own_name(row, number): row for number, row in enumerate(NAMES)}
    answers = {URL(url).raw_host: row.answers.split() for url, row in urls.items()}

    def look_up(host: str, port: int, family: int) -> list[Any]:
        return [(family, None, 0, "", (address, port)) for address in answers[host]]

    monkeypatch.setattr(guard, "_look_up", look_up)
    async with serving(tmp_path) as desk:
        with CANARY.awake() as connects:
            for number, url in enumerate(urls):
                await call_all(desk, await make_all(desk, url), number)
            await polled(desk, len(urls))
        port = URL(desk.url).port or 0
    assert not strayed(connects, port)
    public = {one for some in answers.values() for one in some if not unfit(ip_address(one.partition("%")[0]))}
    assert {address for address, where in connects if where != port} == public  # and the public ones were tried


@pytest.mark.parametrize("target", [METADATA, "/elsewhere"])
async def test_a_redirect_is_a_failure_and_is_not_followed_even_to_where_we_may_go(
    tmp_path: Path, receiver: Receiver, target: str
) -> None:
    port = URL(receiver.root).port or 0

    async def elsewhere(request: web.Request, _: int) -> web.Response:
        return web.Response(status=int(request.path.split("/")[1]), headers={"Location": target})

    receiver.answers = _Everything(elsewhere)
    async with serving(tmp_path, **{"egress.allow": "127.0.0.0/8", "egress.ports": str(port)}) as desk:
        with CANARY.awake() as connects:
            for status in REDIRECTS:
                await call_all(desk, await make_all(desk, receiver.url(f"/{status}/hook")), status)
            await polled(desk, len(REDIRECTS))
        assert strayed(connects, port, URL(desk.url).port or 0) == Counter()
    for status in REDIRECTS:
        heard = [one.path for one in receiver.heard if one.path.startswith(f"/{status}/")]
        assert len(set(heard)) >= 2, heard  # a post, and a carrier's query
    assert not [one.path for one in receiver.heard if "elsewhere" in one.path]


class _Everything(dict[str, Any]):
    """One answer for every path."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer

    def get(self, _: str, __: Any = None) -> Any:
        return self._answer


# ---------------------------------------------------------------- a name that changes its mind


@pytest.mark.parametrize("then", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "10.0.0.1 192.168.0.1"])
async def test_a_name_that_moves_to_a_private_address_gets_no_connect_there(
    monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(wire, "_RESOLVED_S", 0.0)
    with CANARY.awake() as connects:
        async with guarded_session(timeout=30.0, resolver=Naming("1.1.1.1", then)) as session:
            assert isinstance(session.connector, aiohttp.TCPConnector)
            for _ in range(3):
                with pytest.raises((aiohttp.ClientError, OSError)):
                    await session.post("http://rebind.example/", data=b"{}", allow_redirects=False)
                session.connector.clear_dns_cache()
        async with aclosing(Wire(resolver=Naming("1.1.1.1", then))) as posts:
            for _ in range(3):
                with pytest.raises(OSError):
                    await posts.post(Target(URL("http://rebind.example/"), {}), b"", b"{}")
    assert connects == [("1.1.1.1", 80)] * 2  # once each, when it was public


async def test_a_kept_connection_is_not_looked_up_again(receiver: Receiver) -> None:
    """What is kept open leads where it led: a name that moves meanwhile moves nothing."""
    port = URL(receiver.root).port or 0
    with CANARY.awake() as connects:
        async with aclosing(Wire(guard=Guard(LOOPBACK, ANY_PORT), resolver=Naming("127.0.0.1", "10.0.0.1"))) as posts:
            for _ in range(3):
                await posts.post(Target(URL(f"http://rebind.example:{port}/hook"), {}), b"", b"{}")
    assert connects == [("127.0.0.1", port)]
    assert len(receiver.heard) == 3
