"""Ports of loopback for servers that a test starts, kills and starts again.

A port that the kernel picked and that was let go may be anybody's a moment later, an outgoing connection's say. These
lie below the ephemeral ones, and no two processes of tests take theirs from one block.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import socket
from collections.abc import Iterator

_FIRST, _BLOCK, _BLOCKS = 11_000, 100, 100
_BUS = 10_000  # how far above its port a node of a cluster has another one


def free_ports(count: int) -> list[int]:
    """Free ports in a row, not handed out lately, each with the port of a cluster's bus above it."""
    turn = _turns()
    for _ in range(2 * _BLOCK):
        row = list(itertools.islice(turn, count))
        if row[-1] - row[0] == count - 1 and all(map(_free, row)):
            return row
    raise AssertionError(f"no {count} free ports in a row")


def free_port() -> int:
    """A free port that was not handed out lately."""
    return free_ports(1)[0]


@contextlib.contextmanager
def nobody() -> Iterator[int]:
    """A port that refuses every connection: it is taken, and nobody listens there."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


@functools.cache
def _turns() -> Iterator[int]:
    """The ports of a block that is this process's own, as it holds its first; round and round."""
    for first in range(_FIRST, _FIRST + _BLOCKS * _BLOCK, _BLOCK):
        claim = socket.socket()
        with contextlib.suppress(OSError):
            claim.bind(("127.0.0.1", first))
            atexit.register(claim.close)
            return itertools.cycle(range(first + 1, first + _BLOCK))
        claim.close()
    raise AssertionError("every block of ports is taken")


def _free(port: int) -> bool:
    for place in (port, port + _BUS):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", place))
            except OSError:
                return False
    return True
