"""One connection to a receiver: a request, and what llhttp reads of its answer; bounded, and never two at once."""

from __future__ import annotations

import asyncio
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

MAX_ANSWER = 64 * 1024  # bytes that we read of an answer, its head among them, before we hang up
KEPT_ANSWER = 1024  # bytes of its body that are kept


class HungUp(ConnectionError):
    """The receiver ended the connection before its answer was complete."""


class Garbled(ConnectionError):
    """What came back is no HTTP/1.1, or never came to an answer."""


class Heard(Struct, frozen=True):
    """A complete answer, or one that is longer than we read: its status, `Retry-After`, and how its body begins."""

    status: int
    head: bytes
    retry_after: str | None


class Line(asyncio.Protocol):
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
