"""The disk under the data directory: what a start needs of it, and the door that closes before it is full."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from tracker.metrics import Metrics

logger = structlog.get_logger()

_LEAST_TO_START = 4 << 20  # for the first files of a log and of an order book
_LEAST_BESIDE_THE_LOG = 1 << 30
_LOOK_S = 1.0


def cramped(directory: Path) -> str:
    """Why nothing should be started on that disk; "" where there is room."""
    free = shutil.disk_usage(directory).free
    if free >= _LEAST_TO_START:
        return ""
    return f"no space left: {free >> 10} KiB free under {directory}, a start needs {_LEAST_TO_START >> 20} MiB"


class DiskWatch:
    """Watches the disk beside a server's log: one that can't write its log ends, and rewriting it needs room.

    `tell` hears why nothing may be taken in now, and "" once there is room. It needs no server that answers.
    """

    def __init__(self, directory: Path | None, metrics: Metrics, tell: Callable[[str], None]) -> None:
        """`directory` of the server; None where it is elsewhere, and its disk not ours to see."""
        self.full = ""
        self._directory = directory
        self._metrics = metrics
        self._tell = tell

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while self._directory:
            self._look(self._directory)
            await asyncio.sleep(_LOOK_S)

    def _look(self, directory: Path) -> None:
        free, log = shutil.disk_usage(directory).free, _log_bytes(directory)
        wanted = max(2 * log, _LEAST_BESIDE_THE_LOG)
        full = f"{free >> 20} MiB free beside the log, {wanted >> 20} MiB are needed" if free < wanted else ""
        if bool(full) != bool(self.full):
            logger.warning("intake", closed=bool(full), why=full)
        self.full = full
        self._metrics.disk_free.set(free)
        self._tell(full)


def _log_bytes(directory: Path) -> int:
    """What the log takes; a file that is replaced meanwhile counts as nothing."""
    total = 0
    for path in directory.glob("appendonlydir/*.aof*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
