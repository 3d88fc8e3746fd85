"""The client end of HTTP/1.1 for signed posts: connections kept alive, one request under way on each, nothing else.

aiohttp's client does the same and far more, at three times the CPU. Here are the guarded connect and the pool; a
connection (`line`) bounds what it reads. No redirect is followed, no cookie kept, nothing unpacked (docs/adr/0005).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from aiohappyeyeballs import start_connection
from aiohttp.abc import AbstractResolver
from yarl import URL

from webhooks.guard import Guard, Resolver
from webhooks.line import Heard, HungUp, Line

_IDLE_S = 4.0  # below the five seconds after which common servers hang up on an idle connection
_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5
_RESOLVED_S = 10.0  # an answer of the name server counts so long
_RESOLVED_MOST = 4_096

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


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
        self._kept: defaultdict[tuple[str, int, bool], list[Line]] = defaultdict(list)
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

    async def _asked(self, line: Line, target: Target, request: bytes) -> Heard:
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

    def _reused(self, target: Target) -> Line | None:
        """The connection that was used last, if one is left."""
        lines = self._kept.get(target.where)
        while lines:
            line = lines.pop()
            if line.open:
                return line
        return None

    def _keep(self, target: Target, line: Line) -> None:
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

    async def _connected(self, target: Target) -> Line:
        opened = await start_connection(
            await self._addresses(target.host, target.port),
            happy_eyeballs_delay=_NEXT_ADDRESS_S,
            socket_factory=self._guard.open,
        )
        loop = asyncio.get_running_loop()
        try:
            _, line = await loop.create_connection(
                Line,
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
