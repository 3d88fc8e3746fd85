"""Reading a request's body: never more than the cap, never longer than the deadline, never inflated beyond the cap."""

from __future__ import annotations

import asyncio
import zlib
from urllib.parse import parse_qsl

from aiohttp import HttpVersion11, web
from msgspec import Struct

from tracker.ingress.room import ROOM, SMALL

CODINGS = "gzip, deflate"  # what we take
_MAX_FIELDS = 100  # of a form


class Pace(Struct, frozen=True, kw_only=True):
    """How slowly a body may come: `grace_s` first, then `least_rate` bytes a second, `total_s` at most."""

    total_s: float = 30.0
    grace_s: float = 10.0
    least_rate: float = 1024.0


PACE = web.AppKey("pace", Pace)


class BodyRefused(Exception):
    """A body that is not taken: an HTTP status, a stable code and a sentence."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says besides: the codings that we take (RFC 9110, 15.5.16)."""
        return {"Accept-Encoding": CODINGS} if self.status == 415 else {}


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, unpacked. What a length says to be over `limit` is refused before a byte of it is read.

    Raises:
        BodyRefused: 400 cut off, or not what its coding says; 408 too slow; 413 too large; 415 a coding we don't take.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    coding = _coding(request) if "Content-Encoding" in request.headers else ""
    content = request.content
    try:
        if content.is_eof():  # it came with its headers, as most do
            raw = content.read_nowait(-1)
        else:
            raw = await _paced(request, limit)
        if len(raw) > limit:
            raise _too_large(limit)
        return await _unpacked(request, coding, raw, limit) if coding and raw else raw
    except (web.RequestPayloadError, ConnectionError):
        raise BodyRefused(400, "cut_off", "the body ended before it was complete") from None
    except TimeoutError:
        raise BodyRefused(408, "too_slow", "the body came too slowly: send it at once") from None


async def when_read(request: web.Request) -> None:
    """The `expect_handler` of a route: a client that asks before it sends is told to when the body is read, not before.

    So nobody sends us a body that its key, its address or its length has us refuse.
    """
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="of Expect only 100-continue is met\n")


async def read_form(request: web.Request, limit: int) -> dict[str, str]:
    """The fields of an urlencoded form; the first of a name counts. Raises BodyRefused."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise BodyRefused(415, "no_form", f"{request.content_type!r} is not `application/x-www-form-urlencoded`")
    body = await read_body(request, limit)
    fields: dict[str, str] = {}
    try:
        for name, value in parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS):
            fields.setdefault(name, value)
    except ValueError:  # UnicodeDecodeError is one
        raise BodyRefused(400, "no_form", f"the form is not UTF-8, or has more than {_MAX_FIELDS} fields") from None
    return fields


async def _paced(request: web.Request, limit: int) -> bytes:
    """What comes, as long as it comes fast enough."""
    pace, room = request.config_dict.get(PACE) or Pace(), request.config_dict.get(ROOM)
    began = asyncio.get_running_loop().time()
    body = bytearray()
    if "Expect" in request.headers and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
    async with asyncio.timeout_at(began + min(pace.grace_s, pace.total_s)) as deadline:
        try:
            while chunk := await request.content.readany():
                if len(body) + len(chunk) > limit:
                    raise _too_large(limit)
                if room and len(body) <= SMALL < len(body) + len(chunk):
                    deadline.reschedule(began + pace.total_s)  # while it waits nothing is read
                    await room.enter(request, deadline)
                body += chunk
                deadline.reschedule(began + min(pace.grace_s + len(body) / pace.least_rate, pace.total_s))
        finally:
            if room:
                room.came(request)
    return bytes(body)


def _coding(request: web.Request) -> str:
    written = ",".join(request.headers.getall("Content-Encoding")).lower().split(",")
    codings = [coding for part in written if (coding := part.strip()) not in ("", "identity")]
    if any(coding not in ("gzip", "x-gzip", "deflate") for coding in codings):
        raise BodyRefused(415, "unknown_coding", f"Content-Encoding: {', '.join(codings)[:60]!r} is not {CODINGS}")
    if len(codings) > 1:
        raise BodyRefused(415, "nested_coding", "Content-Encoding names more than one coding: use one")
    return codings[0] if codings else ""


async def _unpacked(request: web.Request, coding: str, packed: bytes, limit: int) -> bytes:
    """A gzip or deflate stream, inflated when it is there whole, and no further than one byte past the limit."""
    inflater = zlib.decompressobj(_window_bits(coding, packed[0]))
    try:
        body = inflater.decompress(packed, min(SMALL, limit) + 1)
        if len(body) > SMALL and (room := request.config_dict.get(ROOM)):
            async with asyncio.timeout((request.config_dict.get(PACE) or Pace()).total_s):
                await room.enter(request)
        if len(body) <= limit and not inflater.eof:
            body += inflater.decompress(inflater.unconsumed_tail, limit + 1 - len(body))
    except zlib.error:
        raise BodyRefused(400, "wrong_coding", f"the body is no {coding} stream") from None
    if len(body) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise BodyRefused(400, "cut_off", f"the body is no complete {coding} stream")
    if inflater.unused_data:  # a second stream behind the first would not be what was measured
        raise BodyRefused(400, "wrong_coding", f"something follows the {coding} stream")
    return body


def _window_bits(coding: str, first: int) -> int:
    if coding != "deflate":
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS  # some send it without the zlib wrapping


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(413, "too_large", f"the body is longer than {limit} bytes")
