"""What ends, freezes or doubles a daemon, and what is left of its server and of what it had promised."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.faults.conftest import LONG, PATIENCE_S
from tests.faults.daemon import Daemon, run, until
from tests.faults.drill import Drill, begin
from tests.faults.receiver import Receiver
from tests.ports import free_port
from tracker.store.flush import DEADLINE_S

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]
CLAIM_S = 35.0  # of a delivery whose subscriber may take ten seconds

# ---------------------------------------------------------------- the daemon dies, its server lives


async def test_the_server_outlives_a_killed_daemon_and_the_next_one_adopts_it(drill: Drill) -> None:
    """The same process with all that it holds; the push load only sees a pause."""
    daemon = drill.daemon
    server = daemon.server_pid
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(drill.carrier.run())
        for share in (0.3, 0.6):
            await drill.acknowledged(share)
            await daemon.kill()
            assert daemon.server_pid == server
            await daemon.start()
            assert daemon.server_pid == server
    assert (await drill.examined()).wrong == {}
    assert await daemon.end() == 0
    assert not daemon.server_pid, "an adopted server ends with its daemon"


async def test_a_daemon_killed_at_any_moment_of_its_start_leaves_a_directory_that_starts(daemon: Daemon) -> None:
    """Also the very first start, in which the store and the order book are made."""
    for after_s in (0.4, 0.8, 1.0, 1.2, 1.5, 1.9):
        daemon.spawn()
        await asyncio.sleep(after_s)
        await daemon.kill()
    await daemon.start()
    assert (await daemon.readiness())[0] == 200


# ---------------------------------------------------------------- two daemons


async def test_a_second_daemon_on_the_same_directory_is_refused(drill: Drill) -> None:
    """It names the directory and who has it, and does not disturb the first."""
    daemon = drill.daemon
    server = daemon.server_pid
    code, said = await run("serve", "--data", str(daemon.directory), "--port", str(free_port()))
    assert code == 64
    assert str(daemon.directory) in said
    assert f"process {daemon.pid}" in said
    assert "Traceback" not in said
    assert daemon.server_pid == server
    await drill.carrier.run()
    assert (await drill.examined()).wrong == {}


# ---------------------------------------------------------------- asked to end


async def test_sigterm_drains(patient: Drill) -> None:
    """What is under way is finished and settled, what was not begun is handed back; no server is left running."""
    drill, daemon, receiver = patient, patient.daemon, patient.receiver
    receiver.free_to_answer.clear()
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.8)
    await until(lambda: receiver.under_way >= 8, within=60, what="deliveries under way")
    under_way = receiver.under_way
    asyncio.get_running_loop().call_later(0.4, receiver.free_to_answer.set)
    assert await daemon.end(signal.SIGTERM, within=60) == 0
    assert not daemon.server_pid
    assert receiver.under_way == 0, f"{under_way} were under way; some were cut off"
    assert "Traceback" not in daemon.log
    await daemon.start(delivery__timeout_s=PATIENCE_S)
    await pushing
    found = await drill.examined()
    assert found.wrong == {}
    assert found.redelivered == 0, "what was delivered before the end was settled before it"


async def test_ctrl_c_ends_the_daemon_first_and_then_the_store(drill: Drill) -> None:
    """SIGINT reaches the whole process group of the daemon, and its server is not in it."""
    daemon = drill.daemon
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.5)
    assert await daemon.end(signal.SIGINT, group=True) == 0
    assert not daemon.server_pid
    assert "Received SIGTERM" in daemon.server_log
    assert "Received SIGINT" not in daemon.server_log
    assert "ready to exit" in daemon.server_log
    await daemon.start()
    await pushing
    assert (await drill.examined()).wrong == {}


async def test_a_daemon_that_is_asked_to_end_while_it_starts_ends(daemon: Daemon) -> None:
    """SIGTERM at any moment of the start; afterwards nothing runs and the directory is free."""
    for after_s in (0.7, 1.2, 1.6):
        daemon.spawn()
        await asyncio.sleep(after_s)
        await daemon.end(signal.SIGTERM, within=60)
        await until(lambda: not daemon.server_pid, within=10, what=f"the end of the server after {after_s} s")
    await daemon.start()


# ---------------------------------------------------------------- the server freezes


@pytest.mark.parametrize("frozen_s", [5.0, 12.0, 60.0] if LONG else [5.0, 12.0])
async def test_a_frozen_server_costs_pushes_time_and_nothing_else(
    request: pytest.FixtureRequest, daemon: Daemon, receiver: Receiver, frozen_s: float
) -> None:
    """Pushes wait or get 503, readiness says so within a probe's patience, and all heals by itself."""
    drill = await begin(request.node.name, daemon, receiver, delivery__timeout_s="10")
    carrier, ledger = drill.carrier, drill.carrier.ledger
    pushing = asyncio.create_task(carrier.run())
    await drill.acknowledged(0.3)
    server = daemon.signal_server(signal.SIGSTOP)
    try:
        before = len(ledger.acknowledged)
        began = time.monotonic()
        for _ in range(2):
            await until(lambda: says_that_the_store_is_away(daemon), within=30, what="readiness that says so")
        await asyncio.sleep(max(0.0, frozen_s - (time.monotonic() - began)))
        during = len(ledger.acknowledged) - before
    finally:
        assert daemon.signal_server(signal.SIGCONT) == server
    resumed = time.monotonic()
    assert during <= 24, "a push was acknowledged that cannot be on disk"  # those whose answer was on its way
    await until(lambda: ready(daemon), within=60, what="readiness")
    await drill.pushed(pushing)
    await until(lambda: receiver.arrivals[-1].at > resumed, within=60, what="a delivery")
    assert next(came.at for came in receiver.arrivals if came.at > resumed) < resumed + CLAIM_S / 2, (
        "deliveries go on at once: none waits until a claim has ended"
    )
    assert daemon.server_pid == server
    assert set(ledger.answers) <= {"200", "503"}
    if frozen_s > DEADLINE_S:
        assert ledger.answers["503"]
    elif ledger.longest_silence_s < DEADLINE_S:  # a machine that stood still may have made it as long for them
        assert not ledger.answers["503"]
    assert (await drill.examined()).wrong == {}


async def says_that_the_store_is_away(daemon: Daemon) -> bool:
    """Whether readiness does within a probe's patience; whatever else it says is wrong, no answer is a slow machine."""
    status, told = await daemon.readiness(patience=3.0)
    if status:
        assert status == 503
        assert told["ready"] is False
        assert "store" in str(told["waiting_for"])
    return status == 503


async def ready(daemon: Daemon) -> bool:
    return (await daemon.readiness(patience=3.0))[0] == 200
