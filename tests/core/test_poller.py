"""The agenda and the poller over the real store and the real door, against carriers on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec import structs

from carriers.registry import Registry
from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
    M,
    Problem,
    ProblemKind,
    Reply,
    Report,
    Scan,
    moment_at,
    object_of,
    read_json,
    rows_at,
    text_at,
)
from tests.core.answers import hangs, says
from tracker.agenda import Agenda, AgendaSettings, Schedule, Settling
from tracker.carrier_http.exits import Exits
from tracker.carrier_http.patience import Policy
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.errors import BadInput
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.model import ChangeKind, Details, Document, Shipment, Status
from tracker.poller.means import PollSettings
from tracker.poller.queues import Poller
from tracker.quarantine import Quarantined, Ward
from tracker.secrets import Sealer, new_key
from tracker.stall import DEFAULT, Stage, StallPolicy
from tracker.store import Store
from tracker.store.types import DueItem
from tracker.watch import Watch

HOUR = 3_600
QUICK = Policy(attempt_s=0.5, deadline_s=1.0, attempts=2, retry_wait_s=0.01, failures=3, open_s=0.2, limited_s=1.0)


# ---------------------------------------------------------------- an invented carrier


async def fetch(http: Http, asks: Sequence[Ask]) -> Sequence[Reply]:
    body = json.dumps([ask.number for ask in asks]).encode()
    return [await http.request("POST", "/track", data=body)]


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> Mapping[str, str]:
    body = json.dumps({"numbers": [ask.number for ask in asks], "callback": callback}).encode()
    await http.request("POST", "/subscribe", data=body)
    return {}


def parse(body: bytes, content_type: str) -> Sequence[Report]:
    root = object_of(read_json(body), "$")
    if "problem" in root:
        return [Report(waybill="", problem=Problem(ProblemKind(text_at(root, "problem", "$")), "no"))]
    return [_report(row, f"$.parcels[{place}]") for place, row in enumerate(rows_at(root, "parcels", "$"))]


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "number", path)
    if "problem" in row:
        return Report(waybill=waybill, problem=Problem(ProblemKind(text_at(row, "problem", path)), "no"))
    scans = [
        Scan(time=moment_at(scan, "at", path), code=text_at(scan, "code", path)) for scan in rows_at(row, "scans", path)
    ]
    return Report(waybill=waybill, scans=tuple(scans))


def explodes(body: bytes, content_type: str) -> Sequence[Report]:
    raise RuntimeError("a mistake in the adapter")


ACME = Carrier(
    slug="acme",
    name="Acme Post",
    docs="https://acme.example/docs",
    milestones={"PUP": M.PICKED_UP, "OFD": M.OUT_FOR_DELIVERY, "DLV": M.DELIVERED},
    parse=parse,
    fetch=fetch,
    batch=40,
    rate=1_000.0,
)
CARRIERS = {
    carrier.slug: carrier
    for carrier in (
        ACME,
        structs.replace(ACME, slug="slow"),
        structs.replace(ACME, slug="rare", rate=2.0, batch=2),
        structs.replace(ACME, slug="broken", parse=explodes),
        structs.replace(ACME, slug="needy", needs=lambda ask: "" if ask.phone_tail else "phone_tail"),
        structs.replace(ACME, slug="pushy", fetch=None, subscribe=subscribe),
        structs.replace(ACME, slug="mute", fetch=None),
        structs.replace(ACME, slug="keyed", credentials=[Credential("app_key", "from the console")]),
        structs.replace(ACME, slug="hub", aggregator=True, carriers={"c-post": "courier-post"}),
        structs.replace(ACME, slug="second", aggregator=True, carriers={"acme": "acme"}),
    )
}


class Peer:
    """The carriers' computer: answers of each carrier by slug, what it was asked, and parcels by number."""

    def __init__(self) -> None:
        self.parcels: dict[str, list[dict[str, str]]] = {}
        self.answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}
        self.asked: dict[str, list[list[str]]] = {}
        self.subscribed: list[Any] = []

    async def track(self, request: web.Request) -> web.StreamResponse:
        slug, numbers = request.match_info["slug"], await request.json()
        self.asked.setdefault(slug, []).append(numbers)
        if slug in self.answers:
            return await self.answers[slug](request)
        return web.json_response(
            {
                "parcels": [
                    {"number": n, "scans": self.parcels[n]}
                    if n in self.parcels
                    else {"number": n, "problem": "not_found"}
                    for n in numbers
                ]
            }
        )

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        self.subscribed.append(await request.json())
        return web.Response()

    def numbers(self, slug: str) -> list[str]:
        return [number for numbers in self.asked.get(slug, []) for number in numbers]


