"""A small disk of a test's own, which it can fill to the last block. Needs the right to mount."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_BLOCK = 4096


class Disk:
    """A mounted file system of a fixed size."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.path).free

    def fill(self, *, leave: int = 0) -> None:
        """A file of somebody else takes what is left, but for `leave` bytes."""
        fd = os.open(self._ballast, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            size = os.fstat(fd).st_size
            while (room := self.free - leave) >= _BLOCK:
                with contextlib.suppress(OSError):  # somebody else took a block meanwhile
                    os.posix_fallocate(fd, size, room)
                size = os.fstat(fd).st_size
        finally:
            os.close(fd)

    def relieve(self) -> None:
        """That file is gone."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(path: Path, size: int) -> Iterator[Disk]:
    """A disk of that size at `path` while the context lasts; skips the test where mounting is not permitted."""
    path.mkdir(mode=0o700)
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a disk of its own takes Linux, and root to mount it")
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(path)]
    told = subprocess.run(words, capture_output=True, check=False)
    if told.returncode:
        pytest.skip(f"mounting is not permitted here: {told.stderr.decode().strip()}")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
