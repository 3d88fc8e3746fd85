"""Deliveries to the order book that are given up: by deadlines that are too short, or where somebody else locks it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.audit import examine, note
from tests.faults.conftest import settings
from tests.faults.daemon import Daemon
from tests.faults.drill import Drill
from tests.faults.load import Carrier, register, scans_of, settle_in, waybills
from tests.faults.receiver import Receiver

HELD_S = 7.0  # deliveries of the drill have two
SHORT_S = "0.1"  # for a delivery, the least that can be set
SOON = "0.001"  # of the usual waits between two attempts
PARCELS = 400

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]


async def test_deadlines_that_cut_off_the_order_book_leave_it_open(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver
) -> None:
    """Under a load for which they are too short; what they gave up is done, and done once."""
    tight = settings(receiver) | {"delivery.timeout_s": SHORT_S, "delivery.schedule_factor": SOON}
    async with Daemon(tmp_path / "data", settings=tight) as daemon:
        await daemon.start()
        hook = await settle_in(daemon, receiver)
        numbers = await register(daemon, waybills(PARCELS))
        ledger = await Carrier(hook, scans_of(list(numbers))).run()
        found = await examine(daemon, receiver, ledger, numbers)
        note(request.node.name, ledger, found)
        print(f"destinations that were late: {daemon.log.count('not done within')}")
        assert found.wrong == {}
        assert await daemon.end() == 0


async def test_a_book_that_is_locked_for_long_has_everything_once_the_lock_is_gone(drill: Drill) -> None:
    """A backup, say; webhooks go on beside it."""
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.2)
    with closing(sqlite3.connect(drill.daemon.directory / "orders.db", isolation_level=None)) as beside:
        beside.execute("BEGIN IMMEDIATE")
        delivered = len(drill.receiver.arrivals)
        await asyncio.sleep(HELD_S)
        assert len(drill.receiver.arrivals) > delivered
        beside.execute("ROLLBACK")
    await pushing
    assert (await drill.examined()).wrong == {}
    assert "Traceback" not in drill.daemon.log
    assert await drill.daemon.end() == 0
