"""Pushes from carriers, over real HTTP into the real store."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs

from carriers.registry import Registry
from carriers.sdk import (
    Carrier,
    Credential,
    M,
    Push,
    Report,
    Scan,
    hmac_sha256,
    moment_at,
    object_of,
    read_json,
    rows_at,
    same_secret,
    text_at,
)
from tests.webhooks.counting import Counts
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.ingest.door import Ingest
from tracker.ingest.types import Received, Registration
from tracker.model import Status
from tracker.quarantine import Quarantined, Ward
from tracker.secrets import Sealer, new_key
from tracker.store import Store
from tracker.store.types import StoreDown
from webhooks.inbound import Inbound
from webhooks.pushes import MAX_BODY

SECRET = "a secret of 24 characters"
NOW = 1_780_000_000_000


def parse(body: bytes, content_type: str) -> Sequence[Report]:
    root = object_of(read_json(body), "$")
    if root.get("mistake"):
        raise RuntimeError("a mistake in the adapter")
    scans = tuple(
        Scan(time=moment_at(scan, "at", "$"), code=text_at(scan, "code", "$")) for scan in rows_at(root, "scans", "$")
    )
    return [Report(waybill=text_at(root, "number", "$"), scans=scans)]


def acknowledge(accepted: bool) -> tuple[int, str, bytes]:
    return (200, "application/json", b'{"ok":true}') if accepted else (500, "application/json", b'{"ok":false}')


def respond(push: Push, accepted: bool, at: int) -> tuple[int, str, bytes]:
    return 200 if accepted else 500, "text/plain", f"{len(push.body)} bytes at {at}: {accepted}".encode()


def greet(tried: Push, credentials: Mapping[str, str]) -> tuple[int, str, bytes] | None:
    return (200, "text/plain", tried.query["echo"].encode()) if "echo" in tried.query else None


def in_query(push: Push, credentials: Mapping[str, str]) -> bool:
    return same_secret(push.query.get("sign", ""), credentials["webhook_secret"])


SIGNED = Carrier(
    slug="signed",
    name="Signed Post",
    docs="https://signed.example/docs",
    milestones={"PUP": M.PICKED_UP, "DLV": M.DELIVERED},
    parse=parse,
    verify=hmac_sha256("X-Signature", encoding="hex"),
    credentials=[Credential("webhook_secret", "signs")],
    acknowledge=acknowledge,
)
CARRIERS = {
    carrier.slug: carrier
    for carrier in (
        SIGNED,
        structs.replace(SIGNED, slug="plain", verify=None, acknowledge=None, credentials=[]),
        structs.replace(SIGNED, slug="queried", verify=in_query),
        structs.replace(SIGNED, slug="tried", acknowledge=None, respond=respond, greet=greet),
    )
}


class World:
    """The handler behind a real server, and what stands behind the handler."""

    def __init__(self, store: Store) -> None:
        self.store, self.counts = store, Counts()
        self.connections = Connections(store, Registry(CARRIERS.values()), Sealer([new_key()]))
        self.ingest = Ingest(store, Registry(CARRIERS.values()), due=lambda shipment, now: None)
        self.inbound = Inbound(self.ingest, store, self.connections, self.counts, clock=lambda: NOW / 1000)
        self.client: TestClient[web.Request, web.Application]

    async def connect(self, slug: str, account: str = "shop", **said: Any) -> Connection:
        held = {} if slug == "plain" else {"webhook_secret": SECRET}
        return await self.connections.create(account, carrier=slug, credentials=held, now=1, **said)

    async def follow(self, waybill: str, slug: str = "signed") -> str:
        [done] = await self.ingest.register("shop", [Registration(waybill=waybill, carrier=slug)], now=NOW)
        assert done.shipment is not None
        return done.shipment.document.id

    async def status(self, id: str) -> Status:
        [shipment] = await self.ingest.get("shop", [id])
        assert shipment is not None
        return shipment.status

    async def push(self, path: str, body: bytes, **headers: str) -> tuple[int, bytes, str]:
        data = body if len(body) < 1_000_000 else io.BytesIO(body)
        async with self.client.post(f"/hooks/{path}", data=data, headers=headers) as response:
            return response.status, await response.read(), response.headers.get("Content-Type", "")

    async def push_signed(self, connection: Connection, body: bytes) -> tuple[int, bytes, str]:
        return await self.push(connection.id, body, **signature(body))


def signature(body: bytes) -> dict[str, str]:
    return {"X-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}


def told(number: str, *codes: str) -> bytes:
    scans = [{"at": f"2026-05-05T12:00:0{place}+08:00", "code": code} for place, code in enumerate(codes)]
    return json.dumps({"number": number, "scans": scans}).encode()


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    world = World(store)
    app = web.Application()
    app.add_routes(world.inbound.routes())
    async with TestClient(TestServer(app)) as client:
        world.client = client
        yield world


# ---------------------------------------------------------------- accepted


async def test_a_signed_push_is_on_disk_when_it_is_acknowledged(world: World) -> None:
    connection, id = await world.connect("signed"), await world.follow("SG000001")
    assert await world.push_signed(connection, told("SG000001", "PUP")) == (200, b'{"ok":true}', "application/json")
    assert await world.status(id) is Status.PICKED_UP
    [shipment] = await world.ingest.get("shop", [id])
    assert shipment is not None
    assert shipment.events[0].sources == (connection.pushes,)
    assert world.counts.intakes == [("signed", "accepted")]


async def test_an_unsigned_push_needs_the_secret_in_its_address(world: World) -> None:
    connection, id = await world.connect("plain"), await world.follow("PL000001", "plain")
    body = told("PL000001", "PUP")
    assert (await world.push(connection.id, body))[0] == 401
    assert (await world.push(f"{connection.id}/wrong", body))[0] == 401
    assert (await world.push(f"{connection.id}/%ff%00", body))[0] == 401
    assert await world.status(id) is Status.PENDING
    status, answer, _ = await world.push(f"{connection.id}/{connection.path_secret}", body)
    assert (status, answer) == (200, b"")
    assert await world.status(id) is Status.PICKED_UP


async def test_a_replaced_address_takes_pushes_until_its_overlap_ends_and_the_one_before_it_none(world: World) -> None:
    connection = await world.connect("plain")
    first, body, now = connection.path_secret, told("PL000001", "PUP"), NOW
    second = await world.connections.rotate(connection.account, connection.id, overlap_s=3600, now=now)
    for secret, status in ((first, 200), (second.path_secret, 200), ("wrong", 401)):
        assert (await world.push(f"{connection.id}/{secret}", body))[0] == status
    third = await world.connections.rotate(connection.account, connection.id, overlap_s=3600, now=now)
    for secret, status in ((first, 401), (second.path_secret, 200), (third.path_secret, 200)):
        assert (await world.push(f"{connection.id}/{secret}", body))[0] == status
    await world.connections.rotate(connection.account, connection.id, overlap_s=3600, now=now - 3_600_000)
    assert (await world.push(f"{connection.id}/{third.path_secret}", body))[0] == 401
    last = await world.connections.rotate(connection.account, connection.id, overlap_s=0, now=now)
    assert (await world.push(f"{connection.id}/{last.path_secret}", body))[0] == 200
    assert (last.old_secret, last.old_until) == ("", 0)


async def test_the_secret_in_the_address_does_not_replace_the_signature(world: World) -> None:
    connection = await world.connect("signed")
    body = told("SG000001", "PUP")
    assert (await world.push(f"{connection.id}/{connection.path_secret}", body))[0] == 401
    assert (await world.push(f"{connection.id}/{connection.path_secret}", body, **signature(body)))[0] == 200
    assert (await world.push(f"{connection.id}/wrong", body, **signature(body)))[0] == 401


async def test_a_signature_may_be_in_the_query(world: World) -> None:
    connection = await world.connect("queried")
    async with world.client.post(f"/hooks/{connection.id}", params={"sign": SECRET}, data=told("SG000001")) as answer:
        assert answer.status == 200


async def test_scans_of_a_waybill_that_nobody_registered_wait_for_it(world: World) -> None:
    connection = await world.connect("signed")
    assert (await world.push_signed(connection, told("SG000001", "PUP")))[0] == 200
    assert await world.status(await world.follow("SG000001")) is Status.PICKED_UP


async def test_a_connection_may_register_what_it_is_told_of(world: World) -> None:
    connection = await world.connect("signed", auto_register=True)
    assert (await world.push_signed(connection, told("SG000001", "PUP")))[0] == 200
    [id] = await world.store.find("shop", ["SG000001"])
    assert id is not None
    assert await world.status(id) is Status.PICKED_UP


async def test_the_same_push_again_changes_nothing(world: World) -> None:
    connection, id = await world.connect("signed"), await world.follow("SG000001")
    for _ in range(3):
        assert (await world.push_signed(connection, told("SG000001", "PUP")))[0] == 200
    [shipment] = await world.ingest.get("shop", [id])
    assert shipment is not None
    assert (len(shipment.events), shipment.document.revision) == (1, 2)


async def test_many_pushes_at_once_all_come_in(world: World) -> None:
    connection = await world.connect("signed")
    ids = [await world.follow(f"SG{n:06}") for n in range(50)]
    codes = ("PUP", "DLV")
    answers = await asyncio.gather(
        *(world.push_signed(connection, told(f"SG{n:06}", *codes[:k])) for n in range(50) for k in (1, 2))
    )
    assert {status for status, _, _ in answers} == {200}
    assert {await world.status(id) for id in ids} == {Status.DELIVERED}


async def test_a_connection_that_spoke_is_known_to_be_alive(world: World) -> None:
    connection, id = await world.connect("signed"), await world.follow("SG000001")
    await world.push_signed(connection, told("SG000001", "PUP"))
    [shipment] = await world.ingest.get("shop", [id])
    assert shipment is not None
    other = Connections(world.store, Registry(CARRIERS.values()), world.connections._sealer)
    await other.refresh()
    await other.refresh_heard()
    assert other.heard_at(shipment.document) == world.connections.heard_at(shipment.document)
    assert other.heard_at(shipment.document)


# ---------------------------------------------------------------- kept


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe", b"[" * 5000, b"[]", b'{"scans": 3}'])
async def test_a_body_that_nobody_can_read_is_kept_and_acknowledged(world: World, body: bytes) -> None:
    connection = await world.connect("signed")
    status, answer, _ = await world.push_signed(connection, body)
    assert (status, answer) == (200, b'{"ok":true}')
    [(_, entry)], _ = await world.store.quarantined("shop")
    kept = msgspec.json.decode(entry, type=Quarantined)
    assert (kept.raw, kept.carrier, kept.source) == (body, "signed", connection.pushes)
    assert kept.headers["x-signature"] == "(kept back)"
    assert kept.headers["content-type"] == "application/octet-stream"
    assert kept.reason.startswith("$")
    assert world.counts.bad == ["signed"]
    assert world.counts.intakes == [("signed", "quarantined")]


async def test_a_mistake_in_an_adapter_loses_no_body(world: World) -> None:
    connection = await world.connect("signed")
    assert (await world.push_signed(connection, b'{"mistake": true}'))[0] == 200
    [(_, entry)], _ = await world.store.quarantined("shop")
    assert msgspec.json.decode(entry, type=Quarantined).reason == "adapter: RuntimeError"


async def test_more_scans_than_are_kept_of_a_parcel_are_kept_as_a_body(world: World) -> None:
    connection, id = await world.connect("signed"), await world.follow("SG000001")
    scans = [{"at": f"2026-05-05T{n // 60:02}:{n % 60:02}:00+08:00", "code": "PUP"} for n in range(1_001)]
    assert (await world.push_signed(connection, json.dumps({"number": "SG000001", "scans": scans}).encode()))[0] == 200
    [(_, entry)], _ = await world.store.quarantined("shop")
    assert "more scans" in msgspec.json.decode(entry, type=Quarantined).reason
    assert await world.status(id) is Status.PENDING


# ---------------------------------------------------------------- refused


def problem(answer: tuple[int, bytes, str]) -> tuple[int, str]:
    status, body, kind = answer
    assert kind == "application/problem+json"
    details = msgspec.json.decode(body)
    assert details["status"] == status
    assert details["title"]
    assert details["detail"]
    return status, details["code"]


async def test_a_wrong_signature_is_refused_and_nothing_is_read(world: World) -> None:
    connection, id = await world.connect("signed"), await world.follow("SG000001")
    body = told("SG000001", "PUP")
    for headers in ({}, {"X-Signature": "0" * 64}, signature(body + b" "), {"X-Signature": "\udcff"}):
        assert problem(await world.push(connection.id, body, **headers)) == (401, "wrong_signature")
    assert problem(await world.push(connection.id, b"<html>", **signature(body))) == (401, "wrong_signature")
    assert await world.status(id) is Status.PENDING
    assert (await world.store.quarantined("shop"))[0] == []


async def test_an_unknown_or_disabled_or_removed_connection_is_not_found(world: World) -> None:
    assert problem(await world.push("con_0", b"{}")) == (404, "not_found")
    assert problem(await world.push("x", b"{}")) == (404, "not_found")
    disabled, removed = await world.connect("signed", enabled=False), await world.connect("signed")
    await world.connections.remove("shop", removed.id)
    for connection in (disabled, removed):
        assert problem(await world.push_signed(connection, told("SG000001", "PUP"))) == (404, "not_found")


@pytest.mark.parametrize("body", [told("SG000001", "PUP"), told("SG000002", "PUP"), b"<html>"])
async def test_a_push_for_an_account_that_is_being_deleted_is_not_found(world: World, body: bytes) -> None:
    """Whether it is of a known parcel, of an unknown one, or can't be read at all."""
    connection = await world.connect("signed")
    await world.follow("SG000001")
    await world.store.close_account("shop")
    assert problem(await world.push_signed(connection, body)) == (404, "not_found")


