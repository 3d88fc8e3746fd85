"""Connections: how many there may be, and how long one may be held without being used.

aiohttp bounds lines, fields and headers, and closes a connection that is idle between two requests. The rest is here: a
deadline for the head of a request and for a reader of our answers, and caps. Nothing is timed for each request: once a
second every connection is looked at, so a deadline may be a second late.
"""

from __future__ import annotations

import asyncio
import resource
from collections import OrderedDict
from itertools import islice
from typing import Any, Protocol, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from msgspec import Struct, json

from tracker.ingress.addresses import Addresses, network_of

LEAST_RATE = 1024  # bytes a second that a reader of an answer takes at least
_LOOK_EVERY_S = 1.0
_WARN_EVERY_S = 60.0
_LINGER_S = 2.0  # an answer that came before head or body had: so long what is left of it is read and dropped
_OWN_FILES = 512  # besides connections: the store's, deliveries, polls, logs; half of them where there are fewer
_UNUSED_S = 1.0  # for so long a connection is anybody's who asks for something, however many there are
_BODY_S = 4.0  # a body that takes longer is one that can come again
_LOOKED_AT = 64  # connections, to find one that is not used
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_LONGEST_HEAD = 256 * 1024  # bytes; aiohttp bounds each line and how many there are
_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_SERVER = "milepost"  # instead of aiohttp's own line: which library it is, of which version, is nobody's business

log = structlog.get_logger()


class Deadlines(Struct, frozen=True, kw_only=True):
    """Seconds. `header_s`: from the connection, or the first byte of a later request, to the end of its head."""

    header_s: float = 10.0
    idle_s: float = 75.0  # between two requests; more than the 60 s of most proxies
    write_s: float = 30.0  # in which a reader must take LEAST_RATE bytes a second of what waits for it


class Observer(Protocol):
    """Who counts; `why`: full, address, header, write, room."""

    def connections(self, number: int) -> None: ...
    def cut_off(self, why: str) -> None: ...


class Doors:
    """The connections of one process: at most `most`, `most_of_one` from one address that is no proxy; 0: any.

    Where there are as many, one that asks for nothing makes room for one that may: whoever holds connections to keep
    others out would have to ask on all of them, all the time.
    """

    def __init__(
        self, deadlines: Deadlines, addresses: Addresses, observer: Observer, *, most: int = 0, most_of_one: int = 0
    ) -> None:
        self.deadlines = deadlines
        self._addresses = addresses
        self._observer = observer
        self._most = most and _within_files(most)
        self._most_of_one = most_of_one
        self._open: OrderedDict[Connection, str] = OrderedDict()
        self._of: dict[str, OrderedDict[Connection, None]] = {}
        self._warn_at = 0.0
        self._looked_at = 0.0

    def admits(self, connection: Connection, peer: str) -> bool:
        """Let it in, unless there are too many."""
        address = "" if self._addresses.trusts(peer) else network_of(peer)
        of_address = self._of.get(address, OrderedDict())
        if address and 0 < self._most_of_one <= len(of_address) and not self._made_room(of_address):
            return self._refused("address", peer)
        if 0 < self._most <= len(self._open) and not self._made_room(self._open):
            return self._refused("full", peer)
        self._open[connection] = address
        self._of.setdefault(address, OrderedDict())[connection] = None
        return True

    def left(self, connection: Connection) -> None:
        """It is gone."""
        address = self._open.pop(connection, None)
        if address is None:
            return
        del self._of[address][connection]
        if not self._of[address]:
            del self._of[address]

    def _made_room(self, some: OrderedDict[Connection, Any]) -> bool:
        """Whether one of them was closed, of those that have been there longest; the rest of these are next looked at
        last, so that a look costs the same however many there are."""
        now = asyncio.get_running_loop().time()
        for connection in list(islice(some, _LOOKED_AT)):
            if connection.unused_for(now) >= _UNUSED_S:
                self._observer.cut_off("room")
                connection.make_room()
                self.left(connection)
                return True
            some.move_to_end(connection)
        return False

    def look(self, now: float) -> None:
        """Cut off those whose deadline has passed; if we stood still ourselves, once they had a moment to go on in."""
        self._observer.connections(len(self._open))
        late, self._looked_at = now - self._looked_at > 2 * _LOOK_EVERY_S, now
        if late:
            return
        for connection in list(self._open):
            if why := connection.overdue(now, self.deadlines):
                self._observer.cut_off(why)

    def _refused(self, why: str, peer: str) -> bool:
        self._observer.cut_off(why)
        now = asyncio.get_running_loop().time()
        if now >= self._warn_at:
            self._warn_at = now + _WARN_EVERY_S
            setting = "http.max_connections" if why == "full" else "http.max_per_address"
            log.warning("connections_refused", why=why, peer=peer, open=len(self._open), setting=setting)
        return False


