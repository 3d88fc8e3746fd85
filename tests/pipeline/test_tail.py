"""`milepost tail` as a program beside a daemon that is killed and started again under it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from tests.faults.daemon import Daemon, command, environment
from tests.ports import nobody
from tracker.cli.tail import Gap, Proof, Tail, read, shown


async def heard(lines: asyncio.StreamReader, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        return [json.loads(await lines.readline()) for _ in range(count)]


async def register(daemon: Daemon, *waybills: str) -> list[str]:
    items = [{"waybill": waybill, "carrier": "sf", "phone_tail": "0000"} for waybill in waybills]
    answer = await daemon.call("POST", "/v1/shipments", {"shipments": items})
    return [row["shipment"]["id"] for row in answer["results"]]


@pytest.mark.timeout(90)
async def test_a_tail_goes_on_over_a_restart_and_says_nothing_twice(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data") as daemon:
        await daemon.start()
        ids = await register(daemon, *(f"SF90000000000{n}" for n in range(4)))
        words = ("tail", "--after", "beginning", "--json", "--verify", "--url", daemon.url, "--key", daemon.key)
        process = await asyncio.create_subprocess_exec(
            *command(*words), stdout=asyncio.subprocess.PIPE, env=environment(), cwd=Path(__file__).parents[2]
        )
        assert process.stdout
        try:
            seen = await heard(process.stdout, 4)
            await daemon.kill()
            await daemon.start()
            ids += await register(daemon, *(f"SF90000000001{n}" for n in range(3)))
            await daemon.call("PATCH", f"/v1/shipments/{ids[0]}", {"shop": "b"})
            seen += await heard(process.stdout, 4)
        finally:
            process.terminate()
            await process.wait()
    assert sorted((change["shipment_id"], change["revision"]) for change in seen) == sorted(
        [*((id, 1) for id in ids), (ids[0], 2)]
    )
    assert seen[-1]["shipment"]["waybill"].startswith("SF9")


async def test_the_reader_in_the_document_follows_and_says_what_lacks(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "changes.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    async with Daemon(tmp_path / "data") as daemon:
        await daemon.start()
        ids = await register(daemon, *(f"SF90000000000{n}" for n in range(4)))
        reader = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code),
            stdout=asyncio.subprocess.PIPE,
            env=environment() | {"MILEPOST_URL": daemon.url, "MILEPOST_API_KEY": daemon.key},
        )
        assert reader.stdout
        try:
            async with asyncio.timeout(30):
                seen = {(await reader.stdout.readline()).split()[1].decode() for _ in range(4)}
                await daemon.call("PATCH", f"/v1/shipments/{ids[0]}", {"shop": "b"})
                assert (await reader.stdout.readline()).split()[1:3] == [ids[0].encode(), b"2"]
        finally:
            reader.terminate()
            await reader.wait()
    assert seen == set(ids)


async def refused(*words: str) -> tuple[int | None, str]:
    """How a tail ended that was begun with these words, and what it said to the terminal."""
    process = await asyncio.create_subprocess_exec(
        *command("tail", *words), stderr=asyncio.subprocess.PIPE, env=environment(), cwd=Path(__file__).parents[2]
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_a_tail_with_a_wrong_key_says_so_and_ends(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data") as daemon:
        await daemon.start()
        status, said = await refused("--url", daemon.url, "--key", "mp_wrong")
        assert status == 1
        assert "the API key is not known" in said
        status, said = await refused("--url", daemon.url, "--key", daemon.key, "--after", "nowhere")
        assert status == 1
        assert "after: 'nowhere' is no cursor of this list: take that of an answer before, or say `now`" in said


async def test_a_parcel_is_tracked_by_an_order_number_that_has_not_the_form_of_a_waybill(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data") as daemon:
        await daemon.start()
        wanted = {"waybill": "SF900000000001", "carrier": "sf", "phone_tail": "0000", "order_number": "订单 1"}
        await daemon.call("POST", "/v1/shipments", wanted)
        for number, told, status in (("订单 1", "SF900000000001  sf", 0), ("订单 2", "nothing is known of 订单 2", 1)):
            process = await asyncio.create_subprocess_exec(
                *command("track", number, "--url", daemon.url, "--key", daemon.key),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=environment(),
                cwd=Path(__file__).parents[2],
            )
            async with asyncio.timeout(60):
                said, _ = await process.communicate()
            assert told in said.decode()
            assert process.returncode == status


async def test_what_is_no_address_is_refused_and_told_how_one_looks() -> None:
    status, said = await refused("--url", "127.0.0.1:8040")
    assert (status, "Traceback" in said) == (64, False)
    assert "--url 127.0.0.1:8040: no address of a daemon; write http://127.0.0.1:8040" in said


async def test_a_tail_that_hears_nobody_says_so_once_and_waits() -> None:
    with nobody() as port:
        process = await asyncio.create_subprocess_exec(
            *command("tail", "--url", f"http://127.0.0.1:{port}", "--key", "key"),
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
            cwd=Path(__file__).parents[2],
        )
        assert process.stderr
        try:
            async with asyncio.timeout(60):
                said = (await process.stderr.readline()).decode()
            await asyncio.sleep(2.5)  # it has asked again by then
            assert process.returncode is None
        finally:
            process.terminate()
            rest = await process.stderr.read()
            await process.wait()
    assert f"no changes from http://127.0.0.1:{port}/v1/changes: [Errno" in said
    assert rest == b""


class Swallowing:
    """A proxy before a daemon that loses the events of one parcel from streams, and passes everything else on."""

    def __init__(self, daemon: Daemon, lost: str) -> None:
        self._daemon, self._lost = daemon, lost.encode()
        app = web.Application()
        app.router.add_get("/{path:.*}", self._pass_on)
        self.server = TestServer(app)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        said = {name: request.headers[name] for name in ("Authorization", "Accept")}
        async with ClientSession() as http, http.get(self._daemon.url + request.path_qs, headers=said) as answer:
            if answer.content_type == "application/json":
                return web.Response(body=await answer.read())
            passed = web.StreamResponse(headers={"Content-Type": answer.content_type})
            await passed.prepare(request)
            event = b""
            async for line in answer.content:
                event += line
                if line == b"\n":
                    await passed.write(b": lost\n\n" if self._lost in event else event)
                    event = b""
        return passed


async def test_a_change_that_was_lost_on_the_way_is_named(tmp_path: Path) -> None:
    """Its shipment has no later change that would show a hole, so only the count tells; the page is asked for again."""
    async with Daemon(tmp_path / "data") as daemon:
        await daemon.start()
        ids = await register(daemon, *(f"SF90000000000{n}" for n in range(4)))
        proxy = Swallowing(daemon, "SF900000000002").server
        await proxy.start_server()
        words = ("tail", "--after", "beginning", "--verify", "--url", str(proxy.make_url("/")), "--key", daemon.key)
        process = await asyncio.create_subprocess_exec(
            *command(*words), stdout=asyncio.subprocess.PIPE, env=environment(), cwd=Path(__file__).parents[2]
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
        await proxy.close()
    gap = "GAP  the daemon counts 4 changes since the last cursor, 3 came; did not come: "
    assert process.returncode == 3
    assert said.decode().splitlines()[-1] == f"{gap}{ids[2]} revision 1"


def test_a_stream_cut_off_within_a_chunk_is_asked_for_again_from_its_cursor() -> None:
    """As a daemon that is killed leaves it, or a proxy on the way."""
    asked: list[bytes] = []
    told = b'event: cursor\ndata: {"cursor": "C1", "tally": 1}\n\nevent: shipment.upd'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def answer(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65_536).split(b"\r\n")[0])
                connection.sendall(head + b"%x\r\n" % (len(told) + 500) + told)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        messages = Tail(f"http://127.0.0.1:{listening.getsockname()[1]}", "key").messages()
        assert [next(messages).data["cursor"] for _ in range(2)] == ["C1", "C1"]
        thread.join(10)
    assert b"after=now" in asked[0]
    assert b"after=C1" in asked[1]


def change(id: str, revision: int) -> dict[str, Any]:
    return {"type": "shipment.updated", "shipment_id": id, "revision": revision, "at": "2026-09-22T08:00:00Z"}


def test_a_proof_holds_while_everything_comes() -> None:
    proof = Proof()
    proof.reach(10, 10)
    for revision in (4, 5, 6):
        proof.take(change("shp_1", revision))
    proof.take(change("shp_2", 1))
    proof.reach(14, 10)
    proof.reach(14, 14)


def test_a_revision_that_lacks_is_named() -> None:
    proof = Proof()
    proof.take(change("shp_1", 4))
    with pytest.raises(Gap, match="shp_1: revision 6 came after 4"):
        proof.take(change("shp_1", 6))


def test_a_shipment_that_lacks_whole_shows_in_the_count() -> None:
    proof = Proof()
    proof.reach(10, 10)
    proof.take(change("shp_1", 4))
    with pytest.raises(Gap, match="counts 2 changes since the last cursor, 1 came"):
        proof.reach(12, 10)


def test_what_lacks_in_the_first_page_shows_too() -> None:
    """Nothing came before it that a count or a revision could be held against."""
    proof = Proof()
    proof.take(change("shp_1", 2))
    with pytest.raises(Gap, match="counts 2 changes since the last cursor, 1 came"):
        proof.reach(2, 0)


def test_a_stream_is_read_event_by_event_and_half_of_one_is_none() -> None:
    text = b'retry: 2000\n\n: still\n\nevent: a\nid: 1\ndata: {"n": 1}\n\nevent: b\ndata: {"n"'
    assert [(one.event, one.data) for one in read(iter(text.splitlines(keepends=True)))] == [("a", {"n": 1})]


def test_a_line_names_parcel_kind_revision_and_status_in_the_readers_language() -> None:
    told = change("shp_1", 3) | {"shipment": {"waybill": "SF1", "status_label": {"zh": "派件中", "en": "Out"}}}
    assert shown(told, "zh").split() == ["2026-09-22T08:00:00Z", "SF1", "updated", "r3", "派件中"]
    assert shown(change("shp_1", 3), "en").split()[1] == "shp_1"
