"""The load generator in a process of its own: prebuilt requests over keep-alive connections, one under way on each."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

from tests.bench.http1 import length_of
from tests.bench.processes import Answer, obey

_SIZE = struct.Struct(">I")


def write_requests(file: Path, requests: Sequence[bytes]) -> None:
    """Leave requests in a file for `run`."""
    file.write_bytes(b"".join(_SIZE.pack(len(one)) + one for one in requests))


def read_requests(file: Path) -> Iterator[bytes]:
    """The requests of a file."""
    data, at = file.read_bytes(), 0
    while at < len(data):
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        yield data[at : at + size]
        at += size


class Caller(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Sequence[bytes], took: list[float], done: asyncio.Future[None]) -> None:
        self._requests = iter(requests)
        self._took = took
        self._done = done
        self._received = b""
        self._sent_at = 0.0
        self.refused = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server hung up"))

    def next(self) -> None:
        """Send the next request, or be done."""
        request = next(self._requests, None)
        if request is None:
            self._done.set_result(None)
            return
        assert self._transport is not None
        self._sent_at = time.monotonic()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n") + 4
        if end < 4 or len(received) < end + length_of(received[:end]):
            self._received = received
            return
        self._received = b""
        self._took.append(time.monotonic() - self._sent_at)
        self.refused += received[9:12] != b"200"
        self.next()

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


async def run(port: int, connections: int, requests: Sequence[bytes]) -> Answer:
    """Send all requests; how many, how many were not answered with 200, from when to when, and latencies in ms."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    callers: list[Caller] = []
    ends: list[asyncio.Future[None]] = []
    for place in range(connections):
        ends.append(loop.create_future())
        made = partial(Caller, requests[place::connections], took, ends[-1])
        _, caller = await loop.create_connection(made, "127.0.0.1", port)
        callers.append(caller)
    began = time.monotonic()
    for caller in callers:
        caller.next()
    await asyncio.gather(*ends)
    ended = time.monotonic()
    for caller in callers:
        caller.close()
    took.sort()
    return {
        "sent": len(took),
        "refused": sum(caller.refused for caller in callers),
        "began": began,
        "ended": ended,
        "p50_ms": 1000 * took[len(took) // 2],
        "p99_ms": 1000 * took[len(took) * 99 // 100],
    }


class Turn(asyncio.Protocol):
    """One connection of a steady load: free, or waiting for an answer."""

    def __init__(self, free: deque[Turn]) -> None:
        self._free = free
        self._received = b""
        self.refused = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._free.append(self)

    def send(self, request: bytes) -> None:
        """Send it; the connection is among the free ones again when it was answered."""
        assert self._transport is not None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end >= 4 and len(self._received) >= end + length_of(self._received[:end]):
            self.refused += self._received[9:12] != b"200"
            self._received = b""
            self._free.append(self)

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


async def steady(port: int, connections: int, requests: Sequence[bytes], rate: float) -> Answer:
    """Send `rate` requests a second whatever comes back; when each was due (CLOCK_MONOTONIC), how many were refused.

    One that finds no connection free waits for one, and its wait counts: what it was due is what it is measured from.
    """
    loop = asyncio.get_running_loop()
    free: deque[Turn] = deque()  # each in its turn: one that says nothing for long is hung up on
    turns = [(await loop.create_connection(lambda: Turn(free), "127.0.0.1", port))[1] for _ in range(connections)]
    began = time.monotonic() + 0.05
    due = [began + place / rate for place in range(len(requests))]
    for at, request in zip(due, requests, strict=True):
        while (ahead := at - time.monotonic()) > 0 or not free:
            await asyncio.sleep(max(ahead, 0.0005))
        free.popleft().send(request)
    while len(free) < connections:
        await asyncio.sleep(0.001)
    for turn in turns:
        turn.close()
    return {"due": due, "refused": sum(turn.refused for turn in turns)}


async def told(command: Answer) -> Answer:
    """Run what a file holds."""
    requests = list(read_requests(Path(command["file"])))
    if command["command"] == "steady":
        return await steady(command["port"], command["connections"], requests, command["rate"])
    return await run(command["port"], command["connections"], requests)


async def main() -> None:
    """Run what is told until the pipe closes."""
    await obey({}, told)


if __name__ == "__main__":
    uvloop.run(main())
