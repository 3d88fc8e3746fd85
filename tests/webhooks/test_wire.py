"""The client of signed posts against receivers that write whatever they like, byte by byte."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from tests.webhooks.naming import Naming
from tests.webhooks.receiving import ANY_PORT, LOOPBACK
from webhooks import wire as wire_module
from webhooks.guard import Guard, Refused
from webhooks.line import KEPT_ANSWER, MAX_ANSWER, Garbled, Heard, HungUp, Line
from webhooks.post import Endpoint, Poster
from webhooks.standard import new_secret
from webhooks.wire import Target, Wire

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
BODY = b'{"type": "shipment.updated"}'
LINES = b"webhook-id: msg_1\r\n"

Speech = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A receiver that counts its connections and keeps the requests."""

    def __init__(self, speak: Speech) -> None:
        self._speak = speak
        self.connections = 0
        self.ended = 0
        self.requests: list[bytes] = []
        self.port = 0

    @property
    def target(self) -> Target:
        return Target(URL(f"http://127.0.0.1:{self.port}/hook?tenant=7"), {"User-Agent": "Milepost"})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._speak(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended += 1
            writer.close()

    async def heard(self, reader: asyncio.StreamReader) -> bytes:
        """The next request, whole."""
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = [
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        ]
        self.requests.append(head + await reader.readexactly(length))
        return self.requests[-1]


@asynccontextmanager
async def speaking(
    speak: Callable[[Peer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[Peer]:
    """A receiver that does `speak` on every connection."""
    peer = Peer(lambda reader, writer: speak(peer, reader, writer))
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    async with server:
        yield peer
        server.close_clients() if hasattr(server, "close_clients") else None


def saying(*answers: bytes, hang_up: bool = False) -> Any:
    """One of the answers to each request, the last one to all that follow."""

    async def speak(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.heard(reader)
            writer.write(answers[min(len(peer.requests), len(answers)) - 1])
            await writer.drain()
            if hang_up:
                return

    return speaking(speak)


async def posted(wire: Wire, peer: Peer) -> Heard:
    async with asyncio.timeout(60):
        return await wire.post(peer.target, LINES, BODY)


async def test_the_request_is_what_http_1_1_wants_and_nothing_more(wire: Wire) -> None:
    async with saying(NO_CONTENT) as peer:
        await posted(wire, peer)
        assert peer.requests == [
            b"POST /hook?tenant=7 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: Milepost\r\nContent-Length: 28\r\n"
            b"webhook-id: msg_1\r\n\r\n%b" % (peer.port, BODY)
        ]


async def test_a_connection_is_used_again(wire: Wire) -> None:
    async with saying(NO_CONTENT) as peer:
        for _ in range(5):
            assert (await posted(wire, peer)).status == 204
        assert peer.connections == 1


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (NO_CONTENT, Heard(204, b"", None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Heard(200, b"ok", None)),
        (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", Heard(200, b"", None)),
        (b"HTTP/1.1 429 Slow\r\nRETRY-AFTER: 7\r\nContent-Length: 0\r\n\r\n", Heard(429, b"", "7")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + NO_CONTENT, Heard(204, b"", None)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Retry-After\r\n\r\n"
            b"2\r\nok\r\n3;x=y\r\n!!!\r\n0\r\nRetry-After: 9\r\n\r\n",
            Heard(200, b"ok!!!", None),
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 4000, Heard(200, b"x" * KEPT_ANSWER, None)),
    ],
    ids=["204", "length", "no reason", "retry-after", "interim", "chunks and a trailer", "long"],
)
async def test_a_whole_answer_is_heard_however_it_is_framed(wire: Wire, answer: bytes, heard: Heard) -> None:
    async with saying(answer) as peer:
        assert await posted(wire, peer) == heard
        assert await posted(wire, peer) == heard
        assert peer.connections == 1


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nall of it", Heard(200, b"all of it", None)),
        (b"HTTP/1.1 202 OK\r\n\r\n", Heard(202, b"", None)),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", Heard(200, b"ok", None)),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nPRI *", Heard(101, b"", None)),
    ],
    ids=["1.0", "until the end", "close", "upgrade"],
)
async def test_an_answer_that_ends_its_connection_is_heard_and_the_next_goes_over_another(
    wire: Wire, answer: bytes, heard: Heard
) -> None:
    async with saying(answer, hang_up=True) as peer:
        assert await posted(wire, peer) == heard
        assert await posted(wire, peer) == heard
        assert peer.connections == 2


@given(cuts=st.sets(st.integers(min_value=1, max_value=120)))
@settings(max_examples=60)
def test_where_an_answer_is_cut_in_pieces_makes_no_difference(cuts: set[int]) -> None:
    answer = (
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nRetry-After: 3\r\n\r\n"
        b"4\r\nbody\r\n1\r\n.\r\n0\r\n\r\n"
    )
    places = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]

    async def read() -> Heard:
        line = Line()
        line.connection_made(_Deaf())
        asked = line.ask(b"")
        for start, end in pairwise(places):
            line.data_received(answer[start:end])
        return await asked

    assert asyncio.run(read()) == Heard(200, b"body.", "3")


class _Deaf(asyncio.Transport):
    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "hung up without an answer"),
        (b"HTTP/1.1 20", "hung up in the midst of its answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", "hung up in the midst of its answer 200"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "in the midst of its answer 200"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "hung up in the midst of its answer"),
    ],
)
async def test_half_an_answer_is_none(wire: Wire, answer: bytes, says: str) -> None:
    async with saying(answer, hang_up=True) as peer:
        with pytest.raises(HungUp, match=says):
            await posted(wire, peer)


