"""Who stands still (SIGSTOP) for longer than leases last: a daemon alone, one of two, one with its server. It wakes.

`MILEPOST_FAULTS=long` freezes for a minute too, for longer than a poll's lease, and at every named point.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.audit import feed, message_id
from tests.faults.conftest import LONG, settings
from tests.faults.daemon import Daemon, until
from tests.faults.pair import Pair, pair_of
from tests.faults.pierced import LEASED, POINTS
from tests.faults.receiver import Arrival, Receiver
from tests.faults.side import Side
from tests.faults.test_two_daemons import LEASE_S, TIMEOUT_S, ready

PARCELS, POLLED = 40, 6
FROZEN_S = [LEASE_S + 4, 60.0] if LONG else [LEASE_S + 4]
POLL_LEASE_S = 120.0
PILING_S = 4.0
PATIENT_S = 10.0  # after which everybody has begun to work again, on a busy machine too
QUICK = {
    "delivery.timeout_s": str(TIMEOUT_S),
    "delivery.schedule_factor": "0.005",  # the third attempt after a second or two
    "poll.factor": "0.0001",  # a poll every second or two
}
AT = list(POINTS) if LONG else ["after a POST, before its settlement"]
SETTLING = ["before settling", "after a POST, before its settlement", "amid a POST"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop the processes, and let them go on in the same order."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def refused_at_first(arrival: Arrival, times: int) -> int:
    """Some changes have to come again, so that there are retries whenever somebody stops."""
    return 503 if times == 1 and int(arrival.digest[:2], 16) % 5 == 0 else 204


def refused(arrival: Arrival, times: int) -> int:
    return 503


@pytest.fixture
async def side(tmp_path: Path, receiver: Receiver) -> AsyncIterator[tuple[Daemon, Side]]:
    """A daemon that runs with its own server."""
    async with Daemon(tmp_path / "data", settings=settings(receiver) | QUICK) as daemon:
        await daemon.start()
        yield daemon, await begun(daemon, receiver, rate=60)


@pytest.fixture
async def pair(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Pair]:
    """Both run."""
    async with pair_of(tmp_path, receiver, QUICK) as (one, two):
        await one.start()
        await two.start()
        yield one, two


async def begun(daemon: Daemon, receiver: Receiver, *, rate: float, beside: Sequence[Daemon] = ()) -> Side:
    receiver.delay_s, receiver.answer = 0.3, refused_at_first
    side = Side("", daemon, receiver)
    await side.begin(PARCELS, polled=POLLED, rate=rate, beside=beside)
    return side


@pytest.mark.parametrize("who", ["daemon", "daemon, then server", "server, then daemon"])
@pytest.mark.parametrize("frozen_s", [*FROZEN_S, POLL_LEASE_S + 10] if LONG else FROZEN_S)
async def test_a_daemon_that_stood_still_for_longer_than_its_leases_goes_on(
    side: tuple[Daemon, Side], who: str, frozen_s: float
) -> None:
    """In the midst of pushes, deliveries, polls and an order store's updates; alone, or its server stands still too."""
    daemon, told = side
    receiver, server = told.receiver, daemon.server_pid
    pids = {"daemon": [daemon.pid], "daemon, then server": [daemon.pid, server]}.get(who, [server, daemon.pid])
    receiver.delay_s = 0.7
    pushing = asyncio.create_task(told.push())
    told.reveal(0.3)
    await told.acknowledged(0.3)
    await until(lambda: receiver.under_way >= 8, within=20, what="deliveries under way")
    receiver.delay_s = 0.3
    assert not pushing.done(), "there is something to push when it wakes"
    with frozen(*pids):
        under_way = receiver.under_way
        told.reveal(1.0)
        await asyncio.sleep(1.0)
        seen, acknowledged = len(receiver.arrivals), len(told.ledger.acknowledged)
        await asyncio.sleep(frozen_s - 1.0)
        assert (len(receiver.arrivals), len(told.ledger.acknowledged)) == (seen, acknowledged)
    woke = time.monotonic()
    await until(lambda: len(told.ledger.acknowledged) > acknowledged, within=PATIENT_S, what="a push's 2xx")
    await until(lambda: len(receiver.arrivals) > seen, within=PATIENT_S, what="a delivery")
    print(f"after {time.monotonic() - woke:.1f} s pushes and deliveries go on; {under_way} were under way")
    await until(lambda: ready(daemon), within=PATIENT_S, what="readiness")
    await told.pushed(pushing)
    assert daemon.server_pid == server
    assert set(told.ledger.answers) <= {"200", "503", "timeout"}, told.ledger.answers
    found = await told.examined(f"test_{who}_frozen_for_{frozen_s:g}_s")
    assert found.wrong == {}


@pytest.mark.parametrize("frozen_s", FROZEN_S)
async def test_the_other_daemon_takes_everything_over_from_one_that_stands_still(
    pair: Pair, receiver: Receiver, frozen_s: float
) -> None:
    """In mid-delivery; when it wakes, under load still, what it settles is no longer its own."""
    one, two = pair
    side = await begun(one, receiver, rate=10 * PARCELS / (frozen_s + 6), beside=[two])
    pushing = asyncio.create_task(side.push())
    await side.acknowledged(0.1)
    side.reveal(0.3)
    await until(lambda: receiver.under_way >= 4, within=20, what="deliveries under way")
    with frozen(two.pid):
        before = {message_id(change) for change in await feed(one)}
        side.reveal(1.0)
        await asyncio.sleep(frozen_s)
        left = before - receiver.ids
    assert not left, "the other did not take these over"
    await side.pushed(pushing)
    found = await side.examined(f"test_one_of_two_frozen_for_{frozen_s:g}_s")
    assert found.wrong == {}


@pytest.mark.parametrize("point", AT)
async def test_a_daemon_that_stands_still_at_a_named_point_settles_nothing_that_is_anothers(
    pair: Pair, receiver: Receiver, point: str
) -> None:
    """The other one has long taken over what was claimed, begun or not yet settled there."""
    one, two = pair
    frozen_s = POLL_LEASE_S + 10 if point in LEASED else LEASE_S + 4
    await two.end()
    side = await begun(one, receiver, rate=5 * PARCELS / frozen_s, beside=[two])
    receiver.delay_s, receiver.beat_s = 0.0, 0.5
    two.program = ("tests.faults.pierced", "STOP", point, "12")
    two.spawn()
    pushing = asyncio.create_task(side.push())
    side.reveal(1.0)
    await until(lambda: two.stopped, within=60, what=f"a stop {point}")
    await asyncio.sleep(frozen_s - PILING_S)
    receiver.answer = refused
    for carrier in side.carriers:
        carrier.hasten()  # and every lane gets a head that nobody has delivered
    await asyncio.sleep(PILING_S)
    os.kill(two.pid, signal.SIGCONT)
    await asyncio.sleep(1.0)
    receiver.answer = refused_at_first
    await side.pushed(pushing)
    found = await side.examined(f"test_one_of_two_frozen_{point}")
    assert found.wrong == {}
    if point in SETTLING:
        assert sum(late(two)), "it settled in vain"


def late(daemon: Daemon) -> list[int]:
    """How many deliveries it settled that were no longer its own, each time."""
    return [int(found) for found in re.findall(r'"deliveries": (\d+), "event": "settled_too_late"', daemon.log)]
