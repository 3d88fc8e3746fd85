"""Callers that hang up: a third of all connections end before their answer, at any moment of the request.

The daemon goes on with what it has begun to do; whoever left knows nothing of it, and does it again.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from random import Random

import aiohttp
import msgspec
import pytest

from tests.faults.audit import examine, note
from tests.faults.conftest import LONG
from tests.faults.daemon import Daemon, until
from tests.faults.leaving import hang_up
from tests.faults.load import Carrier, Scan, order_of, register, scans_of, settle_in, signature, waybills
from tests.faults.receiver import Receiver

PARCELS = 1_000 if LONG else 200
LATECOMERS = PARCELS // 2  # registered beside the pushes, by a platform that hangs up as well
LEAVES = 1 / 3  # of the connections
SPARE = 8  # descriptors that may come and go
_REGISTERED_S = 0.1  # about how long a registration takes beside that load
_AGAIN_S = 0.05  # before a registration whose answer nobody heard is made again
_TAKEN = re.compile(r'milepost_intake_requests_total\{carrier="simulated",outcome="accepted"\} (\S+)')

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


class Impatient(Carrier):
    """Hangs up on a third of its pushes."""

    def __init__(self, url: str, scans: list[Scan]) -> None:
        super().__init__(url, scans)
        self.left: Counter[str] = Counter()
        self._moments = Random(11)

    async def _once(self, http: aiohttp.ClientSession, scan: Scan) -> str:
        if self._moments.random() >= LEAVES:
            return await super()._once(http, scan)
        signed = {"X-Simulated-Signature": signature(scan.body)}
        self.left[await hang_up(self.url, signed, scan.body, self._moments)] += 1
        return "hung up"


class Platform:
    """Registers parcels one by one, and hangs up on a third of its requests."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._dice = Random(12)
        self.numbers: dict[str, str] = {}
        self.there_already = 0  # made by a request whose answer nobody heard
        self.left = 0

    async def run(self) -> None:
        for place, waybill in enumerate(waybills(LATECOMERS, first=50_000)):
            wanted = {"waybill": waybill, "carrier": "simulated", "order_number": order_of(50_000 + place)}
            while self._dice.random() < LEAVES:
                await self._hang_up(msgspec.json.encode(wanted))
                self.left += 1
                await asyncio.sleep(_AGAIN_S)
            answer = await self._daemon.call("POST", "/v1/shipments", {"shipments": [wanted]})
            self.numbers[waybill] = answer["results"][0]["shipment"]["id"]
            self.there_already += 1 - answer["created"]

    async def _hang_up(self, body: bytes) -> None:
        key = {"Authorization": f"Bearer {self._daemon.key}"}
        await hang_up(self._daemon.url + "/v1/shipments", key, body, self._dice, latest_s=_REGISTERED_S)


async def taken(daemon: Daemon) -> int:
    """Pushes that the daemon took in, whoever heard of it."""
    async with aiohttp.ClientSession() as http, http.get(daemon.url + "/metrics") as page:
        found = _TAKEN.search(await page.text())
    assert found
    return int(float(found[1]))


def descriptors(daemon: Daemon) -> list[int]:
    """Of the daemon and of its server."""
    return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (daemon.pid, daemon.server_pid)]


async def test_connections_that_end_before_their_answer_lose_and_double_nothing(
    request: pytest.FixtureRequest, daemon: Daemon, receiver: Receiver
) -> None:
    """A third of them; afterwards neither the daemon nor its server holds one, and nobody complained."""
    await daemon.start()
    hook = await settle_in(daemon, receiver)
    numbers = await register(daemon, waybills(PARCELS))
    carrier, platform = Impatient(hook, scans_of(list(numbers))), Platform(daemon)
    await asyncio.sleep(2)  # what the start itself opens is open
    before = descriptors(daemon)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(carrier.run())
        tasks.create_task(platform.run())
    ledger = carrier.ledger
    found = await examine(daemon, receiver, ledger, numbers | platform.numbers)
    note(request.node.name, ledger, found)
    print(f"of {ledger.pushes} pushes {carrier.left.total()} hung up: {dict(carrier.left)}; {dict(ledger.answers)}")
    unheard = await taken(daemon) - ledger.answers["200"]
    print(f"{unheard} of these were taken all the same")
    print(f"{platform.left} registrations hung up, {platform.there_already} parcels were there when asked for again")
    assert found.wrong == {}
    assert len(ledger.acknowledged) == carrier.wanted
    assert carrier.left.total() > 0.25 * ledger.pushes
    assert unheard > 0

    def as_before() -> bool:
        return all(now <= then + SPARE for now, then in zip(descriptors(daemon), before, strict=True))

    await until(as_before, within=20, what=f"no more descriptors than {before}")
    for complaint in ("Traceback", "never retrieved", "never awaited"):
        assert complaint not in daemon.log
    assert await daemon.end() == 0
