"""The power goes, again and again: what was acknowledged is there, since it was fsynced before it was acknowledged.

`MILEPOST_FAULTS=long` cuts it thirty times, else four.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.audit import examine, note
from tests.faults.conftest import LONG
from tests.faults.daemon import Daemon, until
from tests.faults.load import STEPS, Carrier, register, scans_of, settle_in, waybills
from tests.faults.power import Power
from tests.faults.preload import compiler
from tests.faults.receiver import Receiver

CUTS = 30 if LONG else 4
PARCELS = 20 * CUTS
RATE = 150.0
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        sys.platform != "linux" or compiler() is None, reason="power cuts need Linux and a C compiler (cc)"
    ),
]


async def cut(daemon: Daemon, power: Power, *, torn: bool = False) -> None:
    """The power goes: server and daemon are no more, and the disk has what was fsynced."""
    os.kill(daemon.pid, signal.SIGSTOP)  # so that it starts no other server between the two
    daemon.signal_server(signal.SIGKILL)
    await daemon.kill()
    await until(lambda: not daemon.server_pid, within=10, what="the end of the server")
    power.cut(torn=torn)


@pytest.fixture
def power(daemon: Daemon, tmp_path: Path) -> Power:
    daemon.directory.mkdir(mode=0o700)
    power = Power(daemon.directory, tmp_path / "durable")
    daemon.environment = power.environment
    return power


async def test_power_cuts_lose_nothing_that_was_acknowledged(
    daemon: Daemon, receiver: Receiver, power: Power, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut after cut at any moment of the load, some in the midst of a rewrite of the log, some with a torn end."""
    dice = random.Random(5)
    await daemon.start()
    hook = await settle_in(daemon, receiver)
    numbers = await register(daemon, waybills(PARCELS))
    carrier = Carrier(hook, scans_of(list(numbers)), rate=RATE)
    pushing = asyncio.create_task(carrier.run())
    for place in range(CUTS):
        before = len(carrier.ledger.acknowledged)
        await until(lambda before=before: len(carrier.ledger.acknowledged) >= before + 30, within=60, what="progress")
        await asyncio.sleep(0.5 * dice.random())
        if place % 3 == 2:
            daemon.ask_server("BGREWRITEAOF")
            await asyncio.sleep(0.2 * dice.random())
        await cut(daemon, power, torn=place % 2 == 1)
        await daemon.start()
    await asyncio.wait_for(pushing, 300)
    found = await examine(daemon, receiver, carrier.ledger, numbers)
    note("power_cuts_lose_nothing_that_was_acknowledged", carrier.ledger, found)
    with capsys.disabled():
        print(f"\n{CUTS} power cuts took {power.unsynced:,} bytes that were written and not fsynced")
    assert len(carrier.ledger.acknowledged) == PARCELS * len(STEPS)
    assert found.wrong == {}


async def test_a_power_cut_right_after_the_first_start_leaves_the_key_that_was_shown(
    daemon: Daemon, power: Power
) -> None:
    """What the daemon made for itself, the key that seals secrets among it, is durable before it is ready."""
    await daemon.start()
    credentials = {"client_id": "drill", "client_secret": "drill", "webhook_secret": "drill"}
    made = await daemon.call("POST", "/v1/connections", {"carrier": "simulated", "credentials": credentials})
    await cut(daemon, power)
    await daemon.start()
    [kept] = (await daemon.call("GET", "/v1/connections"))["connections"]
    assert kept["id"] == made["id"]
    assert "unreadable" not in daemon.log


async def test_the_cut_takes_what_was_not_fsynced(daemon: Daemon, receiver: Receiver, power: Power) -> None:
    """A server that leaves the fsync to its kernel loses acknowledged scans: so the test above sees what it should."""
    await daemon.start(store__durability="relaxed")
    hook = await settle_in(daemon, receiver)
    numbers = await register(daemon, waybills(20))
    daemon.ask_server("CONFIG", "SET", "appendfsync", "no")
    carrier = Carrier(hook, scans_of(list(numbers)), rate=100)
    pushing = asyncio.create_task(carrier.run())
    await until(lambda: len(carrier.ledger.acknowledged) >= 150, within=60, what="progress")
    await cut(daemon, power)
    pushing.cancel()
    await daemon.start(store__durability="relaxed")
    found = await examine(daemon, receiver, carrier.ledger, numbers, orders=False)
    assert found.lost
