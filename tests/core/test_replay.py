"""A replay over the real store: what is read again, what is written, and what is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from msgspec import structs

from carriers.sdk import Carrier, Certainty, M, Meaning, Moment, ParseError, Report, Scan
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.errors import BadInput
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.model import Shipment
from tracker.quarantine import quarantined
from tracker.replay import Page, Replay, Wanted, correction_view
from tracker.secrets import Sealer, new_key
from tracker.store import Store

NOW = 1_790_000_000_000
WRONG: dict[str, Meaning] = {"PUP": M.PICKED_UP, "LOC": M.DELIVERED}
RIGHT: dict[str, Meaning] = {"PUP": M.PICKED_UP, "LOC": M.AVAILABLE_FOR_PICKUP}


def lines(body: bytes, content_type: str) -> list[Report]:
    """`WAYBILL CODE` in each line."""
    if not body.isascii():
        raise ParseError("$", "not ASCII")
    pairs = [line.split() for line in body.decode().splitlines()]
    return [Report(waybill=waybill, scans=(scan(code),)) for waybill, code in pairs]


def scan(code: str, hour: int = 0) -> Scan:
    return Scan(time=Moment(NOW // 1000 - 86_400 + hour * 3600, 480, Certainty.GIVEN), code=code)


class Registry:
    """Two carriers with a table that can be corrected."""

    def __init__(self) -> None:
        acme = Carrier(slug="acme", name="Acme", docs="https://a.example", milestones=WRONG, parse=lines)
        self.carriers = {"acme": acme, "bolt": structs.replace(acme, slug="bolt")}

    def get(self, slug: str) -> Carrier | None:
        return self.carriers.get(slug)

    def known(self) -> Collection[str]:
        return self.carriers.keys()

    def correct(self, slug: str = "acme", table: Mapping[str, Meaning] = RIGHT) -> None:
        self.carriers[slug] = structs.replace(self.carriers[slug], milestones=table)


class World:
    """The parts that a replay joins."""

    def __init__(self, store: Store) -> None:
        self.store, self.registry = store, Registry()
        self.connections = Connections(store, self.registry, Sealer([new_key()]))
        self.ingest = Ingest(store, self.registry, due=lambda shipment, now: None)
        self.replay = Replay(self.ingest, store, self.connections, self.registry)

    async def connect(self, slug: str = "acme", **said: Any) -> Connection:
        return await self.connections.create("shop", carrier=slug, now=NOW, **said)

    async def parcel(self, waybill: str, connection: Connection, *codes: str) -> str:
        wanted = Registration(waybill=waybill, carrier=connection.carrier)
        [done] = await self.ingest.register("shop", [wanted], now=NOW)
        assert done.shipment
        await self.hear(waybill, connection, *codes)
        return done.shipment.document.id

    async def hear(self, waybill: str, connection: Connection, *codes: str) -> None:
        carrier = self.registry.get(connection.carrier)
        assert carrier
        told = Report(waybill=waybill, scans=tuple(scan(code, hour) for hour, code in enumerate(codes)))
        await self.ingest.receive("shop", connection.pushes, carrier, [told], fingerprint="f0", now=NOW)

    async def get(self, id: str) -> Shipment:
        [shipment] = await self.ingest.get("shop", [id])
        assert shipment
        return shipment

    async def run(self, account: str = "shop", **wanted: Any) -> list[Page]:
        """Page after page until the end."""
        pages: list[Page] = []
        cursor = None
        while not pages or cursor is not None:
            asked = Wanted(cursor=cursor, **wanted)
            pages.append(await self.replay.page(account, asked, now=NOW + 60_000))
            cursor = pages[-1].cursor
        return pages

    async def corrected(self, **wanted: Any) -> list[str]:
        """The waybills that a whole replay corrects."""
        pages = await self.run(**wanted)
        return sorted(after.document.waybill for page in pages for _, after in page.corrections)

    async def feed(self) -> list[tuple[int, str]]:
        page = await self.store.changes("shop", None, 500)
        return [(entry.revision, entry.kind) for entry in page.entries]

    async def quarantine(self, connection: Connection, body: bytes, *, polled: bool = False) -> str:
        source = connection.polls if polled else connection.pushes
        entry = quarantined(connection.carrier, source, body, {"content-type": "x"}, reason="", now=NOW - 3_600_000)
        return await self.store.quarantine("shop", entry.encode())


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


# ------------------------------------------------------------ shipments


async def test_only_what_reads_otherwise_is_written_and_once(world: World) -> None:
    acme = await world.connect()
    wrong = await world.parcel("W00001", acme, "PUP", "LOC")
    right = await world.parcel("W00002", acme, "PUP")
    world.registry.correct()
    assert await world.corrected() == ["W00001"]
    shipment, other = await world.get(wrong), await world.get(right)
    assert (shipment.status, shipment.document.revision) == ("available_for_pickup", 3)
    assert (other.status, other.document.revision) == ("picked_up", 2)
    before = await world.feed()
    assert (3, "corrected") in before
    assert await world.corrected() == []
    assert await world.feed() == before


async def test_a_dry_run_says_the_same_and_writes_nothing(world: World, store: Store) -> None:
    id = await world.parcel("W00001", await world.connect(), "PUP", "LOC")
    world.registry.correct()
    [stored] = await store.read([id])
    [_, page] = await world.run(dry_run=True)
    assert [correction_view(pair) for pair in page.corrections] == [
        {
            "shipment_id": id,
            "waybill": "W00001",
            "carrier": "acme",
            "status": {"was": "delivered", "is": "available_for_pickup"},
            "events": [
                {
                    "occurred_at": "2026-09-20T15:13:20+08:00",
                    "code": "LOC",
                    "description": None,
                    "was": {"milestone": "delivered", "reason": None},
                    "is": {"milestone": "available_for_pickup", "reason": None},
                }
            ],
        }
    ]
    assert await store.read([id]) == [stored]


async def test_pages_cover_every_shipment_once_open_and_closed(world: World) -> None:
    acme = await world.connect()
    for number in range(25):
        await world.parcel(f"W{number:05}", acme, *(["PUP", "LOC"] if number % 3 == 0 else ["PUP"]))
    world.registry.correct()
    pages = await world.run(limit=4, dry_run=True)
    assert sum(page.looked_at for page in pages) == 25
    assert len(pages) == 8  # one for the quarantine, six full ones, the rest
    assert await world.corrected(limit=4) == [f"W{number:05}" for number in range(0, 25, 3)]


async def test_a_replay_that_stops_after_some_corrections_goes_on_where_it_stopped(world: World) -> None:
    acme = await world.connect()
    for number in range(12):
        await world.parcel(f"W{number:05}", acme, "LOC")
    world.registry.correct()
    pages = await world.run(most=5)
    assert [len(page.corrections) for page in pages] == [0, 5, 5, 2]
    assert await world.corrected() == []


async def test_a_replay_that_was_cut_off_is_finished_by_the_next(world: World) -> None:
    acme = await world.connect()
    for number in range(10):
        await world.parcel(f"W{number:05}", acme, "LOC")
    world.registry.correct()
    await world.replay.page("shop", Wanted(cursor="s.", limit=4), now=NOW)
    assert len(await world.corrected()) == 6


async def test_two_replays_at_once_make_one_change(world: World) -> None:
    acme = await world.connect()
    ids = [await world.parcel(f"W{number:05}", acme, "LOC") for number in range(8)]
    world.registry.correct()
    await asyncio.gather(*(world.run() for _ in range(4)))
    assert [(await world.get(id)).document.revision for id in ids] == [3] * 8


async def test_scans_that_arrive_meanwhile_are_kept(world: World) -> None:
    acme = await world.connect()
    ids = [await world.parcel(f"W{number:05}", acme, "LOC") for number in range(8)]
    world.registry.correct()
    await asyncio.gather(world.run(), *(world.hear(f"W{number:05}", acme, "LOC", "PUP") for number in range(8)))
    for id in ids:
        shipment = await world.get(id)
        assert [(event.code, event.milestone) for event in shipment.events] == [
            ("LOC", M.AVAILABLE_FOR_PICKUP),
            ("PUP", M.PICKED_UP),
        ]


async def test_one_carriers_replay_leaves_the_others_scans_alone(world: World) -> None:
    acme, bolt = await world.connect(), await world.connect("bolt")
    await world.parcel("W00001", acme, "LOC")
    await world.parcel("W00002", bolt, "LOC")
    world.registry.correct()
    world.registry.correct("bolt")
    assert await world.corrected(carrier="bolt") == ["W00002"]
    with pytest.raises(BadInput, match="'cole' has no adapter here"):
        await world.run(carrier="cole")


async def test_the_table_is_that_of_the_source_and_not_of_the_shipments_carrier(world: World) -> None:
    bolt = await world.connect("bolt")
    id = await world.parcel("W00001", bolt, "LOC")
    await world.ingest.correct_carrier("shop", id, "acme", now=NOW)
    world.registry.correct("acme", {"LOC": M.NOTE})
    assert await world.corrected() == []
    world.registry.correct("bolt")
    assert await world.corrected() == ["W00001"]


async def test_what_a_removed_connection_told_keeps_its_reading(world: World) -> None:
    acme = await world.connect()
    await world.parcel("W00001", acme, "LOC")
    await world.connections.remove("shop", acme.id)
    world.registry.correct()
    assert await world.corrected() == []


async def test_a_replay_stays_in_its_account(world: World) -> None:
    await world.parcel("W00001", await world.connect(), "LOC")
    world.registry.correct()
    assert [page.looked_at for page in await world.run("another")] == [0, 0]
    assert await world.corrected() == ["W00001"]


async def test_a_parked_scan_is_read_by_the_table_of_the_day_of_its_registration(world: World) -> None:
    acme = await world.connect()
    await world.hear("W00001", acme, "LOC")
    world.registry.correct()
    shipment = await world.get(await world.parcel("W00001", acme))
    assert shipment.status == "available_for_pickup"


@pytest.mark.parametrize("cursor", ["x.", "s.!", "q.!", "nonsense"])
async def test_a_cursor_of_another_list_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await world.replay.page("shop", Wanted(cursor=cursor), now=NOW)


# ------------------------------------------------------------ quarantine


async def test_a_body_that_can_be_read_now_leaves_the_quarantine_and_the_others_stay(
    world: World, store: Store
) -> None:
    acme = await world.connect()
    id = await world.parcel("W00001", acme, "PUP")
    readable = await world.quarantine(acme, b"W00001 LOC")
    other = await world.quarantine(acme, "W00001 签收".encode())
    broken = await world.quarantine(acme, b"one word too many")
    foreign = await store.quarantine("shop", b'{"no": "entry of ours"}')
    [dry, *_] = await world.run(dry_run=True)
    assert (dry.read, dry.unreadable) == ((readable,), 3)
    assert len((await store.quarantined("shop"))[0]) == 4
    [page, *_] = await world.run()
    assert (page.read, page.unreadable) == ((readable,), 3)
    assert {kept for kept, _ in (await store.quarantined("shop"))[0]} == {other, broken, foreign}
    shipment = await world.get(id)
    assert [(event.code, event.heard_at) for event in shipment.events if event.code == "LOC"] == [
        ("LOC", NOW - 3_600_000)
    ]
    assert shipment.document.updated_at == NOW + 60_000
    before = await world.feed()
    await world.run()
    assert await world.feed() == before


async def test_a_body_that_was_read_and_not_released_is_read_again_without_a_change(world: World, store: Store) -> None:
    acme = await world.connect()
    await world.parcel("W00001", acme, "PUP")
    await world.quarantine(acme, b"W00001 LOC")
    await world.run()
    before = await world.feed()
    await world.quarantine(acme, b"W00001 LOC")
    await world.run()
    assert await world.feed() == before
    assert await store.quarantined("shop") == ([], None)


async def test_an_old_body_follows_waybills_only_where_its_connection_does(world: World, store: Store) -> None:
    shy, eager = await world.connect(), await world.connect(auto_register=True)
    await world.quarantine(shy, b"W00001 LOC")
    await world.quarantine(eager, b"W00002 LOC")
    await world.quarantine(eager, b"W00003 LOC", polled=True)
    await world.run()
    found = await store.find("shop", ["W00001", "W00002", "W00003"])
    assert [id is not None for id in found] == [False, True, False]
    assert len(await store.parked("shop", "W00001")) == 1


async def test_a_long_quarantine_is_walked_through_whole(world: World, store: Store) -> None:
    acme, bolt = await world.connect(), await world.connect("bolt")
    for number in range(25):
        await world.quarantine(acme if number % 5 else bolt, b"W%05d LOC" % number)
    assert sum(len(page.read) for page in await world.run(carrier="acme")) == 20
    assert sum(len(page.read) for page in await world.run()) == 5
    assert await store.quarantined("shop") == ([], None)
