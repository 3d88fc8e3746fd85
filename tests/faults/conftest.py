"""A receiver and a daemon that delivers to it, quickly: leases and retries end within seconds."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.audit import COLUMNS, ROWS
from tests.faults.daemon import Daemon
from tests.faults.drill import Drill, begin
from tests.faults.receiver import Receiver

LONG = os.environ.get("MILEPOST_FAULTS") == "long"  # more of the same; `make faults-long`

PATIENCE_S = "60"  # of a delivery, which is not given up while a test has its subscriber wait


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def daemon(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Daemon]:
    """Not started yet; whatever it starts is gone afterwards."""
    async with Daemon(tmp_path / "data", settings=settings(receiver)) as daemon:
        yield daemon


@pytest.fixture
async def drill(request: pytest.FixtureRequest, daemon: Daemon, receiver: Receiver) -> Drill:
    """A running daemon with twenty parcels that have not moved yet."""
    return await begin(request.node.name, daemon, receiver)


@pytest.fixture
async def patient(request: pytest.FixtureRequest, daemon: Daemon, receiver: Receiver) -> Drill:
    """The same, whose deliveries wait for a subscriber as long as a test lets them."""
    return await begin(request.node.name, daemon, receiver, delivery__timeout_s=PATIENCE_S)


def settings(*receivers: Receiver) -> dict[str, str]:
    return {
        "egress.allow": "127.0.0.0/8",
        "egress.ports": ",".join(str(receiver.port) for receiver in receivers),
        "delivery.schedule_factor": "0.02",
        "delivery.timeout_s": "2",
        "log.format": "json",
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of the run, as docs/reliability.md has it."""
    if not ROWS:
        return
    terminalreporter.section("faults")
    for row in (COLUMNS, *((name, *figures) for name, figures in ROWS.items())):
        terminalreporter.write_line("| " + " | ".join(str(cell) for cell in row) + " |")
