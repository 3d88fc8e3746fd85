"""A captured push that is sent again: unread while its carrier might send it again itself, refused after that."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs

from carriers.fixtures import folder_of, read_fixtures
from carriers.registry import Registry, load
from carriers.sdk import (
    Carrier,
    Credential,
    M,
    Push,
    Report,
    Scan,
    Signed,
    moment_at,
    object_of,
    read_json,
    same_secret,
    text_at,
)
from tests.webhooks.counting import Counts
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.ingest.door import Ingest
from tracker.ingest.types import Hearing, Received, Registration
from tracker.secrets import Sealer, new_key
from tracker.store import Store, marks
from tracker.store.types import StoreDown
from webhooks.inbound import Inbound
from webhooks.replays import Replays

NOW = 1_780_000_000.0
SECRET = "a secret of 24 characters"
WINDOW = 300.0


def parse(body: bytes, content_type: str) -> Sequence[Report]:
    root = object_of(read_json(body), "$")
    scan = Scan(time=moment_at(root, "at", "$"), code=text_at(root, "code", "$"))
    return [Report(waybill=text_at(root, "number", "$"), scans=(scan,))]


def signature(body: bytes, at: str) -> str:
    return hmac.new(SECRET.encode(), at.encode() + body, hashlib.sha256).hexdigest()


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    return same_secret(push.headers.get("x-signature", ""), signature(push.body, push.headers.get("x-time", "")))


def signed_at(push: Push) -> float | None:
    at = push.headers.get("x-time", "")
    return float(at) if at else None


TIMED = Carrier(
    slug="timed",
    name="Timed Post",
    docs="https://timed.example/docs",
    milestones={"PUP": M.PICKED_UP, "DLV": M.DELIVERED},
    parse=parse,
    verify=verify,
    signed=Signed(signed_at),
    credentials=[Credential("webhook_secret", "signs")],
)
CARRIERS = {"timed": TIMED, "patient": structs.replace(TIMED, slug="patient", signed=Signed(signed_at, 3_600.0))}


class Down:
    """A door whose store has gone, and is back when told."""

    def __init__(self, door: Ingest) -> None:
        self.door, self.down = door, True

    async def receive(self, *args: Any, **kwargs: Any) -> Received:
        if self.down:
            raise StoreDown("connection refused")
        return await self.door.receive(*args, **kwargs)


class World:
    def __init__(self, store: Store, window: float = WINDOW) -> None:
        self.store, self.counts, self.now = store, Counts(), NOW
        self.connections = Connections(store, Registry(CARRIERS.values()), Sealer([new_key()]))
        self.ingest = Ingest(store, Registry(CARRIERS.values()), due=lambda shipment, now: None)
        self.window = window
        self.client: TestClient[web.Request, web.Application]

    def app(self, door: Hearing) -> web.Application:
        replays = Replays(self.store, self.window)
        inbound = Inbound(door, self.store, self.connections, self.counts, replays=replays, clock=lambda: self.now)
        app = web.Application()
        app.add_routes(inbound.routes())
        return app

    async def connect(self, slug: str = "timed") -> Connection:
        return await self.connections.create("shop", carrier=slug, credentials={"webhook_secret": SECRET}, now=1)

    async def push(self, connection: Connection, body: bytes, at: float | str) -> tuple[int, str]:
        written = at if isinstance(at, str) else f"{at:.0f}"
        headers = {"X-Time": written, "X-Signature": signature(body, written)}
        async with self.client.post(f"/hooks/{connection.id}", data=body, headers=headers) as answer:
            text = await answer.read()
            return answer.status, msgspec.json.decode(text)["code"] if answer.status >= 400 else ""


def told(code: str = "PUP", number: str = "TM000001") -> bytes:
    return json.dumps({"number": number, "code": code, "at": "2026-05-05T12:00:00+08:00"}).encode()


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    world = World(store)
    async with TestClient(TestServer(world.app(world.ingest))) as client:
        world.client = client
        yield world


async def test_a_push_is_taken_once_and_acknowledged_again_unread(world: World) -> None:
    connection = await world.connect()
    [done] = await world.ingest.register("shop", [Registration(waybill="TM000001", carrier="timed")], now=1)
    for _ in range(3):
        assert (await world.push(connection, told(), NOW))[0] == 200
    assert world.counts.outcomes == ["accepted", "repeated", "repeated"]
    assert done.shipment is not None
    [shipment] = await world.ingest.get("shop", [done.shipment.document.id])
    assert shipment is not None
    assert len(shipment.events) == 1


async def test_what_is_new_is_read_though_it_was_signed_in_the_same_second(world: World) -> None:
    connection = await world.connect()
    bodies = [told(), told("DLV"), told(number="TM000002")]
    assert [(await world.push(connection, body, NOW))[0] for body in bodies] == [200] * 3
    assert (await world.push(connection, told(), NOW + 1))[0] == 200  # said again, and signed again
    assert world.counts.outcomes == ["accepted"] * 4


@pytest.mark.parametrize(("age", "status"), [(0, 200), (299, 200), (301, 401), (-299, 200), (-301, 401), (10**9, 401)])
async def test_the_time_that_was_signed_is_near_ours(world: World, age: int, status: int) -> None:
    connection = await world.connect()
    answered, code = await world.push(connection, told(), NOW - age)
    assert answered == status
    assert code == ("stale_signature" if status == 401 else "")


async def test_a_push_that_was_caught_is_refused_after_the_window(world: World) -> None:
    connection = await world.connect()
    assert (await world.push(connection, told(), NOW))[0] == 200
    world.now = NOW + 301
    assert await world.push(connection, told(), NOW) == (401, "stale_signature")
    assert world.counts.outcomes == ["accepted", "refused"]


async def test_a_carrier_that_repeats_its_pushes_is_heard_as_long_as_it_does(world: World) -> None:
    connection = await world.connect("patient")
    world.now = NOW + 3_800
    assert (await world.push(connection, told(), NOW))[0] == 200
    world.now = NOW + 3_950
    assert await world.push(connection, told(), NOW) == (401, "stale_signature")


async def test_a_replay_is_no_sign_of_life(world: World) -> None:
    connection = await world.connect("patient")
    [done] = await world.ingest.register("shop", [Registration(waybill="TM000001", carrier="patient")], now=1)
    assert done.shipment is not None
    await world.push(connection, told(), NOW)
    heard = world.connections.heard_at(done.shipment.document)
    world.now += 3_000
    await world.push(connection, told(), NOW)
    assert world.counts.outcomes == ["accepted", "repeated"]
    assert world.connections.heard_at(done.shipment.document) == heard


async def test_a_push_that_was_not_taken_is_read_when_it_comes_again(store: Store) -> None:
    world = World(store)
    door = Down(world.ingest)
    async with TestClient(TestServer(world.app(door))) as world.client:
        connection = await world.connect()
        assert (await world.push(connection, told(), NOW))[0] == 503
        door.down = False
        assert (await world.push(connection, told(), NOW))[0] == 200
    assert world.counts.outcomes == ["unavailable", "accepted"]


async def test_a_push_in_quarantine_is_kept_once(world: World) -> None:
    connection = await world.connect()
    for _ in range(2):
        assert (await world.push(connection, b"<html>", NOW))[0] == 200
    assert len((await world.store.quarantined("shop"))[0]) == 1


@pytest.mark.parametrize("at", ["", "soon", "1" * 400])
async def test_a_time_that_can_not_be_read_loses_no_push_of_the_carriers(world: World, at: str) -> None:
    connection = await world.connect()
    status, _ = await world.push(connection, told(), at)
    assert status == (401 if at.isdecimal() else 200)


async def test_without_a_window_no_time_is_looked_at(store: Store) -> None:
    world = World(store, window=0.0)
    async with TestClient(TestServer(world.app(world.ingest))) as world.client:
        connection = await world.connect()
        assert [(await world.push(connection, told(), 1))[0] for _ in range(2)] == [200, 200]
    assert world.counts.outcomes == ["accepted", "accepted"]


async def test_one_connections_pushes_are_not_anothers(world: World) -> None:
    connections = [await world.connect() for _ in range(2)]
    for connection in connections:
        assert (await world.push(connection, told(), NOW))[0] == 200
    assert world.counts.outcomes == ["accepted", "accepted"]


async def test_what_is_remembered_is_bounded_and_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "_MOST", 3)
    for number in range(5):
        await store.mark("shop", "con_1", b"%d" % number, life_ms=60_000 + number)
    assert [await store.marked("shop", "con_1", b"%d" % number) for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert not await store.marked("shop", "con_2", b"4")
    left = await store.wire.control().send(b"PTTL", marks._key("shop", "con_1"))
    assert 0 < left <= 60_004


REAL = [carrier for carrier in load()[0] if carrier.signed]


@pytest.mark.parametrize("carrier", REAL, ids=[carrier.slug for carrier in REAL])
def test_each_adapter_reads_the_time_of_its_fixtures(carrier: Carrier) -> None:
    pushes = [one for one in read_fixtures(folder_of(carrier) / "fixtures") if one.kind == "push" and one.signed]
    assert pushes
    assert carrier.signed is not None
    for fixture in pushes:
        at = carrier.signed.at(Push(headers=fixture.headers, query={}, body=fixture.body))
        assert at is not None
        assert 1_772_000_000 < at < 1_779_000_000, fixture.name  # the spring of 2026, as all of them


def test_the_adapters_whose_signature_covers_a_time_say_so() -> None:
    """A new one belongs into docs/security.md, "Old pushes", too."""
    assert {carrier.slug for carrier in REAL} == {"kdniao", "shippo", "usps"}
