"""A genuine push that somebody caught and sends again, to both of two daemons, over kills and steps of a clock."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.daemon import ROOT, Daemon, Tenant, tenant
from tests.faults.pair import pair_of
from tests.faults.receiver import Receiver
from tests.faults.shifted import shift
from tests.faults.test_clock import wrong_clock

SECRET = "a secret of 24 characters"
BODY = (ROOT / "carriers" / "shippo" / "fixtures" / "push-delivered.json").read_bytes()
DAY_S = 86_400.0

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


class Thief:
    """Has one push as it was signed, and sends that."""

    def __init__(self, http: aiohttp.ClientSession, path: str, at: float) -> None:
        self._http, self._path = http, path
        mac = hmac.new(SECRET.encode(), f"{at:.0f}.".encode() + BODY, hashlib.sha256).hexdigest()
        self._headers = {"Content-Type": "application/json", "Shippo-Auth-Signature": f"t={at:.0f},v1={mac}"}

    async def send(self, daemon: Daemon) -> int:
        async with self._http.post(daemon.url + self._path, data=BODY, headers=self._headers) as answer:
            return answer.status


async def connected(account: Tenant) -> str:
    """The path of a connection that registers what it is told of."""
    said = {"token": "t", "webhook_secret": SECRET}
    made = await account.call(
        "POST", "/v1/connections", {"carrier": "shippo", "credentials": said, "auto_register": True}
    )
    return "/hooks/" + str(made["webhook_url"]).partition("/hooks/")[2]


async def known(account: Tenant) -> tuple[Any, Any]:
    """The timeline of its one parcel, and the revisions that its feed has."""
    [shipment] = (await account.call("GET", "/v1/shipments"))["shipments"]
    view = await account.call("GET", f"/v1/shipments/{shipment['id']}")
    events = [(one["occurred_at"], one["milestone"], one["code"]) for one in view["events"]]
    changes = (await account.call("GET", "/v1/changes"))["changes"]
    return (view["status"], events), [(change["type"], change["revision"]) for change in changes]


async def outcomes(http: aiohttp.ClientSession, daemon: Daemon) -> Counter[str]:
    """What became of the carrier's pushes at this daemon since its start."""
    async with http.get(daemon.url + "/metrics") as answer:
        lines = re.findall(r'^\w+_total\{carrier="shippo",outcome="(\w+)"\} (\S+)$', await answer.text(), re.MULTILINE)
    return Counter({outcome: round(float(count)) for outcome, count in lines})


async def test_a_push_that_is_sent_again_to_both_of_two_daemons_changes_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    """At once, after a kill, and when a host's clock has stepped: the account stands as one that was told once."""
    async with pair_of(tmp_path, receiver, {}) as (one, two), aiohttp.ClientSession() as http:
        clock = wrong_clock(two, tmp_path, 0.0)
        await one.start()
        await two.start()
        once, often = await tenant(one, "once"), await tenant(one, "often")
        at = time.time()
        assert await Thief(http, await connected(once), at).send(one) == 200
        thief = Thief(http, await connected(often), at)
        assert await asyncio.gather(*[thief.send(daemon) for daemon in (one, two) * 8]) == [200] * 16
        before = await known(often)
        assert before == await known(once)

        await two.kill()
        await two.start()
        assert [await thief.send(daemon) for daemon in (one, two, two)] == [200] * 3
        assert await outcomes(http, two) == {"repeated": 2}, "not read by one that was started since"

        for ahead in (-DAY_S, 30 * DAY_S, 0.0):
            shift(clock, ahead)
            assert await thief.send(two) == 200, "the store's clock counts, and nothing is forgotten by a host's"
        assert await outcomes(http, two) == {"repeated": 5}
        assert await known(often) == before
