"""Answers of the store that are lost, for each of its functions that writes: the function ran, and nobody heard of it.

A line between daemon and server breaks after it has passed a call on, over and over, until every function had it twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.faults.conftest import settings
from tests.faults.daemon import Daemon, while_moving
from tests.faults.drill import Drill, begin
from tests.faults.load import journey, signature, waybills
from tests.faults.receiver import Receiver
from tracker.store.embedded import EmbeddedServer
from tracker.store.functions import library

TIMES = 2
ROUNDS = 600  # of the clerk, in the worst case: what is noted goes out every other second, however fast it works
TRIES = 200  # of one request
REST_S = 0.25  # between two losses, so that something gets through
_TIMEOUT = aiohttp.ClientTimeout(total=60)
_CALLED = re.compile(rb"milepost_(\w+)\r\n")
_REGISTERED = re.compile(r"^(?:writes|frees)\('(\w+)'", re.MULTILINE)
FUNCTIONS = set(_REGISTERED.findall(library()[0].decode()))
# what no act of this test calls, and where its repetition is tried instead
ELSEWHERE = {
    "trim": "tests/store/test_feed.py: a trim that was done changes nothing",
    "replay": "tests/store/test_lanes.py: a letter is put back once",
    "open": "tests/store: every test opens the same store",
    "mark": "tests/ingress: the second of two equal pushes is acknowledged unread",
    "replace_record": "tests/api/test_accounts.py: a seal is renewed by compare-and-set",
    "alias": "tests/store/test_shipments.py: a number that is written twice",
    "unalias": "tests/store/test_shipments.py: a number that is removed twice",
    "sweep_feed": "tests/faults/test_deletion.py: a sweep that is cut off at any point goes on",
    "sweep_shipments": "tests/faults/test_deletion.py",
    "sweep_numbers": "tests/faults/test_deletion.py",
    "forget": "tests/faults/test_deletion.py",
    "put_record_that_frees": "tests/faults/test_deletion.py",
    "unpark": "tests/store/test_cancellation.py: what makes room is cut off at any await",
    "fence": "tests/store/test_waiting.py: nothing is told behind a fence that failed; for replicas alone",
}
pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


class Line:
    """Passes on what goes between the daemon and its server, and breaks after calls whose answer it swallows."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.lost: Counter[str] = Counter()
        self.losing = False
        self._rests_until = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._server)
        back = asyncio.create_task(_pass(far_reader, writer))
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                called = {name.decode() for name in _CALLED.findall(data)} & FUNCTIONS
                lost = self.losing and time.monotonic() > self._rests_until and self._due(called)
                if lost:
                    back.cancel()
                far_writer.write(data)
                await far_writer.drain()
                if lost:
                    await asyncio.sleep(0.02)  # it runs
                    self.lost.update(called)
                    self._rests_until = time.monotonic() + REST_S
                    break
        back.cancel()
        for one in (far_writer, writer):
            one.close()

    def lacking(self, wanted: Set[str]) -> Counter[str]:
        """How many losses of each function are still to come."""
        return Counter(dict.fromkeys(wanted, TIMES)) - self.lost

    def _due(self, called: set[str]) -> bool:
        return any(self.lost[name] < TIMES for name in called)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[tuple[Line, str]]:
    with EmbeddedServer(tmp_path / "server") as server:
        line = Line(server.url.removeprefix("unix://"))
        path = tmp_path / "line.sock"
        async with await asyncio.start_unix_server(line.serve, path):
            yield line, f"unix://{path}"


