"""The least HTTP/1.1 server: what stands at the other end must cost next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

Answering = Callable[[bytes, bytes], bytes]  # head, body → the whole answer
_LENGTH = b"content-length:"


def length_of(head: bytes) -> int:
    """The Content-Length of a message's head; 0 where it names none."""
    at = head.find(b"Content-Length:")
    if at < 0:
        at = head.lower().find(_LENGTH)
    if at < 0:
        return 0
    end = head.find(b"\r\n", at)
    return int(head[at + len(_LENGTH) : end if end >= 0 else len(head)])


class Server(asyncio.Protocol):
    """One connection; requests of a known length only."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        while (end := received.find(b"\r\n\r\n") + 4) > 3:
            head = received[:end]
            whole = end + length_of(head)
            if len(received) < whole:
                break
            assert self._transport is not None
            self._transport.write(self._answering(head, received[end:whole]))
            received = received[whole:]
        self._received = received


async def listen(answering: Answering) -> tuple[asyncio.Server, int]:
    """A server on a free port of loopback, and the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(answering), "127.0.0.1", 0, backlog=1024)
    return server, int(server.sockets[0].getsockname()[1])
