"""Whatever a stranger sends to whichever adapter: kept in quarantine or empty, quickly, and never our failure."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs

from carriers.conformance.hostile import HOSTILE
from carriers.conformance.mutations import mutations
from carriers.fixtures import folder_of, read_fixtures
from carriers.registry import Registry, load
from carriers.sdk import Carrier
from tests.webhooks.counting import Counts
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.ingest.door import Ingest
from tracker.ingest.types import IngestSettings
from tracker.secrets import Sealer, new_key
from tracker.store import Store
from webhooks.inbound import Inbound
from webhooks.pushes import MAX_BODY

# Every adapter, none of which asks for a signature: what is read is what is tried here.
ADAPTERS = {carrier.slug: structs.replace(carrier, verify=None, acknowledge=None) for carrier in load()[0]}
FORM = "application/x-www-form-urlencoded"
FIELDS = ("param", "RequestData", "bizContent", "xml", "logistics_interface", "data")
GARBAGE = [(what, body, "application/json") for what, body in HOSTILE.items() if len(body) <= MAX_BODY] + [
    (f"{what}, in the field {field}", f"{field}=".encode() + quote_from_bytes(body).encode(), FORM)
    for what, body in HOSTILE.items()
    for field in FIELDS
    if len(body) <= 10_000
]
_SHOWN = 40  # bodies bent from one fixture


class World:
    def __init__(self, store: Store) -> None:
        self.connections = Connections(store, Registry(ADAPTERS.values()), Sealer([new_key()]))
        self.counts = Counts()
        settings = IngestSettings(most_scans=10_000)  # more than a body of all its bytes can tell
        self.ingest = Ingest(store, Registry(ADAPTERS.values()), due=lambda shipment, now: None, settings=settings)
        self.app = web.Application()
        self.app.add_routes(Inbound(self.ingest, store, self.connections, self.counts).routes())
        self.client: TestClient[Any, Any]

    async def connect(self, carrier: Carrier) -> Connection:
        held = {one.name: "x" for one in carrier.credentials}
        return await self.connections.create("shop", carrier=carrier.slug, credentials=held, auto_register=True, now=1)

    async def push(self, connection: Connection, body: bytes, kind: str) -> tuple[int, float]:
        """Status, and seconds."""
        began = time.perf_counter()
        path = f"/hooks/{connection.id}/{connection.path_secret}"
        async with self.client.post(path, data=io.BytesIO(body), headers={"Content-Type": kind}) as answer:
            await answer.read()
            return answer.status, time.perf_counter() - began


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    world = World(store)
    async with TestClient(TestServer(world.app)) as client:
        world.client = client
        yield world


@pytest.mark.parametrize("slug", sorted(ADAPTERS))
async def test_garbage_is_kept_or_empty(world: World, slug: str) -> None:
    connection = await world.connect(ADAPTERS[slug])
    for what, body, kind in GARBAGE:
        status, seconds = await world.push(connection, body, kind)
        assert status == 200, (what, status)
        assert seconds < 5, (what, seconds)
    assert set(world.counts.outcomes) <= {"quarantined", "accepted"}


@pytest.mark.parametrize("slug", sorted(ADAPTERS))
async def test_bodies_that_are_nearly_right_go_through_the_door_or_are_kept(world: World, slug: str) -> None:
    carrier = ADAPTERS[slug]
    connection = await world.connect(carrier)
    found = [fixture for fixture in read_fixtures(folder_of(carrier) / "fixtures") if fixture.kind in ("push", "query")]
    for fixture in sorted(found, key=lambda fixture: fixture.kind)[:2]:
        for what, body in itertools.islice(mutations(fixture), 0, None, 17):
            if len(world.counts.outcomes) >= _SHOWN:
                break
            status, _ = await world.push(connection, body, fixture.content_type)
            assert status == 200, (fixture.name, what, status)


async def test_what_is_far_too_long_is_cut_and_a_body_of_all_its_bytes_is_taken_in(world: World, store: Store) -> None:
    """SF's push: words of 1.9 MB in one scan, and then as many scans as it may have, of as many codes."""
    connection = await world.connect(ADAPTERS["sf"])

    def route(number: int, **said: str) -> dict[str, str]:
        clock = f"2026-05-05 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
        return {"mailno": "SF1000000000001", "acceptTime": clock, "opCode": "44", "remark": "派件中", **said}

    long = [route(1, remark="派" * 600_000, opCode="9" * 100_000)]
    many = [route(n, opCode=f"{n}") for n in range(999)]
    for routes in (long, many):
        body = json.dumps({"Body": {"WaybillRoute": routes}}, ensure_ascii=False).encode()
        assert len(body) <= MAX_BODY
        status, seconds = await world.push(connection, body, "application/json")
        assert status == 200
        assert seconds < 10
    [id] = await store.find("shop", ["SF1000000000001"])
    assert id is not None
    [shipment] = await world.ingest.get("shop", [id])
    assert shipment is not None
    assert max(len(event.text) for event in shipment.events) == 2_000
    assert max(len(event.code) for event in shipment.events) == 200
    assert len(shipment.events) == 1_000
