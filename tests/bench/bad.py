"""Endpoints that do harm, in a process of their own: one takes requests and never answers, one drips its answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import uvloop

from tests.bench.processes import Answer, obey

_DRIP_S = 0.5


async def _mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass
    writer.close()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        await reader.read(65_536)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b".")
            await writer.drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRIP_S):
                    await reader.read(65_536)
    writer.close()


async def _nothing(command: Answer) -> Answer:
    return {}


async def main() -> None:
    """Serve until the pipe closes."""
    servers = {
        "dead": await asyncio.start_server(_mute, "127.0.0.1", 0, backlog=1024),
        "dripping": await asyncio.start_server(_drip, "127.0.0.1", 0, backlog=1024),
    }
    await obey({name: server.sockets[0].getsockname()[1] for name, server in servers.items()}, _nothing)


if __name__ == "__main__":
    uvloop.run(main())
