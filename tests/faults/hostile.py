"""Subscribers that do harm, each in its own way, on a port of its own."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import cast

from tests.faults.answering import reset

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
_TINY = 2_304  # bytes of a receive buffer, the least that Linux gives


class Hostile:
    """What was done to them, counted; `timeout_s` is how long the daemon waits for an answer."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.asked: dict[str, int] = {}
        self.sent = 0  # bytes of endless bodies
        self.ports: dict[str, int] = {}
        self._dice = random.Random(5)
        self._stage = 0

    async def mute(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes the request and never answers."""
        await reader.read()

    async def dripping(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A head at once, then a byte of the body now and then."""
        await reader.read(65_536)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.1)

    async def deaf(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reads nothing: its window closes."""
        cast(asyncio.Transport, writer.transport).pause_reading()  # one that reads too, as a connection's does
        await asyncio.sleep(3 * self.timeout_s)

    async def late(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers about when the daemon's patience ends: sometimes just before, sometimes just after."""
        await reader.read(65_536)
        await asyncio.sleep(self.timeout_s * (0.9 + 0.15 * self._dice.random()))
        writer.write(_OK)
        await writer.drain()

    async def endless(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A 200 whose body has no end."""
        await reader.read(65_536)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(_CHUNK)
            await writer.drain()
            self.sent += len(_CHUNK)

    async def interim(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Announces an answer for ever."""
        await reader.read(65_536)
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def resetting(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A RST: at once, amid the request, after it, amid the head, amid the body."""
        self._stage = (self._stage + 1) % 5
        if self._stage:
            await reader.read(100 if self._stage == 1 else 65_536)
        if self._stage >= 3:
            writer.write(_OK[:20] if self._stage == 3 else b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            await writer.drain()
        reset(writer)

    async def garbling(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes that are no HTTP."""
        await reader.read(65_536)
        writer.write(self._dice.randbytes(2_000))
        await writer.drain()


KINDS = ("mute", "dripping", "deaf", "late", "endless", "interim", "resetting", "garbling", "full")


@asynccontextmanager
async def hostile(timeout_s: float) -> AsyncIterator[Hostile]:
    """All of them; `full` never accepts, and its queue of connections is full."""
    them = Hostile(timeout_s)
    async with AsyncExitStack() as stack:
        for kind in KINDS[:-1]:
            endpoint = socket.socket()
            if kind == "deaf":
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TINY)
            endpoint.bind(("127.0.0.1", 0))
            server = await asyncio.start_server(_counted(them, kind), sock=endpoint, backlog=1024)
            stack.callback(server.close)
            them.ports[kind] = endpoint.getsockname()[1]
        them.ports["full"] = _full(stack)
        yield them


def _counted(them: Hostile, kind: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    manner = getattr(them, kind)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        them.asked[kind] = them.asked.get(kind, 0) + 1
        with suppress(ConnectionError):
            await manner(reader, writer)
        writer.close()

    return serve


def _full(stack: AsyncExitStack) -> int:
    """A port that listens, whose queue takes nobody more: Linux then drops the SYN, as a black hole does."""
    listening = stack.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    port = int(listening.getsockname()[1])
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with suppress(BlockingIOError):
            waiting.connect(("127.0.0.1", port))
    return port
