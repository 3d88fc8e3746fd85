"""`milepost` on a host whose clock is wrong, and steps: `python -m tests.faults.shifted FILE serve …`.

FILE holds eight bytes, the seconds (a double) by which the clock is ahead; written anew, it steps. Only the time of day
is wrong: the steady clock, as on a real host, does not step.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

_SHIFT = struct.Struct("d")


def shift(file: Path, seconds: float) -> None:
    """Set the clock of whoever runs with that file so much ahead."""
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(_SHIFT.pack(seconds))


def bend(file: Path) -> None:
    """Make `time.time` of this process as wrong as the file says, from now on."""
    with file.open("rb") as opened:
        held = mmap.mmap(opened.fileno(), _SHIFT.size, prot=mmap.PROT_READ)
    right = time.time
    time.time = lambda: right() + _SHIFT.unpack(held)[0]


if __name__ == "__main__":
    bend(Path(sys.argv[1]))  # before anything that keeps `time.time` is imported
    from tracker.cli import main

    sys.exit(main(sys.argv[2:]))
