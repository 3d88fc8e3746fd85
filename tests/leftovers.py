"""What may go on in or beside this process after a test: threads, children, ports that somebody still listens at.

The next test meets it, once in a hundred runs. Read from /proc; where there is none, of threads alone.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

_ENDS_WITHIN_S = 5.0
_SELF = Path("/proc/self")


class Leftover(Struct, frozen=True):
    """`of`: a thread, process or socket; `as_`: what it is called."""

    of: str
    as_: str

    def __str__(self) -> str:
        return f"{self.of}: {self.as_}"


def running() -> frozenset[Leftover]:
    """All of it."""
    return frozenset((*_threads(), *_children(), *_listening()))


def left_since(before: frozenset[Leftover]) -> list[str]:
    """What was not running then and does not end by itself, within some seconds.

    A server of several tests that one of them started again was: it is called as before.
    """
    things, names = {one.of for one in before}, {one.as_ for one in before}
    ends = time.monotonic() + _ENDS_WITHIN_S
    while left := {one for one in running() if one.of not in things and one.as_ not in names}:
        if time.monotonic() > ends:
            break
        time.sleep(0.01)
    return sorted(map(str, left))


def _threads() -> Iterator[Leftover]:
    for thread in threading.enumerate():
        if thread.is_alive():
            yield Leftover(f"thread {thread.native_id}", f"{thread.name} {thread.native_id}")


def _children() -> Iterator[Leftover]:
    """With those that have ended and that nobody waited for."""
    for pid in _listed():
        yield Leftover(f"process {pid}", _command(pid))


def _listed() -> list[str]:
    """By thread; where one ends meanwhile, its children are another's, and all are listed anew."""
    while True:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return [pid for listed in _SELF.glob("task/*/children") for pid in listed.read_text().split()]


def _command(pid: str) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        words = ""
    return words or f"{pid}, which has ended, and nobody waited for it"


def _listening() -> Iterator[Leftover]:
    for file in _SELF.glob("fd/*"):
        try:
            name = file.readlink().name
            if name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(file.name))) as one:
                    if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        yield Leftover(name, f"listens at {one.getsockname()} {name}")
        except OSError:  # closed meanwhile
            continue