def scan(code: str, ago_s: float = 60) -> dict[str, str]:
    return {"code": code, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))}


class Counts:
    """What was counted."""

    def __init__(self) -> None:
        self.polls: list[tuple[str, str, int]] = []
        self.bad: list[str] = []
        self.open: dict[str, bool] = {}
        self.kinds: list[ChangeKind] = []

    def polled(self, carrier: str, outcome: str, waybills: int, seconds: float) -> None:
        self.polls.append((carrier, outcome, waybills))

    def quarantined(self, carrier: str) -> None:
        self.bad.append(carrier)

    def breaker(self, connection: str, open: bool) -> None:
        self.open[connection] = open

    def unknown(self, document: Document, carrier: str, code: str, text: str) -> None:
        raise AssertionError(code)

    def committed(self, kinds: Sequence[ChangeKind]) -> None:
        self.kinds += kinds

    def outcomes(self, carrier: str) -> list[str]:
        return [outcome for slug, outcome, _ in self.polls if slug == carrier]


class World:
    """Everything between the store and the carriers' computer."""

    def __init__(self, store: Store, session: aiohttp.ClientSession, base: str, peer: Peer) -> None:
        self.store, self.base, self.peer, self.counts = store, base, peer, Counts()
        self.sealer = Sealer([new_key()])
        self.connections = Connections(store, Registry(CARRIERS.values()), self.sealer)
        self.schedule = Schedule(self.connections, StallPolicy())
        self.ingest = Ingest(
            store, Registry(CARRIERS.values()), due=self.schedule.due, counters=self.counts, unknown=self.counts.unknown
        )
        watch = Watch(self.ingest, StallPolicy(), self.connections.heard_at)
        self.settling = Remembering(store)
        self.poller = Poller(
            self.ingest,
            store,
            self.connections,
            self.schedule,
            watch,
            self.settling,
            Exits(session, policy=QUICK, observer=self.counts),
            observer=self.counts,
            callback=lambda connection: f"https://us.example/hooks/{connection.id}",
            settings=PollSettings(horizon_s=5),
        )
        self.watch = watch
        self.agenda = self.new_agenda()

    def new_agenda(self) -> Agenda:
        settings = AgendaSettings(idle_s=0.02)
        return Agenda(
            self.store, self.connections, self.schedule, self.watch, self.poller, self.settling, settings=settings
        )

    async def connect(self, slug: str, account: str = "shop") -> Connection:
        return await self.connections.create(account, carrier=slug, base=f"{self.base}{slug}", now=time.time_ns())

    async def follow(self, *waybills: str, carrier: str = "acme", ago_s: float = 0, **details: Any) -> list[str]:
        now = round((time.time() - ago_s) * 1000)
        wanted = [Registration(waybill=w, carrier=carrier, details=Details(**details)) for w in waybills]
        done = await self.ingest.register("shop", wanted, now=now)
        return [one.shipment.document.id for one in done if one.shipment]

    async def shipment(self, id: str) -> Shipment:
        [found] = await self.ingest.get("shop", [id])
        assert found is not None
        return found

    async def until(self, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        """Let the agenda run until something holds, then stop it and let it settle."""
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
            tasks.create_task(self.agenda.run())
            try:
                while not holds():
                    await asyncio.sleep(0.01)
            finally:
                self.agenda.stop()
        self.agenda = self.new_agenda()

    def next_look(self, id: str) -> float:
        """Seconds from now at which the shipment was last settled to be looked at again."""
        due = self.settling.settled[id]
        assert due is not None
        return due / 1000 - time.time()


class Remembering(Settling):
    """Settles, and remembers what."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.settled: dict[str, int | None] = {}
        self.flushes: list[int] = []

    def settle(self, item: DueItem, due: int | None) -> None:
        self.settled[item.id] = due
        super().settle(item, due)

    async def flush(self) -> None:
        self.flushes.append(len(self._waiting))
        await super().flush()


@pytest.fixture
async def world(store: Store) -> AsyncIterator[World]:
    peer = Peer()
    app = web.Application()
    app.router.add_post("/{slug}/track", peer.track)
    app.router.add_post("/{slug}/subscribe", peer.subscribe)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield World(store, session, str(server.make_url("/")), peer)


# ---------------------------------------------------------------- asking


async def test_a_new_shipment_is_asked_for_at_once_and_its_scans_come_in(world: World) -> None:
    connection = await world.connect("acme")
    [id] = await world.follow("AC000001")
    world.peer.parcels["AC000001"] = [scan("PUP")]
    await world.until(lambda: ChangeKind.PICKED_UP in world.counts.kinds)
    shipment = await world.shipment(id)
    assert shipment.status is Status.PICKED_UP
    assert shipment.events[0].sources == (connection.polls,)
    assert id not in world.settling.settled, "the commit itself said when to look again"


async def test_many_shipments_are_asked_for_in_batches_and_settled_together(world: World) -> None:
    await world.connect("acme")
    numbers = [f"AC{n:06}" for n in range(200)]
    world.peer.parcels = {number: [] for number in numbers}
    ids = await world.follow(*numbers)
    await world.until(lambda: len(world.peer.numbers("acme")) >= 200)
    assert sorted(world.peer.numbers("acme")) == numbers
    assert max(len(asked) for asked in world.peer.asked["acme"]) == 40
    assert world.settling.settled.keys() == set(ids)
    assert len([size for size in world.settling.flushes if size]) <= 6


async def test_a_poll_that_brings_nothing_new_writes_nothing_and_says_nothing(world: World) -> None:
    await world.connect("acme")
    world.peer.parcels["AC000001"] = [scan("PUP")]
    [id] = await world.follow("AC000001")
    await world.until(lambda: ChangeKind.PICKED_UP in world.counts.kinds)
    before, [stored] = len(world.counts.kinds), await world.store.read([id])
    await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    [retracked] = await world.store.read([id])
    await world.until(lambda: id in world.settling.settled)
    assert len(world.peer.asked["acme"]) == 2
    assert len(world.counts.kinds) == before
    assert await world.store.read([id]) == [retracked]
    assert stored is not None
    assert 1 * HOUR < world.next_look(id) < 5 * HOUR


async def test_a_number_that_the_carrier_does_not_know_is_asked_for_again(world: World) -> None:
    await world.connect("acme")
    [id] = await world.follow("AC000404")
    await world.until(lambda: world.counts.outcomes("acme") == ["answered"])
    assert (await world.shipment(id)).status is Status.PENDING
    await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    await world.until(lambda: id in world.settling.settled)
    assert 1 * HOUR < world.next_look(id) < 5 * HOUR


async def test_a_delivered_parcel_is_asked_for_no_more(world: World) -> None:
    await world.connect("acme")
    world.peer.parcels["AC000001"] = [scan("PUP"), scan("DLV", 30)]
    [id] = await world.follow("AC000001")
    await world.until(lambda: ChangeKind.DELIVERED in world.counts.kinds)
    assert world.schedule.due(await world.shipment(id), round(time.time() * 1000)) is None


async def test_a_parcel_of_an_unknown_courier_is_asked_for_over_the_aggregator(world: World) -> None:
    await world.connect("acme")
    await world.connect("hub")
    world.peer.parcels["CP000001"] = [scan("PUP")]
    await world.follow("CP000001", carrier="courier-post")
    await world.until(lambda: ChangeKind.PICKED_UP in world.counts.kinds)
    assert world.peer.numbers("hub") == ["CP000001"]


async def test_what_a_carrier_says_of_other_numbers_is_not_taken_in(world: World) -> None:
    await world.connect("acme")
    row = {"number": "ac-000001", "scans": [scan("PUP")]}
    world.peer.answers["acme"] = says(200, json.dumps({"parcels": [row, {**row, "number": "XX999999"}]}))
    await world.follow("AC000001")
    await world.until(lambda: ChangeKind.PICKED_UP in world.counts.kinds)
    assert await world.store.parked("shop", "XX999999") == []


async def test_a_registration_that_lacks_what_the_carrier_needs_is_not_asked_for(world: World) -> None:
    await world.connect("needy")
    [id] = await world.follow("AC000001", carrier="needy", phone_tail="0000")
    await world.ingest.amend(
        "shop", id, lambda doc: structs.replace(doc, details=Details()), now=round(time.time() * 1000)
    )
    await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    await world.until(lambda: id in world.settling.settled)
    assert world.peer.asked == {}


# ---------------------------------------------------------------- routes


async def test_without_a_connection_a_new_shipment_is_looked_at_again_soon(world: World) -> None:
    [id] = await world.follow("AC000001")
    await world.until(lambda: id in world.settling.settled)
    assert world.next_look(id) <= 15 * 60


async def test_where_the_carrier_only_pushes_the_stall_deadline_is_next(world: World) -> None:
    await world.connect("mute")
    [id] = await world.follow("AC000001", carrier="mute")
    await world.until(lambda: id in world.settling.settled)
    assert world.next_look(id) == pytest.approx(DEFAULT[Stage.REGISTERED], abs=5)


async def test_a_carrier_that_wants_to_be_told_is_told_where_to_push(world: World) -> None:
    connection = await world.connect("pushy")
    ids = await world.follow("AC000001", "AC000002", carrier="pushy")
    await world.until(lambda: len(world.settling.settled) == 2)
    told = {number for call in world.peer.subscribed for number in call["numbers"]}
    assert told == {"AC000001", "AC000002"}
    assert world.peer.subscribed[0]["callback"] == f"https://us.example/hooks/{connection.id}"
    assert set(ids) == world.settling.settled.keys()


async def test_a_disabled_connection_is_not_asked_over(world: World) -> None:
    connection = await world.connect("acme")
    await world.connections.amend("shop", connection.id, enabled=False)
    [id] = await world.follow("AC000001")
    await world.until(lambda: id in world.settling.settled)
    assert world.peer.asked == {}


async def test_the_connection_that_a_registration_names_is_the_route(world: World) -> None:
    first, second = await world.connect("acme"), await world.connect("acme")
    world.peer.parcels = {"AC000001": [scan("PUP")], "AC000002": [scan("PUP")]}
    ids = await world.follow("AC000001") + await world.follow("AC000002", connection=second.id)
    await world.until(lambda: world.counts.kinds.count(ChangeKind.PICKED_UP) == 2)
    sources = [(await world.shipment(id)).events[0].sources[0] for id in ids]
    assert sources == [first.polls, second.polls]


# ---------------------------------------------------------------- carriers that misbehave


@pytest.mark.parametrize(
    ("answer", "outcome", "pause_s"),
    [
        (says(500, "oops"), "unavailable", 300),
        (says(401, "who?"), "refused", 900),
        (says(429, "", Retry_After="77"), "limited", 77),
        (hangs, "unavailable", 300),
        (says(200, "<html>maintenance</html>"), "unreadable", 300),
        (says(200, "\x00\x01"), "unreadable", 300),
        (says(200, '{"problem": "refused"}'), "refused", 900),
        (says(200, '{"problem": "limited"}'), "limited", 60),
        (says(200, '{"problem": "unavailable"}'), "unavailable", 300),
    ],
)
async def test_a_carrier_that_misbehaves_is_left_alone_for_a_while(
    world: World, answer: Callable[[web.Request], Awaitable[web.StreamResponse]], outcome: str, pause_s: float
) -> None:
    await world.connect("acme")
    await world.connect("slow")
    world.peer.answers["slow"] = answer
    world.peer.parcels["AC000001"] = [scan("PUP")]
    [id] = await world.follow("SL000001", carrier="slow")
    [_] = await world.follow("AC000001")
    await world.until(lambda: id in world.settling.settled and ChangeKind.PICKED_UP in world.counts.kinds)
    assert world.counts.outcomes("slow") == [outcome]
    assert world.counts.outcomes("acme") == ["answered"]
    assert world.next_look(id) == pytest.approx(pause_s, abs=3)


async def test_an_answer_that_nobody_can_read_is_kept_whole(world: World) -> None:
    connection = await world.connect("acme")
    world.peer.answers["acme"] = says(200, "<html>维护中</html>", Content_Type="text/html")
    await world.follow("AC000001")
    await world.until(lambda: world.counts.bad == ["acme"])
    [(_, entry)], _ = await world.store.quarantined("shop")
    kept = msgspec.json.decode(entry, type=Quarantined)
    assert kept.raw == "<html>维护中</html>".encode()
    assert (kept.source, kept.status) == (connection.polls, 200)
    assert "HTML" in kept.reason


async def test_an_answer_for_which_there_is_no_room_is_asked_for_again(world: World) -> None:
    """It was not acknowledged to anybody: the carrier is left alone for a while as ever, and nothing is kept."""
    await world.connect("acme")
    world.poller.means.store = Ward(world.store, lambda: "", most=10)
    world.peer.answers["acme"] = says(200, "<html>维护中</html>", Content_Type="text/html")
    [id] = await world.follow("AC000001")
    await world.until(lambda: id in world.settling.settled)
    assert (world.counts.outcomes("acme"), world.counts.bad) == (["unreadable"], [])
    assert await world.store.quarantined("shop") == ([], None)
    assert world.next_look(id) > 60


async def test_a_mistake_in_an_adapter_harms_no_other(world: World) -> None:
    await world.connect("broken")
    await world.connect("acme")
    world.peer.parcels["AC000001"] = [scan("PUP")]
    [id] = await world.follow("BR000001", carrier="broken")
    await world.follow("AC000001")
    await world.until(lambda: id in world.settling.settled and ChangeKind.PICKED_UP in world.counts.kinds)
    assert world.counts.outcomes("broken") == ["broken"]


async def test_a_slow_carrier_delays_no_other(world: World) -> None:
    await world.connect("slow")
    await world.connect("acme")
    world.peer.answers["slow"] = hangs
    await world.follow(*(f"SL{n:06}" for n in range(400)), carrier="slow")
    numbers = [f"AC{n:06}" for n in range(200)]
    world.peer.parcels = {number: [scan("PUP")] for number in numbers}
    await world.follow(*numbers)
    started = time.monotonic()
    await world.until(lambda: world.counts.kinds.count(ChangeKind.PICKED_UP) == 200)
    assert time.monotonic() - started < 3


async def test_a_queue_holds_no_more_than_its_connection_can_do(world: World) -> None:
    await world.connect("rare")
    ids = await world.follow(*(f"RA{n:06}" for n in range(100)), carrier="rare")
    await world.until(lambda: len(world.peer.numbers("rare")) >= 4)
    later = [due for due in world.settling.settled.values() if due and due / 1000 - time.time() < HOUR]
    assert len(world.settling.settled) >= 80
    assert len(ids) - len(world.peer.numbers("rare")) <= len(later) + 4
    assert len(set(later)) > 20, "they come back one after the other"


async def test_the_breaker_opens_and_heals_and_the_parcels_come_in(world: World) -> None:
    connection = await world.connect("acme")
    world.poller.means.settings = structs.replace(world.poller.means.settings, backoff_s=0.05)
    numbers = [f"AC{n:06}" for n in range(3)]
    world.peer.parcels = {number: [scan("PUP")] for number in numbers}
    world.peer.answers["acme"] = says(500, "oops")
    await world.follow(*numbers)
    await world.until(lambda: world.counts.open.get(connection.id, False))
    del world.peer.answers["acme"]
    await world.until(lambda: world.counts.kinds.count(ChangeKind.PICKED_UP) == 3)
    assert world.counts.open == {connection.id: False}


# ---------------------------------------------------------------- the watch


async def test_a_parcel_that_stopped_moving_is_flagged_once(world: World) -> None:
    await world.connect("acme")
    long_ago = DEFAULT[Stage.PICKED_UP] + 2 * HOUR
    world.peer.parcels["AC000001"] = [scan("PUP", long_ago)]
    [id] = await world.follow("AC000001", ago_s=long_ago)
    await world.until(lambda: ChangeKind.STALLED in world.counts.kinds)
    stall = (await world.shipment(id)).document.stall
    assert stall is not None
    assert (stall.milestone, stall.limit) == (M.PICKED_UP, DEFAULT[Stage.PICKED_UP])
    await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    await world.until(lambda: id in world.settling.settled)
    assert world.counts.kinds.count(ChangeKind.STALLED) == 1
    world.peer.parcels["AC000001"] += [scan("OFD")]
    await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    await world.until(lambda: ChangeKind.MOVING_AGAIN in world.counts.kinds)


async def test_a_push_of_old_news_is_flagged_without_asking(world: World) -> None:
    connection = await world.connect("acme")
    long_ago = DEFAULT[Stage.PICKED_UP] + 2 * HOUR
    [id] = await world.follow("AC000001", ago_s=long_ago)
    body = json.dumps({"parcels": [{"number": "AC000001", "scans": [scan("PUP", long_ago)]}]}).encode()
    now = round(time.time() * 1000)
    await world.ingest.receive("shop", connection.pushes, ACME, parse(body, ""), fingerprint="f", now=now)
    await world.connections.note_heard(connection, now=now)
    await world.until(lambda: ChangeKind.STALLED in world.counts.kinds)
    assert world.peer.asked == {}
    assert (await world.shipment(id)).document.stall is not None


async def test_a_parcel_whose_carrier_is_silent_is_not_flagged(world: World) -> None:
    await world.connect("acme")
    world.peer.answers["acme"] = says(500, "oops")
    [id] = await world.follow("AC000001", ago_s=DEFAULT[Stage.REGISTERED] + HOUR)
    await world.until(lambda: id in world.settling.settled)
    assert ChangeKind.STALLED not in world.counts.kinds
    del world.peer.answers["acme"]
    await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    await world.until(lambda: ChangeKind.STALLED in world.counts.kinds)


async def test_silence_for_long_enough_is_final(world: World) -> None:
    await world.connect("mute")
    [id] = await world.follow("AC000001", carrier="mute", ago_s=31 * 24 * HOUR)
    await world.until(lambda: ChangeKind.EXPIRED in world.counts.kinds)
    assert (await world.shipment(id)).status is Status.EXPIRED


# ---------------------------------------------------------------- connections


async def test_what_a_connection_holds_is_sealed_in_the_store(world: World) -> None:
    made = await world.connect("acme")
    [value] = (await world.store.records("connection")).values()
    assert made.path_secret.encode() not in value
    assert len(made.path_secret) >= 32
    assert made.path_secret not in repr(made)
    assert await world.connections.get("shop", made.id) == made
    assert await world.connections.get("other", made.id) is None


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"carrier": "nobody"}, "carrier"),
        ({"carrier": "keyed"}, "credentials.app_key"),
        ({"carrier": "keyed", "credentials": {"app_key": " "}}, "credentials.app_key"),
        ({"carrier": "keyed", "credentials": {"app_key": "k", "app_kee": "k"}}, "credentials.app_kee"),
        ({"carrier": "acme", "base": "ftp://acme.example"}, "base"),
        ({"carrier": "acme", "base": "https://"}, "base"),
    ],
)
async def test_a_wrong_connection_is_refused_by_the_name_of_its_field(
    world: World, said: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInput) as caught:
        await world.connections.create("shop", **said, now=1)
    assert caught.value.field == field
    assert await world.store.records("connection") == {}


async def test_a_change_by_another_process_is_seen(world: World, store: Store) -> None:
    made = await world.connect("acme")
    other = Connections(store, Registry(CARRIERS.values()), world.sealer)
    assert (await other.find(made.id)) == made
    await world.connections.remove("shop", made.id)
    await other.refresh()
    assert await other.find(made.id) is None


# ---------------------------------------------------------------- several routes


async def test_where_the_first_routes_peer_is_killed_the_next_is_asked_and_the_timeline_is_one(world: World) -> None:
    app = web.Application()
    app.router.add_post("/{slug}/track", world.peer.track)
    first = TestServer(app)
    await first.start_server()
    own = await world.connections.create("shop", carrier="acme", base=str(first.make_url("/acme")), now=1)
    other = await world.connect("second")
    [id] = await world.follow("AC000001")
    world.peer.parcels["AC000001"] = [scan("PUP", 600)]
    await world.until(lambda: ChangeKind.PICKED_UP in world.counts.kinds)
    await first.close()
    world.peer.parcels["AC000001"].append(scan("OFD", 60))
    await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    await world.until(lambda: ChangeKind.OUT_FOR_DELIVERY in world.counts.kinds)
    shipment = await world.shipment(id)
    told = [(event.code, event.sources) for event in shipment.events]
    assert told == [("PUP", (own.polls, other.polls)), ("OFD", (other.polls,))]
    assert world.counts.outcomes("acme")[-1] == "unavailable"


async def test_the_first_route_takes_over_again_when_it_answers(world: World) -> None:
    await world.connect("acme")
    await world.connect("second")
    ids = await world.follow("AC000001", "AC000002")
    world.peer.parcels = {"AC000001": [], "AC000002": []}
    world.peer.answers["acme"] = says(429, "slow down", Retry_After="1")
    await world.until(lambda: len(world.peer.numbers("second")) >= 2)
    del world.peer.answers["acme"]
    await asyncio.sleep(1.1)
    asked = len(world.peer.asked["second"])
    for id in ids:
        await world.ingest.retrack("shop", id, now=round(time.time() * 1000))
    await world.until(lambda: "answered" in world.counts.outcomes("acme"))
    assert len(world.peer.asked["second"]) == asked


async def test_an_outage_is_known_to_every_worker_and_to_the_next_start(world: World) -> None:
    own = await world.connect("acme")
    await world.connect("second")
    world.peer.answers["acme"] = says(429, "slow down", Retry_After="60")
    world.peer.parcels = {"AC000001": [], "AC000002": []}
    await world.follow("AC000001")
    await world.until(lambda: len(world.peer.numbers("second")) >= 1)
    elsewhere = Connections(world.store, Registry(CARRIERS.values()), world.sealer)
    await elsewhere.refresh()
    assert 50_000 < elsewhere.resting_until(own.id) - time.time() * 1000 <= 60_000
    await elsewhere.note_answered(own)
    await world.connections.refresh()
    assert world.connections.resting_until(own.id) == 0
    await world.connections.note_failed(own, until=1)
    await world.connections.remove("shop", own.id)
    assert await world.store.records("outage") == {}


async def test_the_accounts_order_of_routes_is_followed(world: World) -> None:
    own, other = await world.connect("acme"), await world.connect("second")
    await world.connections.order("shop", "acme", [other.id, own.id])
    world.peer.parcels["AC000001"] = [scan("PUP")]
    await world.follow("AC000001")
    await world.until(lambda: ChangeKind.PICKED_UP in world.counts.kinds)
    assert "acme" not in world.peer.asked
    assert await world.connections.orders("shop") == {"acme": [other.id, own.id]}
    assert await world.connections.forget_order("shop", "acme")
    assert await world.connections.orders("shop") == {}


async def test_an_order_names_connections_of_the_account_that_speak_of_the_carrier(world: World) -> None:
    own, theirs, slow = await world.connect("acme"), await world.connect("acme", "other"), await world.connect("slow")
    for ids, said in (
        ([theirs.id], "no connection of this account"),
        ([slow.id], "slow tells nothing of acme"),
        ([own.id, own.id], "stands there twice"),
    ):
        with pytest.raises(BadInput, match=said):
            await world.connections.order("shop", "acme", ids)
    assert await world.connections.orders("shop") == {}
