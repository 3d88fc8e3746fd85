"""A whole daemon in the test's own loop, and a client that writes to its port byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec
from msgspec import Struct

from tracker.app import open_daemon
from tracker.config.loading import load


class Answer(Struct, frozen=True):
    """One HTTP answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Wire:
    """One TCP connection to the port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, within_s: float = 10.0) -> Answer:
        """The next answer."""
        async with asyncio.timeout(within_s):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for line in head[1:]
                for name, colon, value in [line.partition(":")]
                if colon
            }
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split(" ")[1]), headers, body)

    async def closed(self, within_s: float = 10.0) -> bytes:
        """What still comes until the other side closes."""
        async with asyncio.timeout(within_s):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


class Site:
    """A running daemon: its port, and its first key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str) -> None:
        self.http, self.url, self.key = http, url, key
        self.port = urlsplit(url).port or 0

    async def wire(self, **how: Any) -> Wire:
        return Wire(*await asyncio.open_connection("127.0.0.1", self.port, **how))

    def head(self, method: str, path: str, *headers: str) -> bytes:
        """A request's head, with the key."""
        lines = (f"{method} {path} HTTP/1.1", "Host: milepost", f"Authorization: Bearer {self.key}", *headers, "", "")
        return "\r\n".join(lines).encode("latin-1")

    async def once(self, *parts: bytes) -> Answer:
        """What is answered to these bytes on a connection of their own."""
        async with await self.wire() as wire:
            await wire.send(b"".join(parts))
            return await wire.answer()

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One call of the API with the key, or with other headers."""
        said = {"Authorization": f"Bearer {self.key}", **headers}
        async with self.http.request(method, self.url + path, json=body, headers=said) as answer:
            names = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, names, await answer.read())

    async def hook(self, carrier: str, **credentials: str) -> str:
        """The path at which a new connection takes pushes."""
        made = await self.call("POST", "/v1/connections", {"carrier": carrier, "credentials": credentials})
        assert made.status == 201, made.body
        url: str = made.json()["webhook_url"]
        return urlsplit(url).path


@contextlib.asynccontextmanager
async def running(directory: Path, store: str, **flags: str) -> AsyncIterator[Site]:
    """A daemon over a store that is empty. `flags`: section__name=value."""
    named = {name.replace("__", "."): value for name, value in flags.items()}
    settings = load(
        env={},
        flags={
            "data": str(directory),
            "http.port": "0",
            "store.url": store,
            "log.level": "error",
            "roles": "intake",
            **named,
        },
    )
    async with open_daemon(settings) as daemon, aiohttp.ClientSession() as http:
        assert daemon.first_key is not None
        yield Site(http, daemon.url, daemon.first_key)


def chunked(pieces: Iterable[bytes]) -> bytes:
    """A body in chunks, as HTTP/1.1 writes it."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
