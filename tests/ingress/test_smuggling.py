"""A request that is hidden in another one's body, where a proxy before us may read its end elsewhere, is never run."""

from __future__ import annotations

import re

from tests.ingress.site import Site

HIDDEN = b"GET /healthz?hidden HTTP/1.1\r\nHost: m\r\n\r\n"
LAST = b"GET /readyz/last HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(HIDDEN)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(headers: bytes, body: bytes = b"", *, path: str = "/v1/shipments", version: str = "1.1") -> bytes:
    return f"POST {path} HTTP/{version}\r\nHost: m\r\n".encode() + headers + b"\r\n" + body


# Where one reads an end and another does not: none of them is taken, and the connection ends with the refusal.
DOUBTFUL = [
    post(b"Content-Length: 0x5\r\n", b"hello"),
    post(b"Content-Length: 1_0\r\n", b"helloworld"),
    post(b"Content-Length: 5, 5\r\n", b"hello"),
    post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    post(b"Content-Length: 5 0\r\n", b"hello"),
    post(b"Content-Length: \r\n"),
    post("Content-Length: ５\r\n".encode(), b"hello"),
    post(b"Content-Length: " + b"9" * 40 + b"\r\n"),
    post(b"Content-Length:\x0b5\r\n", b"hello"),
    post(CHUNKED + b"Content-Length: 3\r\n", b"0\r\n\r\n"),
    post(b"Transfer-Encoding:\x0bchunked\r\n" + LENGTH, b"0\r\n\r\n"),
    post(b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
    post(b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
    post(b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
    post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    post(CHUNKED * 2, b"0\r\n\r\n"),
    post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"),
    post(b"Transfer-Encoding: \r\n", b"0\r\n\r\n"),
    post(CHUNKED, b"0\r\n\r\n", version="1.0"),
    post(CHUNKED, b"0;x\n\r\n\r\n"),
    post(CHUNKED, b"2\nab\n0\n\n"),
    post(CHUNKED, b"0x2\r\nab\r\n0\r\n\r\n"),
    post(CHUNKED, b"0_2\r\nab\r\n0\r\n\r\n"),
    post(CHUNKED, b"-1\r\nab\r\n0\r\n\r\n"),
    post(CHUNKED, b"+2\r\nab\r\n0\r\n\r\n"),
    post(CHUNKED, b"2 \r\nab\r\n0\r\n\r\n"),
    post(CHUNKED, b" 2\r\nab\r\n0\r\n\r\n"),
    post(CHUNKED, b"1" + b"0" * 16 + b"2\r\nab\r\n0\r\n\r\n"),
    post(CHUNKED, b"2\r\nabc\r\n0\r\n\r\n"),
    post(CHUNKED, b"2\r\nab0\r\n\r\n"),
    post(CHUNKED, b"1;a=\0\r\na\r\n0\r\n\r\n"),
    post(CHUNKED, b"0\r\nContent-Length: 5\r\n\r\n"),
    post(b"X: a\rContent-Length: 5\r\n"),
    post(b"X: a\n" + LENGTH),
    post(b"X: a\r\n b\r\nContent-Length: 0\r\n"),
    b"POST /v1/shipments HTTP/1.1\nHost: m\nContent-Length: 0\n\n",
    b"GET /healthz HTTP/1.1\r\nHost: m\r\nHost: n\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",
]


async def test_what_has_two_ends_is_refused_and_nothing_behind_it_is_read(site: Site) -> None:
    """A body that is refused unread may be found out after its refusal."""
    found = {sent: await answers(site, sent + HIDDEN) for sent in DOUBTFUL}
    assert {sent: said for sent, said in found.items() if said not in ([400], [401, 400])} == {}


# A body with one end, on its way to somebody who refuses it unread or never reads one.
PLAIN = {
    "nobody's call": (post(LENGTH), 401),
    "nobody's push": (post(LENGTH, path="/hooks/con_x/y"), 404),
    "nobody's order": (post(LENGTH, path="/order-stores/ost_x/y"), 404),
    "nowhere": (post(LENGTH, path="/nowhere"), 404),
    "a form that is none": (post(LENGTH, path="/login"), 403),
    "a method that is none there": (post(LENGTH, path="/healthz"), 405),
    "a GET with a body": (b"GET /healthz HTTP/1.1\r\nHost: m\r\n" + LENGTH + b"\r\n", 200),
    "an upgrade that is not taken": (post(LENGTH + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), 401),
    "a length by another name": (post(LENGTH + b"Content_Length: 0\r\n"), 401),
}


async def test_a_body_that_nobody_reads_is_no_request(site: Site) -> None:
    found = {name: await answers(site, head + HIDDEN + LAST) for name, (head, _) in PLAIN.items()}
    assert found == {name: [status, 404] for name, (_, status) in PLAIN.items()}


async def answers(site: Site, sent: bytes) -> list[int]:
    """The status of each answer, until the connection is closed."""
    async with await site.wire() as wire:
        await wire.send(sent)
        return [int(status) for status in re.findall(rb"HTTP/\d\.\d (\d{3}) ", await wire.closed(60))]
