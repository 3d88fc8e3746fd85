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
            room = self.free - leave
            while room >= _BLOCK:
                try:
                    os.posix_fallocate(fd, os.fstat(fd).st_size, room)
                    room = self.free - leave
                except OSError:  # somebody else took a block meanwhile, or the file system keeps some to itself
                    room //= 2
        finally:
            os.close(fd)

    def relieve(self) -> None:
        """That file is gone."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(path: Path, size: int, kind: str = "tmpfs") -> Iterator[Disk]:
    """A disk of that size at `path` while the context lasts; skips the test where mounting is not permitted.

    `kind`: `tmpfs`, in memory, or `ext4`, in a file beside `path`.
    """
    path.mkdir(mode=0o700)
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a disk of its own takes Linux, and root to mount it")
    if kind == "tmpfs":
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    else:
        image = path.with_suffix(".img")
        with image.open("wb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-m", "0", str(image))
        _run("mount", "-o", "loop", str(image), str(path))
    try:
        path.chmod(0o700)
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _run(*words: str) -> None:
    try:
        told = subprocess.run(words, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"{words[0]} is not installed")
    if told.returncode:
        pytest.skip(f"{words[0]} is not permitted here: {told.stderr.decode().strip()}")
