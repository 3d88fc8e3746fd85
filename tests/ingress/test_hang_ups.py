"""Callers that hang up before their answer, at every moment: what they then do again is there once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cancelling import uncomplaining
from tests.faults.answering import reset
from tests.faults.leaving import hang_up
from tests.faults.load import SECRET, Scan, journey, signature, waybills
from tests.ingress.site import Site, running
from tests.store.lines import Line, unreliable
from tracker.store import Store

[WAYBILL] = waybills(1)
CREDENTIALS = {"client_id": "c", "client_secret": "s", "webhook_secret": SECRET}
READERS = 32  # that an account may have at once


@pytest.fixture
async def lined(store: Store, tmp_path: Path) -> AsyncIterator[tuple[Line, Site]]:
    """A daemon, and the line to its store."""
    async with unreliable(store, tmp_path) as (line, far), running(tmp_path / "data", far.url) as site:
        yield line, site


def request(site: Site, path: str, body: bytes) -> bytes:
    said = (f"Content-Length: {len(body)}", "Content-Type: application/json")
    return site.head("POST", path, *said, f"X-Simulated-Signature: {signature(body)}") + body


async def pushed(site: Site, hook: str, scan: Scan) -> None:
    """The same push from a carrier that waits."""
    assert (await site.once(request(site, hook, scan.body))).status == 200


async def register(site: Site, *numbers: str) -> list[dict[str, Any]]:
    """The shipments as they are registered, or were before."""
    items = [{"waybill": number, "carrier": "simulated"} for number in numbers]
    answer = await site.call("POST", "/v1/shipments", {"shipments": items})
    assert answer.status < 300, answer.body
    return [row["shipment"] for row in answer.json()["results"]]


async def texts(site: Site, id: str) -> list[str]:
    """What its timeline says."""
    view = (await site.call("GET", f"/v1/shipments/{id}")).json()
    return [event["description"] for event in view["events"]]


async def revisions(site: Site, id: str) -> list[int]:
    """As the feed has them."""
    page = (await site.call("GET", "/v1/changes?limit=500")).json()
    return [change["revision"] for change in page["changes"] if change["shipment_id"] == id]


async def test_a_push_whose_carrier_hangs_up_amid_its_commit_is_taken(lined: tuple[Line, Site]) -> None:
    """And pushed again it changes nothing."""
    line, site = lined
    hook = await site.hook("simulated", **CREDENTIALS)
    [shipment] = await register(site, WAYBILL)
    scan = next(journey(WAYBILL))
    line.hold("milepost_commit")
    wire = await site.wire()
    await wire.send(request(site, hook, scan.body))
    await line.asked(5)
    reset(wire.writer)
    await asyncio.sleep(0.05)  # the daemon hears of it
    line.let_go()
    async with asyncio.timeout(60):
        while await texts(site, shipment["id"]) != [scan.text]:
            await asyncio.sleep(0.02)
    await pushed(site, hook, scan)
    assert await texts(site, shipment["id"]) == [scan.text]
    assert await revisions(site, shipment["id"]) == [1, 2]


async def test_a_registration_whose_caller_hangs_up_amid_its_commit_is_made(lined: tuple[Line, Site]) -> None:
    """Made again it is the one that is there, with what was parked for it, once."""
    line, site = lined
    hook = await site.hook("simulated", **CREDENTIALS)
    scan = next(journey(WAYBILL))
    await pushed(site, hook, scan)
    line.hold("milepost_commit")
    wire = await site.wire()
    await wire.send(request(site, "/v1/shipments", msgspec.json.encode({"waybill": WAYBILL, "carrier": "simulated"})))
    await line.asked(5)
    reset(wire.writer)
    await asyncio.sleep(0.05)
    line.let_go()
    [first], [second] = await register(site, WAYBILL), await register(site, WAYBILL)
    assert first["id"] == second["id"]
    assert await texts(site, first["id"]) == [scan.text]
    assert await revisions(site, first["id"]) == [1, 2]  # registered, and what it brought along


async def test_pushes_of_carriers_that_hang_up_at_any_moment_are_there_once_when_they_come_again(
    lined: tuple[Line, Site],
) -> None:
    """No connection is left, and nothing is complained of."""
    _, site = lined
    hook = await site.hook("simulated", **CREDENTIALS)
    numbers = waybills(8)
    shipments = await register(site, *numbers)
    dice = random.Random(3)
    with uncomplaining():
        for scans in zip(*(journey(number) for number in numbers), strict=True):
            signed = [{"X-Simulated-Signature": signature(one.body)} for one in scans]
            leaving = [hang_up(site.url + hook, how, one.body, dice) for how, one in zip(signed, scans, strict=True)]
            await asyncio.gather(*leaving)
            await asyncio.gather(*(pushed(site, hook, one) for one in scans))
    async with asyncio.timeout(60):
        while b"\nmilepost_connections 1.0\n" not in (await site.call("GET", "/metrics")).body:  # this one's
            await asyncio.sleep(0.2)
    for shipment in shipments:
        told = await texts(site, shipment["id"])
        assert told == [scan.text for scan in journey(shipment["waybill"])]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_readers_that_hang_up_while_they_wait_make_room_for_others(site: Site, accept: str) -> None:
    """Within a second or two, whichever way they left."""
    head = site.head("GET", "/v1/changes?after=now&wait=30", f"Accept: {accept}")
    for rudely in (False, True):
        wires = [await site.wire() for _ in range(READERS)]
        for wire in wires:
            await wire.send(head)
        await waiting(site, room=False)
        for wire in wires:
            if rudely:
                reset(wire.writer)
            wire.writer.close()
        await waiting(site, room=True)


async def waiting(site: Site, *, room: bool) -> None:
    """Until there is room for another reader, or none."""
    async with asyncio.timeout(60):
        while (await site.call("GET", "/v1/changes?after=now&wait=0.01")).status != (200 if room else 429):
            await asyncio.sleep(0.1)
