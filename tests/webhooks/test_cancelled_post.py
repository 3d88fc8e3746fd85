"""A post that is cancelled at any await, as its deadline does it: no connection is left, no answer goes to another."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import aclosing

from yarl import URL

from tests.cancelling import Cut, When, watching
from tests.webhooks.receiving import ANY_PORT, LOOPBACK
from tests.webhooks.test_wire import Peer
from webhooks.guard import Guard
from webhooks.wire import Target, Wire

LINES = b"webhook-id: msg_1\r\n"


class Echo(Peer):
    """Answers each request with its body, over connections that last."""

    def __init__(self) -> None:
        super().__init__(self._echo)

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = (await self.heard(reader)).partition(b"\r\n\r\n")[2]
            await asyncio.sleep(0.001)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def test_a_post_that_is_cancelled_anywhere_leaves_no_connection_and_no_answer() -> None:
    """Whether it had to connect, or went out over a connection that was kept."""
    echo, tls = Echo(), ssl.create_default_context()
    async with await asyncio.start_server(echo.serve, "127.0.0.1", 0) as server:
        echo.port = server.sockets[0].getsockname()[1]
        target = Target(URL(f"http://localhost:{echo.port}/hook"), {})
        with watching():
            for kept in (False, True):
                for when in When:
                    for at in range(6):
                        async with aclosing(Wire(guard=Guard(LOOPBACK, ANY_PORT), tls=tls)) as wire:
                            if kept:
                                await wire.post(target, LINES, b"first")
                            before = echo.connections
                            cut = Cut(at, when)
                            heard = await asyncio.gather(
                                cut.run(wire.post(target, LINES, b"cut off")),
                                *(wire.post(target, LINES, b"word %d" % n) for n in range(3)),
                            )
                            assert [one.head for one in heard[1:]] == [b"word 0", b"word 1", b"word 2"]
                            assert (await wire.post(target, LINES, b"next")).head == b"next"
                            assert echo.connections <= before + 4
            async with asyncio.timeout(60):
                while echo.ended < echo.connections:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.01)