class Clerk:
    """Does what people and platforms do beside the pushes; what fails for a lost answer is done again."""

    def __init__(self, drill: Drill) -> None:
        self._drill, self._daemon = drill, drill.daemon
        self._serials = itertools.count(5_000)
        self.rounds = 0
        self.acts = 0

    async def work(self) -> None:
        """Round after round until cancelled."""
        while True:
            for act in (self.parcel, self.question, self.garbage, self.novelty, self.subscription, self.key):
                await act()
            self.rounds += 1

    async def parcel(self) -> None:
        """One is scanned before it is registered, gets another order and is deleted."""
        [waybill] = waybills(1, first=next(self._serials))
        await self._pushed(next(journey(waybill)).body)
        body = {"waybill": waybill, "carrier": "simulated", "shop": "clerk"}
        made = await self._done("POST", "/v1/shipments", body)
        id = made["id"]
        found = await self._done("GET", f"/v1/shipments?waybill={waybill}")
        assert [row["id"] for row in found["shipments"]] == [id]
        await self._done("PATCH", f"/v1/shipments/{id}", {"tags": ["clerk"]})
        await self._done("DELETE", f"/v1/shipments/{id}", gone=True)

    async def question(self) -> None:
        """The carrier is asked for a parcel at once; it knows nothing, so that nothing but the next look is written."""
        ids = list(self._drill.numbers.values())
        await self._done("POST", f"/v1/shipments/{ids[self.rounds % len(ids)]}/retrack")

    async def garbage(self) -> None:
        """A body that says nothing is noted; one that can't be read is kept, and released."""
        [waybill] = waybills(1, first=4_999)
        await self._pushed(msgspec.json.encode({"event": "scan", "shipment": {"number": waybill, "events": []}}))
        await self._pushed(b'{"event": "scan", "shipment": ')
        for kept in (await self._done("GET", "/v1/quarantine"))["quarantine"]:
            await self._done("DELETE", f"/v1/quarantine/{kept['id']}", gone=True)

    async def novelty(self) -> None:
        """A body with a field that none had before is read, and noted."""
        [waybill] = waybills(1, first=next(self._serials))
        shipment = {"number": waybill, "events": [], f"mood{self.rounds}": "well"}
        await self._pushed(msgspec.json.encode({"event": "scan", "shipment": shipment}))

    async def subscription(self) -> None:
        """One to nobody; it gets what was, and is removed with what waits for it."""
        url = f"http://127.0.0.1:{self._drill.receiver.port}/nobody"
        await self._done("POST", "/v1/subscriptions", {"url": url})
        for one in (await self._done("GET", "/v1/subscriptions"))["subscriptions"]:
            if one["url"] == url:
                await self._done("POST", f"/v1/subscriptions/{one['id']}/replay", {"since": "2020-01-01T00:00:00Z"})
                await self._done("DELETE", f"/v1/subscriptions/{one['id']}", gone=True)

    async def key(self) -> None:
        made = await self._done("POST", "/v1/keys", {"name": "clerk", "scopes": ["read"]})
        await self._done("DELETE", f"/v1/keys/{made['id']}", gone=True)

    async def _pushed(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "X-Simulated-Signature": signature(body)}

        async def once(http: aiohttp.ClientSession) -> bool:
            async with http.post(self._drill.carrier.url, data=body, headers=headers) as reply:
                return reply.status == 200

        await self._again(once, f"a push of {body[:40]!r}")

    async def _done(self, method: str, path: str, body: Any = None, *, gone: bool = False) -> Any:
        """The answer; with `gone` a 404 is one too: it was done already."""
        told: Any = None

        async def once(http: aiohttp.ClientSession) -> bool:
            nonlocal told
            headers = {"Authorization": f"Bearer {self._daemon.key}"}
            async with http.request(method, self._daemon.url + path, json=body, headers=headers) as reply:
                told = await reply.json() if await reply.read() else None
                assert reply.status < 400 or reply.status in (409, 503) or (gone and reply.status == 404), (path, told)
                return reply.status < 400 or (gone and reply.status == 404)

        await self._again(once, f"{method} {path}")
        return told

    async def _again(self, once: Callable[[aiohttp.ClientSession], Awaitable[bool]], what: str) -> None:
        self.acts += 1
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
            for _ in range(TRIES):
                if await once(http):
                    return
                await asyncio.sleep(0.05)
        raise AssertionError(f"{what}: not done in {TRIES} tries")


async def test_an_answer_that_is_lost_for_any_function_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver, line: tuple[Line, str]
) -> None:
    """Until each has lost two; then everything stands once, and nothing of the clerk's is left."""
    wire, url = line
    async with Daemon(tmp_path / "data", settings=settings(receiver) | {"store.url": url}) as daemon:
        drill = await begin(request.node.name, daemon, receiver, parcels=60)
        clerk = Clerk(drill)
        wanted = FUNCTIONS - ELSEWHERE.keys()
        wire.losing = True
        pushing, working = asyncio.create_task(drill.carrier.run()), asyncio.create_task(clerk.work())
        try:
            await while_moving(
                lambda: working.done() or clerk.rounds >= ROUNDS or not wire.lacking(wanted),
                moves=lambda: (wire.lacking(wanted), clerk.acts),
                stuck_s=60,
                what="two losses of each",
            )
        finally:
            wire.losing = False
            if not working.done():
                await asyncio.sleep(1)
            print(f"{sum(wire.lost.values())} answers lost in {clerk.rounds} rounds: {dict(wire.lost)}")
        assert not working.done(), working.exception()
        assert not wire.lacking(wanted), f"so many losses lack after {clerk.rounds} rounds"
        working.cancel()
        await drill.pushed(pushing)
        await clerk.garbage()
        assert (await drill.examined()).wrong == {}


def test_every_function_that_writes_is_tried_here_or_named_with_where_it_is() -> None:
    assert ELSEWHERE.keys() < FUNCTIONS
    assert len(FUNCTIONS - ELSEWHERE.keys()) >= 14
