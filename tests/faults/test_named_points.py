"""`kill -9` at every point where something is half-done, again and again, on one data directory, under load.

`MILEPOST_FAULTS=long` kills two hundred times, else ten.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.audit import feed, table
from tests.faults.conftest import LONG, settings
from tests.faults.daemon import READY_S, Daemon, tenant, until
from tests.faults.load import STEPS
from tests.faults.pierced import LEASED, POINTS
from tests.faults.receiver import Receiver
from tests.faults.side import Side

KILLS = 200 if LONG else 10
AT_RANDOM = 0.2  # the share of kills that come from outside, at any moment
SCANS_A_KILL = 20  # of each account
KILL_S = 2.6  # about what a start and a kill take
POLLED = 10 if LONG else 0  # parcels of each account that are only asked for: a lease of two minutes at the end
MOST_PASSES = 12

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]


@pytest.fixture
async def sides(tmp_path: Path, receiver: Receiver) -> AsyncIterator[tuple[Daemon, list[Side]]]:
    """A running daemon with two accounts."""
    async with Receiver() as other:
        chosen = settings(receiver, other) | ({"poll.factor": "0.001"} if POLLED else {})
        async with Daemon(tmp_path / "data", settings=chosen) as daemon:
            await daemon.start()
            sides = [Side("a", daemon, receiver), Side("b", await tenant(daemon, "other"), other)]
            for side in sides:
                side.receiver.delay_s = 0.01
                parcels = KILLS * SCANS_A_KILL // len(STEPS)
                await side.begin(parcels, polled=POLLED, rate=SCANS_A_KILL / KILL_S)
            yield daemon, sides


async def kill_again_and_again(daemon: Daemon, sides: list[Side], kills: Counter[str]) -> None:
    """One kill after the other, each daemon started at once on what the last one left."""
    dice = random.Random(11)
    points = [point for point in POINTS if LONG or point not in LEASED]
    turns = [point for _ in range(1 + KILLS // len(points)) for point in dice.sample(points, len(points))][:KILLS]
    for turn, named in enumerate(turns):
        for side in sides:
            side.reveal((turn + 1) / KILLS)
        point = "at random" if dice.random() < AT_RANDOM else named
        await daemon.kill()
        killed = ("tests.faults.pierced", "KILL", point, str(dice.randint(1, MOST_PASSES)))
        daemon.program = killed if point in POINTS else ("tracker.cli",)
        daemon.spawn()
        try:
            if point == "at random":
                patience = 0.5 + 2.5 * dice.random()  # its start included
            else:
                patience = 30.0
                await until(lambda: ready_or_dead(daemon), within=READY_S, what="readiness")
            await until(lambda: not daemon.running, within=patience, what="the kill")
        except AssertionError:
            await daemon.kill()
            kills["at random"] += 1
        else:
            kills[point] += 1
    daemon.program = ("tracker.cli",)
    await daemon.start()
    for side in sides:
        for carrier in side.carriers:
            carrier.hasten()


async def ready_or_dead(daemon: Daemon) -> bool:
    return not daemon.running or (await daemon.readiness())[0] == 200


async def watch(sides: list[Side], ended: asyncio.Event) -> int:
    """Look in between too, whenever a daemon answers: no revision twice, none out of order; how often it did."""
    looks = 0
    while not ended.is_set():
        await asyncio.sleep(3.0)
        for side in sides:
            assert not side.receiver.premature
            assert not side.receiver.bytes_differ()
        looks += 1
    return looks


async def test_kill_9_at_named_points(sides: tuple[Daemon, list[Side]], capsys: pytest.CaptureFixture[str]) -> None:
    """Every acknowledged scan once, every change at least once, the same bytes, in order, in its own account."""
    daemon, both = sides
    kills, ended = Counter[str](), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(both, ended))
        async with asyncio.TaskGroup() as inner:
            for side in both:
                inner.create_task(side.push())
            inner.create_task(kill_again_and_again(daemon, both, kills))
        ended.set()
    findings = [await side.examined(f"test_kill_9_at_named_points_{KILLS}_times,_account_{side.name}") for side in both]
    with capsys.disabled():
        print(
            f"\n{kills.total()} kills -9 on one data directory, under load, looked at {watching.result()} times between"
        )
        rows: dict[str, object] = dict(sorted(kills.items()))
        for side, found in zip(both, findings, strict=True):
            rows[f"acknowledged, account {side.name}"] = len(side.ledger.acknowledged)
            rows[f"changes, arrivals, redelivered, account {side.name}"] = (
                found.changes,
                found.arrivals,
                found.redelivered,
            )
        print(table(rows))
    assert [found.wrong for found in findings] == [{}, {}]
    assert kills.total() == KILLS
    assert kills["at random"] < KILLS / 2, "most points were never reached"
    own = [{change["shipment_id"] for change in await feed(side.account)} for side in both]
    assert own == [set(side.numbers.values()) for side in both]
