"""What is over when, on a host whose clock is ten minutes off or steps: all that is compared with stored times.

Stalls, keys and their sessions, secrets that are replaced, pushes whose signature covers a time, replays since a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.faults.audit import message_id
from tests.faults.conftest import settings
from tests.faults.daemon import Daemon, tenant, until
from tests.faults.load import journey, register, settle_in, signature, waybills
from tests.faults.receiver import Receiver
from tests.faults.shifted import shift
from tests.faults.test_clock import OFF_S, POLLING, wrong_clock
from tests.ports import nobody
from tracker.console.session import COOKIE, LIFE_S

STALL_S = 6
STALLS = {"stall.hours": f"{{ registered = {STALL_S / 3600:.6f} }}"}
LATE_S = 6.0  # how much later than due something may be seen on a busy machine
SHIFTS = {"ahead": (OFF_S, OFF_S), "behind": (-OFF_S, -OFF_S), "stepping back": (OFF_S, -OFF_S)}

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


@pytest.fixture
def dead() -> Iterator[int]:
    """A port where nobody listens."""
    with nobody() as port:
        yield port


@pytest.fixture(params=SHIFTS)
async def daemon(
    tmp_path: Path, receiver: Receiver, dead: int, request: pytest.FixtureRequest
) -> AsyncIterator[Daemon]:
    """Runs on such a host; one that steps does so two seconds later, amid whatever is done."""
    chosen = settings(receiver) | POLLING | STALLS
    chosen["egress.ports"] += f",{dead}"
    before, after = SHIFTS[request.param]
    async with Daemon(tmp_path / "data", settings=chosen) as daemon:
        file = wrong_clock(daemon, tmp_path, before)
        await daemon.start()
        asyncio.get_running_loop().call_later(2.0, shift, file, after)
        yield daemon


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


async def test_a_parcel_is_stalled_when_it_is_due_and_one_whose_carrier_is_silent_is_not(
    daemon: Daemon, receiver: Receiver, dead: int
) -> None:
    """Neither earlier nor later; beside it an account whose carrier's interface is away: its parcel is unseen."""
    await settle_in(daemon, receiver)
    other = await tenant(daemon, "silent")
    connection = {"carrier": "simulated", "base": f"http://127.0.0.1:{dead}"}
    credentials = {"client_id": "silent", "client_secret": "silent", "webhook_secret": "silent"}
    await other.call("POST", "/v1/connections", connection | {"credentials": credentials})
    began = time.monotonic()
    numbers = await register(daemon, waybills(5))
    unseen = await register(other, waybills(5))
    registered = time.monotonic()

    def flagged() -> dict[str, float]:
        return {came.shipment: came.at for came in receiver.arrivals if came.type == "shipment.stalled"}

    await until(lambda: len(flagged()) == len(numbers), within=STALL_S + LATE_S, what="five stalls")
    assert flagged().keys() == set(numbers.values())
    assert min(flagged().values()) >= began + STALL_S - 1  # registered within a second, and told in whole ones
    assert max(flagged().values()) <= registered + STALL_S + LATE_S
    for id in numbers.values():
        stall = (await daemon.call("GET", f"/v1/shipments/{id}"))["stalled"]
        assert abs(datetime.fromisoformat(stall["since"]).timestamp() - (time.time() - STALL_S)) < 60, stall
    for id in unseen.values():
        assert (await other.call("GET", f"/v1/shipments/{id}"))["stalled"] is None


async def test_a_key_ends_when_it_is_due_and_the_session_that_it_opened_with_it(daemon: Daemon) -> None:
    """Neither the key nor its session ends before; the session of another key lasts its twelve hours."""
    ends = time.time() + 6
    short = await daemon.call("POST", "/v1/keys", {"name": "short", "scopes": ["read"], "expires_at": iso(ends)})
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        await sign_in(browser, daemon.url, short["key"])
        [cookie] = [one for one in jar if one.key == COOKIE]
        body = cookie.value.partition(".")[0]
        until_s = msgspec.json.decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)))[2]
        assert abs(until_s - time.time() - LIFE_S) < 60
        while time.time() < ends - 0.5:
            assert await status(browser, daemon.url + "/", "") == 200
            assert await status(browser, daemon.url + "/v1/shipments", short["key"]) == 200
            await asyncio.sleep(0.2)
        await asyncio.sleep(max(0.0, ends + 1.0 - time.time()))  # a key that was read lately is believed for a moment
        assert await status(browser, daemon.url + "/", "") == 303
        assert await status(browser, daemon.url + "/v1/shipments", short["key"]) == 401
        await sign_in(browser, daemon.url, daemon.key)
        assert await status(browser, daemon.url + "/", "") == 200


