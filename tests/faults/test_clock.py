"""A host whose clock is ten minutes off, or steps: nothing comes too early, too late, or signed in the past."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.audit import examine, note
from tests.faults.conftest import settings
from tests.faults.daemon import Daemon
from tests.faults.drill import Drill, begin
from tests.faults.load import Carrier, register, scans_of, settle_in, waybills
from tests.faults.pair import pair_of
from tests.faults.receiver import Arrival, Receiver
from tests.faults.shifted import shift
from tests.faults.test_two_daemons import together

OFF_S = 600.0
SCHEDULE = {"delivery.schedule_factor": "0.2"}  # the second attempt after a second, the third after another minute
POLLING = {"poll.factor": "0.0001"}  # every second or two
POLLED = 10

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def wrong_clock(daemon: Daemon, tmp_path: Path, seconds: float) -> Path:
    """Have the daemon start on a host that is so much ahead; the file that steps it."""
    file = tmp_path / f"clock-{daemon.port}"
    shift(file, seconds)
    daemon.program = ("tests.faults.shifted", str(file))
    return file


@pytest.fixture
async def daemon(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "data", settings=settings(receiver) | SCHEDULE | POLLING) as daemon:
        yield daemon


def refused_at_first(arrival: Arrival, times: int) -> int:
    """Every fifth parcel's first change is refused twice."""
    return 503 if times <= 1 and arrival.revision == 1 and int(arrival.digest[:8], 16) % 4 == 0 else 204


@pytest.mark.parametrize("seconds", [OFF_S, -OFF_S], ids=["ahead", "behind"])
async def test_a_clock_that_is_ten_minutes_off_changes_nothing(
    seconds: float, daemon: Daemon, receiver: Receiver, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Retries wait their time, polls keep their beat, signatures hold, and the timeline is what was pushed."""
    wrong_clock(daemon, tmp_path, seconds)
    await all_goes_well(await begin(request.node.name, daemon, receiver))


async def test_a_clock_that_steps_forth_and_back_under_load_changes_nothing(
    daemon: Daemon, receiver: Receiver, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Ten minutes forth, twenty back, ten forth, while pushes, retries and polls are under way."""
    file = wrong_clock(daemon, tmp_path, 0.0)
    drill = await begin(request.node.name, daemon, receiver)

    async def stepping() -> None:
        for share, seconds in ((0.25, OFF_S), (0.5, -OFF_S), (0.75, 0.0)):
            await drill.acknowledged(share)
            shift(file, seconds)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stepping())
        tasks.create_task(all_goes_well(drill))


async def all_goes_well(drill: Drill) -> None:
    """Push everything and hold it against everything; beside it, look at the beat of polls and retries."""
    receiver = drill.receiver
    receiver.answer = refused_at_first
    pushed = asyncio.create_task(drill.carrier.run())
    asked, began = receiver.asked, time.monotonic()
    wanted = [{"waybill": waybill, "carrier": "simulated"} for waybill in waybills(POLLED, first=900)]
    made = await drill.daemon.call("POST", "/v1/shipments", {"shipments": wanted})  # nobody pushes for these
    await pushed
    await asyncio.sleep(max(0.0, 8 - (time.monotonic() - began)))
    polls, took = receiver.asked - asked, time.monotonic() - began
    assert took / 2 <= polls <= 12 * took, f"{polls} polls in {took:.1f} s"
    found = await drill.examined()
    assert found.wrong == {}
    assert found.refused, "some had to come again"
    for first, second in second_attempts(receiver):
        assert 0.8 <= second.at - first.at <= 12, f"{second.id} came again after {second.at - first.at:.2f} s"
    for row in made["results"]:
        told = datetime.fromisoformat(row["shipment"]["registered_at"])
        assert abs(told.timestamp() - time.time()) < 120


def second_attempts(receiver: Receiver) -> list[tuple[Arrival, Arrival]]:
    """The first and the second arrival of what was refused."""
    seen: dict[str, Arrival] = {}
    pairs = []
    for arrival in receiver.arrivals:
        if arrival.id in seen:
            pairs.append((seen[arrival.id], arrival))
        else:
            seen[arrival.id] = arrival
    return pairs


async def test_two_daemons_whose_clocks_are_twenty_minutes_apart_agree(tmp_path: Path, receiver: Receiver) -> None:
    """Over one server, each with every role: no message twice, none too early, none left."""
    receiver.answer = refused_at_first
    async with pair_of(tmp_path, receiver, SCHEDULE) as (one, two):
        for daemon, seconds in ((one, OFF_S), (two, -OFF_S)):
            wrong_clock(daemon, tmp_path, seconds)
            await daemon.start()
        hook = await settle_in(one, receiver)
        numbers = await register(one, waybills(20))
        scans = scans_of(list(numbers))
        hooks = hook, hook.replace(one.url, two.url)
        carriers = [Carrier(hook, scans[at::2], rate=50) for at, hook in enumerate(hooks)]
        await asyncio.gather(*(carrier.run() for carrier in carriers))
        ledger = together(carriers)
        found = await examine(one, receiver, ledger, numbers)
        note("test_two_daemons,_clocks_twenty_minutes_apart", ledger, found)
        assert found.wrong == {}
        assert found.redelivered == 0
        for first, second in second_attempts(receiver):
            assert 0.8 <= second.at - first.at <= 12, second.id