async def test_a_reset_after_the_head_of_a_2xx_is_no_acceptance(wire: Wire) -> None:
    async def speak(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")  # its body would end with the connection, if that ended in order
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with speaking(speak) as peer:
        with pytest.raises(HungUp):
            await posted(wire, peer)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\0" * 100,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_ANSWER + 1),
        b"HTTP/1.1 103 Early\r\n\r\n" * (MAX_ANSWER // 22 + 1),
    ],
    ids=["ssh", "no number", "two lengths", "negative", "no chunk", "zeros", "endless head", "interim for ever"],
)
async def test_what_is_no_answer_is_called_so(wire: Wire, answer: bytes) -> None:
    async with saying(answer) as peer:
        with pytest.raises(Garbled):
            await posted(wire, peer)


async def test_an_endless_body_is_read_to_its_bound_and_hung_up_on(wire: Wire) -> None:
    async def speak(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()

    async with speaking(speak) as peer:
        assert await posted(wire, peer) == Heard(200, b"x" * KEPT_ANSWER, None)
        async with asyncio.timeout(60):
            while not peer.ended:
                await asyncio.sleep(0.01)


async def test_a_kept_connection_that_was_closed_meanwhile_costs_no_attempt(wire: Wire) -> None:
    async def speak(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.heard(reader)
        writer.write(NO_CONTENT)
        if peer.connections == 1:
            await reader.readexactly(1)  # the next request has begun, and is not answered
            return
        await reader.read()

    async with speaking(speak) as peer:
        assert (await posted(wire, peer)).status == 204
        assert (await posted(wire, peer)).status == 204
        assert peer.connections == 2


async def test_a_fresh_connection_that_hangs_up_is_not_tried_twice(wire: Wire) -> None:
    async with saying(b"", hang_up=True) as peer:
        with pytest.raises(HungUp):
            await posted(wire, peer)
        assert peer.connections == 1


async def test_an_answer_that_comes_after_its_deadline_is_not_taken_for_the_next(wire: Wire) -> None:
    async def speak(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.heard(reader)
        if peer.connections == 1:
            await asyncio.sleep(0.2)
            writer.write(b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(NO_CONTENT)
        await peer.heard(reader)
        writer.write(NO_CONTENT)

    async with speaking(speak) as peer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wire.post(peer.target, LINES, BODY)
        assert (await posted(wire, peer)).status == 204
        await asyncio.sleep(0.25)
        assert (await posted(wire, peer)).status == 204
        assert peer.connections == 2


async def test_an_answer_that_nobody_asked_for_ends_the_connection(wire: Wire) -> None:
    forged = b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n"
    async with saying(NO_CONTENT + forged, NO_CONTENT) as peer:
        assert (await posted(wire, peer)).status == 204
        assert (await posted(wire, peer)).status == 204
        assert peer.connections == 2


async def test_an_answer_before_the_request_was_read_is_heard(wire: Wire) -> None:
    async def speak(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with speaking(speak) as peer, asyncio.timeout(60):
        assert (await wire.post(peer.target, LINES, b"x" * 4_000_000)).status == 413


async def test_idle_connections_are_given_up_before_their_receivers_do(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_module, "_IDLE_S", 0.1)
    async with saying(NO_CONTENT) as peer:
        await posted(wire, peer)
        async with asyncio.timeout(60):
            while not peer.ended:
                await asyncio.sleep(0.01)
        assert (await posted(wire, peer)).status == 204
        assert peer.connections == 2


async def test_a_deadline_while_connecting_leaves_no_socket_behind(wire: Wire) -> None:
    with socket.socket() as full:  # accepts nobody, so that TLS never begins
        full.bind(("127.0.0.1", 0))
        full.listen(8)
        target = Target(URL(f"https://127.0.0.1:{full.getsockname()[1]}/"), {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await wire.post(target, LINES, BODY)
        accepted, _ = full.accept()
        with accepted:
            accepted.settimeout(5)
            while accepted.recv(65536):
                pass  # the client's hello, then its end


async def test_a_name_is_asked_for_once_by_all_who_wait_for_it() -> None:
    names = Naming("127.0.0.1", takes_s=0.05)
    async with saying(NO_CONTENT) as peer:
        wire = Wire(guard=Guard(LOOPBACK, ANY_PORT), resolver=names)
        target = Target(URL(f"http://shop.example:{peer.port}/"), {})
        async with aclosing(wire), asyncio.timeout(60):
            hurried = asyncio.create_task(wire.post(target, LINES, BODY))
            others = [asyncio.create_task(wire.post(target, LINES, BODY)) for _ in range(5)]
            await asyncio.sleep(0)
            hurried.cancel()  # one that gives up takes nothing from the others
            assert [heard.status for heard in await asyncio.gather(*others)] == [204] * 5
    assert names.asked == ["shop.example"]


async def test_the_guard_is_asked_for_every_address() -> None:
    async with aclosing(Wire()) as wire:
        with pytest.raises(Refused, match="loopback"):
            await wire.post(Target(URL("http://127.0.0.1/"), {}), LINES, BODY)


@pytest.mark.parametrize("value", ["x\r\nEvil: 1", "x\nEvil: 1", "x\0"])
def test_a_header_with_a_line_break_is_never_sent(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        Target(URL("http://shop.example/"), {"X-Shop": value})


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/", "can't connect to 127.0.0.1:1: Connection refused"),
        ("http://no-such-name.invalid:8080/", "the name no-such-name.invalid has no address"),
        ("http://10.0.0.1/", "10.0.0.1 is refused: private"),
    ],
)
async def test_the_log_says_in_a_sentence_why_nobody_answered(wire: Wire, url: str, says: str) -> None:
    answer = await Poster(wire, timeout_s=5).post(Endpoint(url, [new_secret()]), "msg_1", BODY)
    assert (answer.status, answer.accepted) == (0, False)
    assert answer.error.startswith(says)
