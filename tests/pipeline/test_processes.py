"""A process for each role: all answer, one that dies comes back, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ports import free_ports


class Crew:
    """A running `milepost serve` with a process for each role."""

    def __init__(self, directory: Path) -> None:
        self.port = free_ports(3)[0]
        words = ["serve", "--data", str(directory), "--port", str(self.port), "--set", "processes=roles"]
        self.process = subprocess.Popen([sys.executable, "-m", "tracker.cli", *words], stdout=subprocess.DEVNULL)

    def ready(self, port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def all_ready(self) -> bool:
        return all(self.ready(port) for port in range(self.port, self.port + 3))

    def workers(self) -> list[int]:
        """The process ids of the parent's children that are workers."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "tracker.worker"], capture_output=True, text=True, check=False
        )
        return [int(line) for line in found.stdout.split()]


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    try:
        _until(crew.all_ready, 60)
        yield crew
    finally:
        crew.process.terminate()
        crew.process.wait(timeout=60)


def _until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not come about in time"
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_that_dies_comes_back_and_all_end_with_their_parent(crew: Crew) -> None:
    first, second = crew.workers()
    os.kill(first, signal.SIGKILL)
    _until(lambda: len(crew.workers()) == 2 and first not in crew.workers(), 60)
    _until(crew.all_ready, 60)
    workers = crew.workers()
    assert second in workers
    crew.process.terminate()
    assert crew.process.wait(timeout=60) == 0
    _until(lambda: all(_gone(pid) for pid in workers), 60)


def test_workers_end_by_themselves_when_their_parent_is_killed(crew: Crew, tmp_path: Path) -> None:
    workers = crew.workers()
    crew.process.kill()
    crew.process.wait()
    _until(lambda: all(_gone(pid) for pid in workers), 60)
    again = Crew(tmp_path)  # adopts the server that was left behind, and ends it in the end
    _until(again.all_ready, 60)
    again.process.terminate()
    assert again.process.wait(timeout=60) == 0