async def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    connection = await world.connect("signed")
    fits, large = b"x" * MAX_BODY, b"x" * (MAX_BODY + 1)
    assert (await world.push_signed(connection, fits))[0] == 200
    assert problem(await world.push_signed(connection, large)) == (413, "too_large")

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    async with world.client.post(f"/hooks/{connection.id}", data=in_pieces()) as response:
        assert response.status == 413


async def test_a_push_of_one_account_does_not_touch_anothers_parcel(world: World) -> None:
    id = await world.follow("SG000001")
    foreign = await world.connect("signed", account="other")
    assert (await world.push_signed(foreign, told("SG000001", "DLV")))[0] == 200
    assert await world.status(id) is Status.PENDING


# ---------------------------------------------------------------- not now


class Down:
    """A door whose store has gone."""

    async def receive(self, *args: object, **kwargs: object) -> Received:
        raise StoreDown("connection refused")


@pytest.mark.parametrize(("slug", "answer"), [("signed", b'{"ok":false}'), ("plain", None)])
async def test_without_a_store_the_carrier_hears_no(world: World, slug: str, answer: bytes | None) -> None:
    connection = await world.connect(slug)
    inbound = Inbound(Down(), world.store, world.connections, world.counts)
    app = web.Application()
    app.add_routes(inbound.routes())
    body = told("SG000001", "PUP")
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = server.make_url(f"/hooks/{connection.id}/{connection.path_secret}")
        async with session.post(url, data=body, headers=signature(body)) as response:
            assert response.status == 503
            if answer is None:
                assert problem((503, await response.read(), response.content_type)) == (503, "store_unavailable")
            else:
                assert await response.read() == answer
    assert world.counts.intakes == [(slug, "unavailable")]


