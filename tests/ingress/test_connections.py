"""Connections that are held without being used, too many of them, and what is no HTTP, at the port of a daemon."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys

import pytest

from tests.ingress.conftest import Opened
from tests.ingress.site import Site, Wire, chunked

HEAD = b"GET /healthz HTTP/1.1\r\nHost: m\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
ENOUGH_S = 6.0
SOON = {"http__header_s": "0.5", "http__idle_s": "0.6"}


async def drip(wire: Wire, data: bytes, every_s: float = 0.1) -> None:
    """One byte after another, as long as somebody takes them."""
    for place in range(len(data)):
        try:
            await wire.send(data[place : place + 1])
        except ConnectionError:
            return
        await asyncio.sleep(every_s)


async def cut_off(site: Site, why: str) -> float:
    page = (await site.call("GET", "/metrics")).body.decode()
    found = re.search(rf'milepost_connections_cut_off_total{{why="{why}"}} (\S+)', page)
    return float(found[1]) if found else 0.0


async def test_a_head_that_does_not_end_is_given_up(opened: Opened) -> None:
    site = await opened(http__header_s="0.5")
    async with await site.wire() as silent, await site.wire() as slow, await site.wire() as again:
        await again.send(HEAD + b"\r\n")
        assert (await again.answer()).status == 200
        await again.send(b"G")  # and nothing more
        dripping = asyncio.create_task(drip(slow, HEAD + b"X-A: b\r\n" * 100))
        assert await silent.closed(ENOUGH_S) == b""
        assert (await slow.closed(ENOUGH_S)).startswith(b"HTTP/1.1 408 ")
        assert (await again.closed(ENOUGH_S)).startswith(b"HTTP/1.1 408 ")
        dripping.cancel()
    assert await cut_off(site, "header") == 3


async def test_an_idle_connection_is_closed_and_one_that_waits_for_its_answer_is_not(opened: Opened) -> None:
    site = await opened(**SOON, http__write_s="0.5", http__body_s="0.5")
    async with await site.wire() as idle, await site.wire() as polling:
        await idle.send(HEAD + b"\r\n")
        assert (await idle.answer()).status == 200
        await polling.send(site.head("GET", "/v1/changes?after=now&wait=3"))
        assert await idle.closed(ENOUGH_S) == b""
        answer = await polling.answer()
        assert (answer.status, answer.json()["changes"]) == (200, [])
    assert await cut_off(site, "write") == 0


async def test_a_head_in_pieces_is_taken_as_long_as_it_comes_in_time(site: Site) -> None:
    async with await site.wire() as wire:
        for _ in range(2):
            await drip(wire, HEAD + b"\r\n", every_s=0.002)
            assert (await wire.answer()).status == 200
        await wire.send((HEAD + b"\r\n") * 50)
        assert [(await wire.answer()).status for _ in range(50)] == [200] * 50


async def test_a_body_that_does_not_come_is_given_up_with_an_answer(opened: Opened) -> None:
    site = await opened(http__body_s="0.5")
    json = site.head("POST", "/v1/shipments", "Content-Type: application/json")[:-2]
    hook = site.head("POST", await site.hook("sf", partner_id="p", checkword="c"))[:-2]
    for head in (json, hook):
        async with await site.wire() as stopped, await site.wire() as slow:
            await stopped.send(head + b"Content-Length: 100\r\n\r\n{")
            await slow.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            dripping = asyncio.create_task(drip(slow, chunked([b" "] * 100), every_s=0.05))
            for wire in (stopped, slow):
                answer = await wire.answer(ENOUGH_S)
                assert answer.status == 408
                assert answer.headers["content-type"] == "application/problem+json"
            dripping.cancel()


async def test_a_reader_that_stops_is_cut_off_and_one_that_is_slow_is_not(opened: Opened) -> None:
    site = await opened(http__write_s="2")
    size = len((await site.call("GET", "/openapi.json")).body)
    number = 12_000_000 // size  # more than the kernel keeps for us
    asking = site.head("GET", "/openapi.json") * number
    async with await site.wire(limit=4096) as stopped, await site.wire(limit=65_536) as slow:
        stopped.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for wire in (stopped, slow):
            wire.writer.write(asking)
        received = 0
        while received < number * size:
            part = await slow.reader.read(131_072)
            assert part, received
            received += len(part)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(2 * ENOUGH_S):
            while await cut_off(site, "write") < 1:
                await asyncio.sleep(0.1)
    assert await cut_off(site, "write") == 1


async def test_there_is_room_for_so_many_and_the_next_is_told(opened: Opened) -> None:
    site = await opened(http__max_connections="3")
    wires = [await site.wire() for _ in range(3)]
    for wire in wires:
        await wire.send(HEAD + b"\r\n")
        assert (await wire.answer()).status == 200
    async with await site.wire() as refused:
        assert (await refused.answer()).status == 503
        assert await refused.closed() == b""
    await wires.pop().__aexit__()
    async with asyncio.timeout(ENOUGH_S):
        while not await lets_in(site):
            await asyncio.sleep(0.01)
    for wire in wires:
        await wire.__aexit__()
    assert await cut_off(site, "full") >= 1


HELD = [b"", HEAD, HEAD + b"\r\n", b"POST /login HTTP/1.1\r\nHost: m\r\nContent-Length: 80\r\n" + FORM + b"\r\nkey="]


@pytest.mark.parametrize("sent", HELD, ids=["silent", "half a head", "idle", "half a body"])
@pytest.mark.parametrize("bound", ["http__max_connections", "http__max_per_address"])
async def test_who_holds_connections_and_asks_for_nothing_keeps_nobody_out(
    opened: Opened, bound: str, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But neither is one that waits for its answer sent away."""
    monkeypatch.setattr("tracker.ingress.connections._BODY_S", 0.0)
    site = await opened(**{bound: "6"})
    async with contextlib.AsyncExitStack() as stack:
        polling = await stack.enter_async_context(await site.wire())
        await polling.send(site.head("GET", "/v1/changes?after=now&wait=4"))
        for _ in range(5):
            wire = await stack.enter_async_context(await site.wire())
            await wire.send(sent)
        assert not await lets_in(site)
        await asyncio.sleep(1.2)
        for _ in range(4):
            assert await lets_in(site)
        assert (await polling.answer()).status == 200
    assert await cut_off(site, "room") >= 1


