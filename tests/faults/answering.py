"""Endpoints by path: each path has one way to answer, byte for byte, and counts who came."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

Manner = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Answering:
    """`async with answering(manners) as there`: `there.url(name)`, and when each name was asked (s, monotonic)."""

    def __init__(self, manners: Mapping[str, Manner]) -> None:
        self.manners = dict(manners)
        self.asked: dict[str, list[float]] = defaultdict(list)
        self.port = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.split(b"\r\n")
                size = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
                await reader.readexactly(size)
                name = lines[0].split(b" ")[1][1:].decode()
                self.asked[name].append(time.monotonic())
                await self.manners[name](reader, writer)
        writer.close()


@asynccontextmanager
async def answering(manners: Mapping[str, Manner]) -> AsyncIterator[Answering]:
    there = Answering(manners)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0, backlog=1024)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()


def saying(*parts: bytes, then: str = "") -> Manner:
    """Write the parts; then `close` or `reset` the connection, or keep it."""

    async def manner(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then == "close":
            writer.close()
        elif then == "reset":
            await asyncio.sleep(0.02)  # what was written is on its way
            reset(writer)

    return manner


def in_turn(*manners: Manner) -> Manner:
    """One after the other, the last for ever."""
    left = list(manners)

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(reader, writer)

    return manner


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a RST."""
    endpoint = writer.get_extra_info("socket")
    with suppress(OSError):
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