async def sign_in(browser: aiohttp.ClientSession, url: str, key: str) -> None:
    async with browser.get(url + "/login") as page:
        found = re.search(r'name="form" value="([^"]+)"', await page.text())
    assert found
    async with browser.post(url + "/login", data={"key": key, "form": found[1]}, allow_redirects=False) as reply:
        assert reply.status == 303


async def status(browser: aiohttp.ClientSession, url: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with browser.get(url, headers=headers, allow_redirects=False) as reply:
        return reply.status


async def test_the_old_secret_signs_until_the_overlap_ends(daemon: Daemon, receiver: Receiver) -> None:
    """Beside the new one, and no longer than was said."""
    await settle_in(daemon, receiver)
    [subscription] = (await daemon.call("GET", "/v1/subscriptions"))["subscriptions"]
    path = f"/v1/subscriptions/{subscription['id']}"
    made = await daemon.call("POST", path + "/rotate", {"overlap_h": 6 / 3600})
    ends = datetime.fromisoformat(made["overlap_until"]).timestamp()
    assert abs(ends - time.time() - 6) < 3
    receiver.trust(made["secret"])
    serial = 0
    while time.time() < ends + 4:
        serial += 1
        await register(daemon, waybills(1, first=serial))
        await asyncio.sleep(0.3)
    assert receiver.refused == 0
    early = [count for at, count in receiver.signatures if at < ends - 1]
    late = [count for at, count in receiver.signatures if at > ends + 2]  # signed at most a second or two before
    assert set(early) == {2}
    assert set(late) == {1}


async def test_a_push_is_refused_by_the_age_of_its_signature(daemon: Daemon) -> None:
    """One that was signed now or four minutes ago is taken; one of last week or of a time to come is not."""
    credentials = {"token": "drill", "webhook_secret": "drill"}
    made = await daemon.call("POST", "/v1/connections", {"carrier": "shippo", "credentials": credentials})
    url = made["webhook_url"]
    url = daemon.url + url if url.startswith("/") else url
    for _ in range(2):  # before and after the clock has stepped
        told = {ago: await pushed(url, time.time() - ago) for ago in (0, 240, -240, 4 * 86_400, -900)}
        assert told == {0: 200, 240: 200, -240: 200, 4 * 86_400: 401, -900: 401}
        await asyncio.sleep(3)


async def pushed(url: str, at: float) -> int:
    body = msgspec.json.encode({"event": "transaction_created", "data": {"object_id": f"{at}"}})
    mac = hmac.new(b"drill", b"%d." % int(at) + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Shippo-Auth-Signature": f"t={int(at)},v1={mac}"}
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as reply:
        return reply.status


async def test_a_replay_since_a_time_sends_what_came_after_it(daemon: Daemon, receiver: Receiver) -> None:
    """And nothing from before; a cursor of the feed goes on where it was."""
    hook = await settle_in(daemon, receiver)
    [subscription] = (await daemon.call("GET", "/v1/subscriptions"))["subscriptions"]
    changes: list[Any] = []
    cursor = ""
    for serial in (1, 2):
        since = time.time()
        [waybill] = waybills(1, first=serial)
        await register(daemon, [waybill])
        for scan in list(journey(waybill))[:4]:
            await push(hook, scan.body)
        page = await daemon.call("GET", "/v1/changes", limit="500", **({"after": cursor} if cursor else {}))
        changes, cursor = page["changes"], page["cursor"]
        assert len({change["shipment_id"] for change in changes}) == 1
        await asyncio.sleep(3)
    wanted = {message_id(change) for change in changes}
    await until(lambda: wanted <= receiver.ids, within=30, what="the deliveries")
    seen = len(receiver.arrivals)
    path = f"/v1/subscriptions/{subscription['id']}/replay"
    told = await daemon.call("POST", path, {"since": iso(since)})
    assert told["kept"] + told["rendered"] + told["waiting"] == len(wanted)
    await until(lambda: len(receiver.arrivals) >= seen + len(wanted), within=30, what="the replay")
    assert {came.id for came in receiver.arrivals[seen:]} == wanted


async def push(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-Simulated-Signature": signature(body)}
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as reply:
        assert reply.status == 200