# ---------------------------------------------------------------- answers that say more, and the GET before pushes


async def test_an_answer_can_speak_of_the_push_and_of_the_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, body = await world.connect("tried"), told("SG000001", "PUP")
    assert await world.push_signed(connection, body) == (
        200,
        f"{len(body)} bytes at {NOW}: True".encode(),
        "text/plain",
    )

    async def gone(*_: object, **__: object) -> None:
        raise StoreDown("gone")

    monkeypatch.setattr(world.ingest, "receive", gone)
    status, said, _ = await world.push_signed(connection, body)
    assert (status, said) == (503, f"{len(body)} bytes at {NOW}: False".encode())


@pytest.mark.parametrize(
    ("slug", "secret", "query", "status", "said"),
    [
        ("tried", "", "?echo=7", 200, b"7"),
        ("tried", "", "", 401, b"the signature does not fit the query"),
        ("tried", "wrong", "?echo=7", 401, b"the secret in the address is wrong"),
        ("plain", "", "?echo=7", 405, b"plain pushes with POST"),
    ],
)
async def test_a_get_is_answered_where_the_carrier_tries_its_address(
    world: World, slug: str, secret: str, query: str, status: int, said: bytes
) -> None:
    connection = await world.connect(slug)
    path = f"/hooks/{connection.id}/{secret or connection.path_secret}{query}"
    async with world.client.get(path) as response:
        assert response.status == status
        assert said in await response.read()
    assert world.counts.outcomes == []


