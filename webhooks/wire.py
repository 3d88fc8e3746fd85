"""The client end of HTTP/1.1 for signed posts: connections kept alive, one request under way on each, nothing else.

aiohttp's client does the same and far more, at three times the CPU. Here are the guarded connect, the pool and the
bounds; messages are read by llhttp. No redirect is followed, no cookie kept, nothing unpacked (docs/adr/0005).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, cast

from aiohappyeyeballs import start_connection
from aiohttp.abc import AbstractResolver
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct
from yarl import URL

from webhooks.guard import Guard, Resolver

MAX_ANSWER = 64 * 1024  # bytes that we read of an answer, its head among them, before we hang up
KEPT_ANSWER = 1024  # bytes of its body that are kept
_IDLE_S = 4.0  # below the five seconds after which common servers hang up on an idle connection
_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5
_RESOLVED_S = 10.0  # an answer of the name server counts so long
_RESOLVED_MOST = 4_096

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class HungUp(ConnectionError):
    """The receiver ended the connection before its answer was complete."""


class Garbled(ConnectionError):
    """What came back is no HTTP/1.1, or never came to an answer."""


class Heard(Struct, frozen=True):
    """A complete answer, or one that is longer than we read: its status, `Retry-After`, and how its body begins."""

    status: int
    head: bytes
    retry_after: str | None


class Target:
    """Where posts go, with all of their head that is always the same. ValueError: a header that can't be sent."""

    __slots__ = ("host", "opening", "port", "tls")

    def __init__(self, url: URL, headers: Mapping[str, str]) -> None:
        self.host = url.raw_host or ""
        self.port = url.port or 0
        self.tls = url.scheme == "https"
        lines = [f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any(char in line for line in lines for char in "\r\n\0"):
            raise ValueError("a header holds a line break")
        self.opening = "".join(f"{line}\r\n" for line in lines).encode()

    @property
    def where(self) -> tuple[str, int, bool]:
        return self.host, self.port, self.tls


class _Line(asyncio.Protocol):
    """One connection. llhttp calls `on_…`; what it reads is the answer to the last request."""

    __slots__ = (
        "_answer",
        "_framed",
        "_head",
        "_lasts",
        "_parser",
        "_read",
        "_reading_body",
        "_retry_after",
        "_status",
        "_transport",
        "idle_since",
        "open",
    )

    def __init__(self) -> None:
        self.open = False
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[Heard] | None = None
        self._read = 0
        self.on_message_begin()

    @property
    def spoken(self) -> bool:
        """Whether anything came back since the last request."""
        return self._read > 0

    @property
    def reusable(self) -> bool:
        """Whether both sides may go on with another request."""
        return self.open and self._lasts

    def ask(self, request: bytes) -> asyncio.Future[Heard]:
        """Send a request; its answer, or `HungUp`, or `Garbled`."""
        assert self._transport is not None
        self._read = 0
        self.on_message_begin()  # nothing of the last answer may be taken for this one's
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def hang_up(self) -> None:
        """End the connection, whatever is under way."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self.open = True

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.done():  # nobody asked: it must not be taken for the next answer
            self.hang_up()
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self.hang_up()
        except HttpParserError as error:
            self._fail(Garbled(f"no HTTP/1.1: {error}"))
        if self._read > MAX_ANSWER and not answer.done():
            self._longer_than_read()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._answer is None or self._answer.done():
            return
        if error is None and self._reading_body and not self._framed:
            self.on_message_complete()  # it ends with the connection
        else:
            self._fail(HungUp(f"hung up {self._place()}"))

    # ------------------------------------------------------------ of the parser

    def on_message_begin(self) -> None:
        self._status = 0
        self._head = b""
        self._retry_after: str | None = None
        self._framed = False
        self._lasts = False
        self._reading_body = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if self._reading_body:  # a trailer
            return
        if name == b"retry-after":
            self._retry_after = value.decode("latin-1")
        elif name in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._lasts = self._parser.should_keep_alive()
        self._reading_body = self._status >= 200

    def on_body(self, body: bytes) -> None:
        if len(self._head) < KEPT_ANSWER:
            self._head += body[: KEPT_ANSWER - len(self._head)]

    def on_message_complete(self) -> None:
        if self._status < 200 and self._status != 101:  # an interim answer
            return
        assert self._answer is not None
        if self._answer.done():  # a second answer to one question
            self.hang_up()
        else:
            self._answer.set_result(Heard(self._status, self._head, self._retry_after))

    # ------------------------------------------------------------ how it ends badly

    def _longer_than_read(self) -> None:
        if self._reading_body:
            self.on_message_complete()
            self.hang_up()
        else:
            self._fail(Garbled(f"no answer in the first {MAX_ANSWER >> 10} KiB"))

    def _fail(self, error: ConnectionError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.hang_up()

    def _place(self) -> str:
        if not self._read:
            return "without an answer"
        return f"in the midst of its answer {self._status}" if self._reading_body else "in the midst of its answer"


class Wire:
    """Posts to whatever `guard` admits. Deadlines are the caller's: one that cancels leaves no connection behind."""

    def __init__(
        self,
        *,
        guard: Guard | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._guard = guard or Guard()
        self._tls = tls or ssl.create_default_context()
        self._resolver = resolver or Resolver()
        self._kept: defaultdict[tuple[str, int, bool], list[_Line]] = defaultdict(list)
        self._sweeping: asyncio.TimerHandle | None = None
        self._resolved: dict[str, tuple[float, asyncio.Task[list[str]]]] = {}

    async def post(self, target: Target, headers: bytes, body: bytes) -> Heard:
        """Send one POST; `headers` are lines of its own, each with its line break.

        Raises:
            Refused: the guard does not admit the address.
            socket.gaierror: the name has no address.
            HungUp, Garbled: it was reached, and gave no complete answer.
            OSError: it was not reached, or TLS failed.
        """
        request = b"%bContent-Length: %d\r\n%b\r\n%b" % (target.opening, len(body), headers, body)
        line = self._reused(target)
        if line is not None:
            try:
                return await self._asked(line, target, request)
            except HungUp:
                if line.spoken:
                    raise
        # one that was kept may be closed by its receiver at any moment; that says nothing of the receiver
        return await self._asked(await self._connected(target), target, request)

    async def aclose(self) -> None:
        """Hang up on everybody."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for lines in self._kept.values():
            for line in lines:
                line.hang_up()
        self._kept.clear()
        await self._resolver.close()

    async def _asked(self, line: _Line, target: Target, request: bytes) -> Heard:
        try:
            heard = await line.ask(request)
        except BaseException:  # of a deadline too: what still came would be taken for the next answer
            line.hang_up()
            raise
        if line.reusable:
            self._keep(target, line)
        else:
            line.hang_up()
        return heard

    # ------------------------------------------------------------ the pool

    def _reused(self, target: Target) -> _Line | None:
        """The connection that was used last, if one is left."""
        lines = self._kept.get(target.where)
        while lines:
            line = lines.pop()
            if line.open:
                return line
        return None

    def _keep(self, target: Target, line: _Line) -> None:
        loop = asyncio.get_running_loop()
        line.idle_since = loop.time()
        self._kept[target.where].append(line)
        if self._sweeping is None:
            self._sweeping = loop.call_later(_IDLE_S / 4, self._sweep)

    def _sweep(self) -> None:
        """Hang up on connections that were idle for too long: the oldest are at the front."""
        loop = asyncio.get_running_loop()
        idle_before = loop.time() - _IDLE_S
        for where, lines in list(self._kept.items()):
            fresh = next((at for at, line in enumerate(lines) if line.idle_since > idle_before), len(lines))
            for line in lines[:fresh]:
                line.hang_up()
            del lines[:fresh]
            if not lines:
                del self._kept[where]
        self._sweeping = loop.call_later(_IDLE_S / 4, self._sweep) if self._kept else None

    # ------------------------------------------------------------ reaching somebody

    async def _connected(self, target: Target) -> _Line:
        opened = await start_connection(
            await self._addresses(target.host, target.port),
            happy_eyeballs_delay=_NEXT_ADDRESS_S,
            socket_factory=self._guard.open,
        )
        loop = asyncio.get_running_loop()
        try:
            _, line = await loop.create_connection(
                _Line,
                sock=opened,
                ssl=self._tls if target.tls else None,
                server_hostname=target.host.rstrip(".") if target.tls else None,
            )
        except BaseException:
            opened.close()
            raise
        return line

    async def _addresses(self, host: str, port: int) -> list[AddressInfo]:
        with suppress(ValueError):
            return [_info(str(ip_address(host)), port)]
        return [_info(address, port) for address in await asyncio.shield(self._look_up(host))]

    def _look_up(self, host: str) -> asyncio.Task[list[str]]:
        """One question at a time for each name, whose answer counts for a while."""
        now = asyncio.get_running_loop().time()
        until, task = self._resolved.get(host, (0.0, None))
        if task is None or now >= until:
            if len(self._resolved) >= _RESOLVED_MOST:
                self._resolved.clear()
            task = asyncio.create_task(self._ask_resolver(host))
            task.add_done_callback(_seen)
            self._resolved[host] = now + _RESOLVED_S, task
        return task

    async def _ask_resolver(self, host: str) -> list[str]:
        try:
            found = await self._resolver.resolve(host, 0, socket.AF_UNSPEC)
        except BaseException:
            self._resolved.pop(host, None)
            raise
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return [one["host"] for one in found]


def _info(address: str, port: int) -> AddressInfo:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def _seen(task: asyncio.Task[list[str]]) -> None:
    """Nobody may be left who waits for it."""
    if not task.cancelled():
        task.exception()
