"""A host whose clock is wrong and steps, for the daemon and for its server: `host.c`, preloaded into both."""

from __future__ import annotations

from pathlib import Path

from tests.faults.preload import built
from tests.faults.shifted import shift

_SOURCE = Path(__file__).with_name("host.c")


class Host:
    """The clock of whoever runs with its `environment`."""

    def __init__(self, directory: Path) -> None:
        self._library = built(_SOURCE, directory / "host.so")
        self._file = directory / "host-clock"
        self.step(0.0)

    @property
    def environment(self) -> dict[str, str]:
        """What a process is started with, so that it has this clock."""
        return {"LD_PRELOAD": str(self._library), "HOST_CLOCK": str(self._file)}

    def step(self, seconds: float) -> None:
        """Set the clock so much ahead of the right time, in one step."""
        shift(self._file, seconds)