class Connection(RequestHandler):
    """One connection, as aiohttp serves it, that can say for how long it has been waited for."""

    __slots__ = ("_asked_at", "_begun_at", "_doors", "_drain", "_head_bytes", "_made_at", "_refused_at", "_wire")

    def __init__(self, doors: Doors, server: web.Server, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._doors = doors
        self._wire: asyncio.Transport | None = None  # aiohttp forgets its own before what is written has gone
        self._made_at = 0.0
        self._begun_at = 0.0  # the first byte of a head that is not complete; 0: there is none
        self._head_bytes = 0  # of it
        self._asked_at = 0.0  # when the head of the last request was complete
        self._refused_at = 0.0  # its head; 0: it was not
        self._drain: tuple[object, float, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve it, or say that there is no room."""
        wire = cast(asyncio.Transport, transport)
        peer = wire.get_extra_info("peername")
        if not self._doors.admits(self, peer[0] if isinstance(peer, tuple) else ""):
            wire.write(_FULL)
            wire.close()
            return
        self._wire = wire
        self._made_at = self._asked_at = self._loop.time()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room."""
        if self._wire is not None:
            self._wire = None
            self._doors.left(self)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when a head begins that is not complete with its first bytes."""
        if self._wire is None or self._refused_at:
            return
        waited = self._waits
        super().data_received(data)
        if not self._waits:
            self._begun_at, self._head_bytes = 0.0, 0
            if waited:
                self._asked_at = self._loop.time()
        elif data:
            self._begun_at = self._begun_at or self._loop.time()
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(self._wire, _LONG)

    def overdue(self, now: float, deadlines: Deadlines) -> str:
        """Close it if it is held without being used; returns why, "" where it is not."""
        wire = self._wire
        if wire is None:
            return ""
        waiting = wire.get_write_buffer_size()
        if waiting:
            if not self._stuck(waiting, now, deadlines.write_s):
                return ""
            wire.abort()
            return "write"
        self._drain = None
        if self._refused_at:
            if now - self._refused_at > _LINGER_S:
                self.force_close()
            return ""
        since = self._begun_at or (0.0 if self._request_count else self._made_at)
        if not since or now - since <= deadlines.header_s or not self._waits:
            return ""
        if self._begun_at:
            self._refuse(wire, _LATE)
        else:
            self.force_close()
        return "header"

    def unused_for(self, now: float) -> float:
        """Seconds for which a request has been waited for, or its end beyond what bodies take; 0: it has one."""
        if self._waits:
            return now - (self._begun_at or self._asked_at)
        request = self._current_request
        return 0.0 if request is None or request.content.is_eof() else max(0.0, now - self._asked_at - _BODY_S)

    @property
    def _waits(self) -> bool:
        """Whether there is no request to answer."""
        return self._waiter is not None and not self._waiter.done()

    def make_room(self) -> None:
        """Close it at once, without a word: it is idle, as one is that its owner may find closed at any time."""
        self.force_close()

    def _refuse(self, wire: asyncio.Transport, answer: bytes) -> None:
        """Say so and read on for a while: the end of a connection with bytes unread would take the answer back."""
        self._refused_at = self._loop.time()
        wire.write(answer)
        wire.write_eof()

    def _stuck(self, waiting: int, now: float, within_s: float) -> bool:
        """Whether the other side has taken too little of what waits for it since the window began."""
        request = self._current_request  # a stream's; a plain answer is written at once, and only goes away
        gone = (request.writer.output_size if request is not None else 0) - waiting
        asked = (request, self._request_count)
        if self._drain is None or self._drain[0] != asked:
            self._drain = (asked, now, gone)
        _, since, before = self._drain
        if now - since < within_s:
            return False
        self._drain = (asked, now, gone)
        return gone - before < LEAST_RATE * within_s

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is the sender's mistake, and so is leaving early: no line in our log."""
        if isinstance(exc, ConnectionError) and self.transport is None:
            raise exc
        if status != 400 or not isinstance(exc, HttpProcessingError):
            failed = super().handle_error(request, status, exc, message)
            failed.headers["Server"] = _SERVER
            return failed
        detail = f"not HTTP as we read it: {(message or '').strip().partition(chr(10))[0][:200]}"
        told = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail}
        response = web.Response(
            status=400,
            body=json.encode(told),
            content_type="application/problem+json",
            headers={"Server": _SERVER},
        )
        response.force_close()
        return response


async def say_of_all(_: web.Request, response: web.StreamResponse) -> None:
    """Say in every answer who answers, and not what it is made of.

    And that nobody on its way keeps it, or guesses what it is: it may hold a key that is shown this once.
    """
    headers = response.headers
    headers["Server"] = _SERVER
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Content-Type-Options", "nosniff")


class Site(web.TCPSite):
    """Listens, and lets in through the doors. `options`: further ones of aiohttp's for each connection."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, doors: Doors, **options: Any) -> None:
        super().__init__(runner, host, port, backlog=1024)
        self._doors = doors
        self._options = {
            "access_log": None,
            "auto_decompress": False,  # bodies are unpacked where their cap is known
            "keepalive_timeout": doors.deadlines.idle_s,
            "lingering_time": _LINGER_S,
            **options,
        }
        self._looking: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen; raises OSError."""
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None
        self._server = await loop.create_server(
            lambda: Connection(self._doors, server, loop, **self._options),
            self._host,
            self._port,
            backlog=self._backlog,
        )
        self._look(loop)

    async def stop(self) -> None:
        """Listen no more."""
        if self._looking is not None:
            self._looking.cancel()
        await super().stop()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._doors.look(loop.time())
        self._looking = loop.call_later(_LOOK_EVERY_S, self._look, loop)


def _within_files(wanted: int) -> int:
    """So many connections as this process may have files for; it asks the system for as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted + _OWN_FILES:
        soft = wanted + _OWN_FILES if hard == resource.RLIM_INFINITY else min(wanted + _OWN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = min(wanted, soft - min(_OWN_FILES, soft // 2))
    if room < wanted:
        log.warning("few_files", limit=soft, connections=room, setting="http.max_connections")
    return room
