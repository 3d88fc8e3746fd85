"""A host that sets its clock, and its store's with it, forth and back under load: nothing is lost, all follows."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.conftest import settings
from tests.faults.daemon import Daemon, until
from tests.faults.host import Host
from tests.faults.load import STEPS
from tests.faults.preload import compiler
from tests.faults.receiver import Receiver
from tests.faults.side import Side

STEP_S = 40.0  # within what receivers allow a signature
PARCELS = 40
QUICK = {"delivery.timeout_s": "1", "delivery.schedule_factor": "0.005"}

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        sys.platform != "linux" or compiler() is None, reason="a host's clock needs Linux and a C compiler (cc)"
    ),
]


@pytest.fixture
async def host(tmp_path: Path) -> Host:
    """Ahead, and right after the first step back."""
    host = Host(tmp_path)
    host.step(STEP_S)
    return host


@pytest.fixture
async def daemon(tmp_path: Path, receiver: Receiver, host: Host) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "data", settings=settings(receiver) | QUICK) as daemon:
        daemon.environment = host.environment
        yield daemon


async def test_a_host_that_sets_its_clock_back_and_forth_loses_nothing(
    daemon: Daemon, receiver: Receiver, host: Host
) -> None:
    """What was due waits no longer than the step, and goes on in order; polls and an order store too."""
    receiver.delay_s = 0.1
    receiver.answer = lambda arrival, times: 503 if times == 1 and int(arrival.digest[:2], 16) % 5 == 0 else 204
    await daemon.start(poll__factor="0.0001")
    side = Side("", daemon, receiver)
    await side.begin(PARCELS, polled=5, rate=60)
    pushing = asyncio.create_task(side.push())
    for share, ahead in ((0.25, 0.0), (0.5, STEP_S), (0.75, 0.0)):
        await side.acknowledged(share)
        side.reveal(share)
        host.step(ahead)
        stepped = time.monotonic()
    side.reveal(1.0)
    await side.pushed(pushing)
    found = await side.examined("test_a_host_that_sets_its_clock_forth_and_back")
    assert found.wrong == {}
    assert set(side.ledger.answers) == {"200"}
    assert max(came.at for came in receiver.arrivals) - stepped < STEP_S + 20


async def test_what_a_carrier_says_after_the_clock_was_set_back_is_not_taken_for_withdrawn(
    daemon: Daemon, receiver: Receiver, host: Host
) -> None:
    """An answer of before the step seems to be the later one, and lacks what is new: that counts all the same."""
    await daemon.start()
    side = Side("", daemon, receiver)
    await side.begin(0, polled=3)
    side.reveal(0.5)
    for id in side.numbers.values():
        await daemon.call("POST", f"/v1/shipments/{id}/retrack")

    async def told() -> list[int]:
        views = [await daemon.call("GET", f"/v1/shipments/{id}") for id in side.numbers.values()]
        return [len([event for event in view["events"] if not event["retracted"]]) for view in views]

    async def all_told(share: float) -> bool:
        return await told() == [round(share * len(STEPS))] * len(side.numbers)

    await until(lambda: all_told(0.5), within=20, what="the first half", every=0.2)
    host.step(0.0)
    await asyncio.sleep(1.5)  # the daemon learns of it
    side.reveal(1.0)
    for id in side.numbers.values():
        await daemon.call("POST", f"/v1/shipments/{id}/retrack")
    await until(lambda: all_told(1.0), within=20, what="the whole", every=0.2)

    def delivered() -> set[str]:
        return {came.shipment for came in receiver.arrivals if came.type == "shipment.delivered"}

    await until(lambda: delivered() == set(side.numbers.values()), within=STEP_S + 20, what="the deliveries")
