"""A line to the server that can be told to lose what goes over it, or to keep the answers for a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from tracker.store import Store, StoreSettings, open_store


class Line:
    """Passes bytes between a client and the server; breaks after the next request or before it, when told to."""

    def __init__(self, server: str = "") -> None:
        self.server = server
        self.lose_reply = False
        self.lose_request = False
        self.lose_every = 0  # requests between two whose reply is lost; 0: none
        self._requests = 0
        self._answers = asyncio.Event()
        self._answers.set()
        self._asked = asyncio.Event()
        self._held_by = b""
        self._subscribers: set[asyncio.StreamWriter] = set()
        self._deaf: set[asyncio.StreamWriter] = set()

    def deafen(self) -> None:
        """Lose everything that the server says to those who have subscribed by now, and tell neither side."""
        self._deaf |= self._subscribers

    def hold(self, function: str = "") -> None:
        """Pass requests on, and keep every answer until `let_go`; with a function, from its call on."""
        self._asked.clear()
        self._held_by = function.encode()
        if not function:
            self._answers.clear()

    def let_go(self) -> None:
        self._held_by = b""
        self._answers.set()

    async def asked(self, within: float) -> None:
        """Return once what is held was passed on, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._asked.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._pass_on(reader, writer, *await asyncio.open_unix_connection(self.server))

    def to(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        """The same line's way to a server on a port of loopback; several are held and let go together."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._pass_on(reader, writer, *await asyncio.open_connection("127.0.0.1", port))

        return serve

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        back = asyncio.create_task(self._replies(far_reader, writer))
        with contextlib.suppress(OSError):
            while (data := await reader.read(1 << 16)) and not self._lost_request():
                if b"SUBSCRIBE" in data:
                    self._subscribers.add(writer)
                held = self._held_by in data
                if held and self._held_by:
                    self._answers.clear()
                far_writer.write(data)
                await far_writer.drain()
                if held:
                    self._asked.set()
                if self._loses_reply():  # the server runs it and nobody hears of it
                    back.cancel()
                    await asyncio.sleep(0.01)
                    self.lose_reply = False
                    break
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        for one in (far_writer, writer):
            one.close()
            with contextlib.suppress(OSError):
                await one.wait_closed()

    def _loses_reply(self) -> bool:
        self._requests += 1
        return self.lose_reply or bool(self.lose_every and self._requests % self.lose_every == 0)

    def _lost_request(self) -> bool:
        lost, self.lose_request = self.lose_request, False
        return lost

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._answers.wait()
                if writer not in self._deaf:
                    writer.write(data)
                    await writer.drain()


@contextlib.asynccontextmanager
async def unreliable(store: Store, directory: Path) -> AsyncIterator[tuple[Line, Store]]:
    """The same store again, over a line of its own."""
    path = directory / "line.sock"
    line = Line(store.url.removeprefix("unix://"))
    server = await asyncio.start_unix_server(line.serve, path)
    async with server:
        async with open_store(StoreSettings(directory=directory, url=f"unix://{path}", shards=store.shards)) as far:
            yield line, far
        await asyncio.sleep(0.02)  # the line's handlers see the end


@contextlib.asynccontextmanager
async def lines_to(ports: Sequence[int]) -> AsyncIterator[tuple[Line, dict[int, int]]]:
    """One line to servers on ports of loopback; by which port it is reached for each."""
    line, ways = Line(), dict[int, int]()
    async with contextlib.AsyncExitStack() as stack:
        for port in ports:
            server = await stack.enter_async_context(await asyncio.start_server(line.to(port), "127.0.0.1", 0))
            ways[port] = server.sockets[0].getsockname()[1]
        yield line, ways
        await asyncio.sleep(0.02)  # its handlers see the end