async def test_a_get_without_the_secret_is_none(world: World) -> None:
    connection = await world.connect("tried")
    for path, status in ((connection.id, 405), (f"con_unknown/{connection.path_secret}", 404)):
        async with world.client.get(f"/hooks/{path}?echo=7") as response:
            assert response.status == status


async def test_a_full_quarantine_turns_rubbish_away_and_nothing_else(world: World) -> None:
    """What was acknowledged stays; what is refused is counted, said in the log's words, and may come again."""
    connection, turned_away = await world.connect("signed"), []
    ward = Ward(world.store, lambda: "", most=1_000, turned_away=lambda: turned_away.append(1))
    app = web.Application()
    app.add_routes(Inbound(world.ingest, ward, world.connections, world.counts).routes())
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = server.make_url(f"/hooks/{connection.id}")

        async def push(body: bytes) -> int:
            async with session.post(url, data=body, headers=signature(body)) as response:
                return response.status

        rubbish = b"<html>" + b"x" * 400
        assert [await push(rubbish) for _ in range(2)] == [200, 503]
        assert (len(turned_away), world.counts.bad) == (1, ["signed"])
        assert await push(told("SG000001")) == 200
        [(id, entry)], _ = await world.store.quarantined("shop")
        assert rubbish.decode() in entry.decode()
        await world.store.release("shop", id)
        assert await push(rubbish) == 200


async def test_while_the_disk_is_nearly_full_rubbish_is_not_kept_and_not_acknowledged(world: World) -> None:
    connection, full = await world.connect("signed"), ["5 MiB free beside the log"]
    ward = Ward(world.store, lambda: full[-1])
    app = web.Application()
    app.add_routes(Inbound(world.ingest, ward, world.connections, world.counts).routes())
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = server.make_url(f"/hooks/{connection.id}")
        async with session.post(url, data=b"<html>", headers=signature(b"<html>")) as response:
            assert response.status == 503
        assert (await world.store.quarantined("shop"))[0] == []
        full.append("")
        async with session.post(url, data=b"<html>", headers=signature(b"<html>")) as response:
            assert response.status == 200
        assert len((await world.store.quarantined("shop"))[0]) == 1
