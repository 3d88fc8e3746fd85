"""Two daemons with every role over one server, load through both: what one drops, the other takes up.

`MILEPOST_FAULTS=long` has eight times the load and the faults.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.audit import examine, note
from tests.faults.conftest import LONG
from tests.faults.daemon import Daemon, until
from tests.faults.load import Carrier, Ledger, deal, register, scans_of, settle_in, waybills
from tests.faults.pair import Pair, pair_of
from tests.faults.receiver import Receiver

PARCELS = 300 if LONG else 40
ROUNDS = 8 if LONG else 1
TIMEOUT_S = 1.0
LEASE_S = 3 * TIMEOUT_S + 5  # of a claim

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
async def pair(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Pair]:
    """Both run."""
    async with pair_of(tmp_path, receiver, {"delivery.timeout_s": str(TIMEOUT_S)}) as (one, two):
        await one.start()
        await two.start()
        yield one, two


async def load(pair: Pair, receiver: Receiver, *, rate: float) -> tuple[list[Carrier], dict[str, str]]:
    """Carriers for both daemons; `rate` is that of both together."""
    one, two = pair
    hook = await settle_in(one, receiver)
    numbers = await register(one, waybills(PARCELS))
    hooks = hook, hook.replace(one.url, two.url)
    return deal(scans_of(list(numbers)), hooks, rate=rate), numbers


def together(carriers: list[Carrier]) -> Ledger:
    return Ledger.of(carrier.ledger for carrier in carriers)


async def test_two_daemons_share_the_work_and_nobody_delivers_what_the_other_does(
    pair: Pair, receiver: Receiver
) -> None:
    """Without a fault each message comes once, whoever took the push and whoever delivers it."""
    carriers, numbers = await load(pair, receiver, rate=100)
    await asyncio.gather(*(carrier.run() for carrier in carriers))
    ledger = together(carriers)
    found = await examine(pair[0], receiver, ledger, numbers)
    note("test_two_daemons_over_one_server", ledger, found)
    assert found.wrong == {}
    assert found.redelivered == 0
    assert len(ledger.acknowledged) == PARCELS * 10


async def test_one_of_two_daemons_is_killed_or_stands_still_and_the_other_goes_on(
    pair: Pair, receiver: Receiver
) -> None:
    """A frozen daemon wakes up when its claims have long been another's: it tells nothing first that is not its own."""
    one, two = pair
    receiver.delay_s = 0.5  # many a lane is busy when the frozen one wakes up and settles what it had
    carriers, numbers = await load(pair, receiver, rate=24)

    async def trouble() -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(1.5)
            await two.kill()
            await asyncio.sleep(0.5)
            await two.start()
            os.kill(one.pid, signal.SIGSTOP)
            await asyncio.sleep(LEASE_S + 2)
            os.kill(one.pid, signal.SIGCONT)
            await asyncio.sleep(1.5)
            await one.kill()
            one.spawn()
            os.kill(two.pid, signal.SIGSTOP)
            await asyncio.sleep(2)
            os.kill(two.pid, signal.SIGCONT)
            await until(lambda: ready(one), within=30, what="readiness")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(trouble())
        for carrier in carriers:
            tasks.create_task(carrier.run())
    ledger = together(carriers)
    found = await examine(one, receiver, ledger, numbers)
    note("test_two_daemons,_one_killed_or_frozen", ledger, found)
    assert found.wrong == {}
    assert len(ledger.acknowledged) == PARCELS * 10


async def ready(daemon: Daemon) -> bool:
    return (await daemon.readiness())[0] == 200
