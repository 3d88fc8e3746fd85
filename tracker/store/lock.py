"""A lock on a file, which tells whether somebody lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Lock:
    """An exclusive lock on a file, held by an open descriptor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1

    def take(self) -> bool:
        """Whether the lock is ours now."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self.fd = fd
        return True

    def write(self, text: str) -> None:
        """Leave a note in the file, for people."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text.encode(), 0)

    def held(self) -> bool:
        """Whether somebody holds it now."""
        free = self.take()
        self.close()
        return not free

    def close(self) -> None:
        """Let go of our descriptor; a child that inherited it still holds the lock."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