async def lets_in(site: Site) -> bool:
    async with await site.wire() as wire:
        await wire.send(HEAD + b"\r\n")
        return (await wire.answer()).status == 200


@pytest.mark.parametrize("trusted", ["", "127.0.0.0/8"])
async def test_one_address_has_its_share_unless_it_is_a_proxy_of_ours(opened: Opened, trusted: str) -> None:
    site = await opened(http__max_per_address="2", http__trusted_proxies=trusted)
    async with await site.wire() as one, await site.wire() as two:
        for wire in (one, two):
            await wire.send(HEAD + b"\r\n")
            assert (await wire.answer()).status == 200
        assert await lets_in(site) == bool(trusted)


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    b"\0" * 1_000 + b"\r\n\r\n",
    b"GET / HTTP/9.9.9\r\n\r\n",
    b"GET\r\n\r\n",
    b"G\x00T / HTTP/1.1\r\nHost: m\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: m\r\nno colon\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: m\r\nX: a\x00b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: m\r\n: empty\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: m\r\nX-A : b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + b"X: a\r\n" * 40_000 + b"\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: m\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: m\r\nContent-Length: -1\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: m\r\nContent-Length: +5\r\n\r\nhello",
    b"POST /login HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST /login HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
]


async def test_what_is_no_http_is_refused_and_leaves_no_line_in_the_log(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    for sent in NO_HTTP:
        async with await site.wire() as wire:
            wire.writer.write(sent)
            answer = await wire.closed(ENOUGH_S)
        assert re.match(rb"HTTP/\d.\d 4\d\d ", answer) or answer == b"", (sent[:80], answer[:200])
        assert b" 200 " not in answer
    assert (await site.call("GET", "/v1/counts")).status == 200
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("limits", "room"), [((1_024, 16_384), 8_192), ((1_024, 1_024), 512), ((4_096, 4_096), 3_584), ((200, 200), 100)]
)
def test_there_are_never_more_connections_than_files(limits: tuple[int, int], room: int) -> None:
    """In a process of its own: the limit of open files is the process's."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, {limits});"
        "from tracker.ingress.connections import _within_files; print(_within_files(8192))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == str(room)
    assert ("few_files" in done.stdout) == (room < 8_192)
