"""Daemon and server are killed in turn under load: nothing acknowledged is lost, doubled or told out of order."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from tests.faults.audit import examine, note, table
from tests.faults.daemon import Daemon, until
from tests.faults.load import STEPS, Carrier, register, scans_of, settle_in, waybills
from tests.faults.receiver import Arrival, Receiver

SCANS = int(os.environ.get("MILEPOST_FAULTS_SCANS", "4000"))
KILLS = ("daemon", "server", "daemon", "server", "both", "server", "daemon")  # one after each eighth of the load

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def refuses_some(arrival: Arrival, times: int) -> int:
    """Every fortieth change is refused when it first comes."""
    return 503 if times == 1 and int(arrival.digest[:8], 16) % 40 == 0 else 204


async def kill(daemon: Daemon, what: str) -> None:
    """`kill -9`, and a daemon that died is started again at once, as systemd does."""
    if what in ("server", "both"):
        assert daemon.signal_server(signal.SIGKILL)
    if what in ("daemon", "both"):
        await daemon.kill()
        daemon.spawn()


async def kill_in_turn(daemon: Daemon, carrier: Carrier, kills: list[str]) -> None:
    """One kill after each further part of the load, while the pushes go on."""
    for turn, what in enumerate(KILLS, 1):
        share = carrier.wanted * turn // (len(KILLS) + 1)
        await until(lambda share=share: len(carrier.ledger.acknowledged) >= share, within=300, what="progress")
        await kill(daemon, what)
        kills.append(what)


async def test_nothing_is_lost_or_doubled_while_daemon_and_server_are_killed_in_turn(
    daemon: Daemon, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every acknowledged scan once in its timeline, every change delivered, the same bytes, in order."""
    receiver.answer = refuses_some
    receiver.delay_s = 0.02  # so that every kill finds deliveries under way
    await daemon.start()
    hook = await settle_in(daemon, receiver)
    numbers = await register(daemon, waybills(SCANS // len(STEPS)))
    carrier, kills = Carrier(hook, scans_of(list(numbers))), list[str]()
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(carrier.run())
        tasks.create_task(kill_in_turn(daemon, carrier, kills))
    loaded = time.monotonic() - began
    await kill(daemon, "daemon")  # and once more while what was taken in is still going out
    kills.append("daemon")
    await until(lambda: ready(daemon), within=60, what="readiness")
    found = await examine(daemon, receiver, carrier.ledger, numbers)
    ledger = carrier.ledger
    note("nothing_is_lost_or_doubled_while_daemon_and_server_are_killed_in_turn", ledger, found)
    with capsys.disabled():
        print("\nkill -9 of daemon and server in turn, under load")
        print(
            table(
                {
                    "kills": ", ".join(kills),
                    "load": f"{loaded:.1f} s, all delivered and checked after {time.monotonic() - began:.1f} s",
                    "pushes": f"{ledger.pushes}: " + ", ".join(f"{n} × {a}" for a, n in ledger.answers.most_common()),
                    "acknowledged": len(ledger.acknowledged),
                    "pushed again though acknowledged": ledger.repeated,
                    "longest time without a 2xx": f"{ledger.longest_silence_s:.2f} s",
                    "lost": len(found.lost),
                    "doubled": len(found.doubled),
                    "invented": len(found.invented),
                    "changes in the feed": found.changes,
                    "gaps or doubles in it": len(found.gaps),
                    "undelivered": len(found.undelivered),
                    "misordered": len(found.misordered),
                    "same id, other bytes": len(found.differing),
                    "arrivals at the subscriber": f"{found.arrivals}, {found.refused} of them refused to be sent again",
                    "redelivered though accepted": found.redelivered,
                    "order book differs": len(found.order_book),
                }
            )
        )
    assert len(ledger.acknowledged) == SCANS // len(STEPS) * len(STEPS)
    assert found.wrong == {}


async def ready(daemon: Daemon) -> bool:
    return (await daemon.readiness())[0] == 200
