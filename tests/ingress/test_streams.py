"""Answers that last: a stream that is read lives as long as it likes, and one that is not is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.ingress.site import Wire
from tracker.ingress.addresses import Addresses
from tracker.ingress.connections import Deadlines, Doors, Site

SHORT = Deadlines(header_s=0.5, idle_s=0.5, write_s=2.0)
LONG_S = 2 * SHORT.write_s + 0.5
BLOCK = b": " + b"x" * 65_532 + b"\n\n"


class Streams:
    """A site that streams: `/ticks` a little ten times a second, `/flood` as much as is taken, until the other side
    leaves."""

    def __init__(self) -> None:
        self.cut: list[str] = []
        self.open = 0
        self.ended: list[BaseException | None] = []
        self.port = 0

    def connections(self, number: int) -> None:
        self.open = number

    def cut_off(self, why: str) -> None:
        self.cut.append(why)

    async def ticks(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, b"data: tick\n\n", 0.1)

    async def flood(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, BLOCK, 0.0)

    async def _stream(self, request: web.Request, block: bytes, pause_s: float) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(block)
                await asyncio.sleep(pause_s)
        except BaseException as error:
            self.ended.append(error)
            raise

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/ticks", self.ticks)
        app.router.add_get("/flood", self.flood)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await Site(runner, "127.0.0.1", 0, Doors(SHORT, Addresses(), self)).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()

    async def ask(self, path: str, **how: int) -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port, **how))
        await wire.send(f"GET {path} HTTP/1.1\r\nHost: m\r\n\r\n".encode())
        return wire


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    streams = Streams()
    async with streams.running():
        yield streams


async def test_a_stream_that_is_read_outlives_every_deadline(streams: Streams) -> None:
    async with await streams.ask("/ticks") as wire:
        began, seen = time.monotonic(), b""
        while time.monotonic() - began < LONG_S or seen.count(b"tick") < 20:
            part = await wire.reader.read(65_536)
            assert part
            seen += part
    assert streams.cut == []


async def test_a_reader_that_lags_behind_all_the_time_is_not_cut_off(streams: Streams) -> None:
    """There is always something that waits for it, and always less of what did."""
    async with await streams.ask("/flood", limit=65_536) as wire:
        began = time.monotonic()
        while time.monotonic() - began < LONG_S:
            assert await wire.reader.read(65_536)
            await asyncio.sleep(0.02)
    assert streams.cut == []


async def test_a_reader_that_waited_while_the_daemon_stood_still_is_not_cut_off(streams: Streams) -> None:
    """It had no chance to take anything."""
    async with await streams.ask("/flood", limit=65_536) as wire:
        for _ in range(3):
            for _ in range(60):
                assert await wire.reader.read(65_536)
                await asyncio.sleep(0.02)
            time.sleep(2.5)  # noqa: ASYNC251  # the whole process, as where it is stopped
        await wire.reader.readexactly(65_536)
    assert streams.cut == []


async def test_a_reader_that_stops_is_cut_off_and_the_stream_ends(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    async with await streams.ask("/flood", limit=4_096) as wire:
        wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        async with asyncio.timeout(60):
            while not streams.ended:
                await asyncio.sleep(0.05)
    assert streams.cut == ["write"]
    assert isinstance(streams.ended[0], ConnectionError)
    assert caplog.text == ""


async def test_a_reader_that_leaves_ends_its_stream_and_says_nothing_in_the_log(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    async with await streams.ask("/ticks") as wire:
        await wire.reader.readuntil(b"tick")
    async with asyncio.timeout(60):
        while not streams.ended or streams.open:
            await asyncio.sleep(0.05)
    assert streams.cut == []
    assert caplog.text == ""
