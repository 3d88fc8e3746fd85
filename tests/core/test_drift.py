"""Drift, over the real store: what is kept of what nothing covers, for whom, and how little of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from msgspec import structs

from carriers import dhl, registry
from carriers.fixtures import folder_of, read_fixtures
from carriers.sdk import Carrier, M, Meaning, Problem, ProblemKind, Report, Scan, Summary
from tracker.accounts import Accounts
from tracker.departures import Departures
from tracker.drift.kinds import Drifting, DriftKind
from tracker.drift.watch import KEYS, DriftWatch
from tracker.drift.words import masked, skeleton_mark
from tracker.model import Document
from tracker.store import Store
from tracker.store.types import Sighting, StoreDown

ACME = Carrier(slug="acme", name="Acme", docs="https://acme.example", milestones={}, parse=lambda body, kind: [])
SCAN = (Report(waybill="W1", scans=(Scan(time=None, code="X"),)),)


class Counts:
    def __init__(self) -> None:
        self.unknown: Counter[tuple[str, str]] = Counter()
        self.empty: Counter[str] = Counter()
        self.new: Counter[tuple[str, str]] = Counter()

    def unknown_code(self, carrier: str, code: str) -> None:
        self.unknown[carrier, code] += 1

    def empty_body(self, carrier: str) -> None:
        self.empty[carrier] += 1

    def drifted(self, carrier: str, kind: str) -> None:
        self.new[carrier, kind] += 1


class Installed:
    """The carrier with a table of the test's own."""

    def __init__(self, milestones: Mapping[str, Meaning]) -> None:
        self.carrier = structs.replace(ACME, milestones=milestones)

    def get(self, slug: str) -> Carrier | None:
        return self.carrier if slug == "acme" else None


class World:
    """A store with accounts, and processes that watch over it. The clock stands until it is moved."""

    def __init__(self, store: Store) -> None:
        self.store, self.counts, self.accounts, self.at = store, Counts(), Accounts(store), 1_780_000_000.0

    def watch(self, milestones: Mapping[str, Meaning] | None = None) -> DriftWatch:
        return DriftWatch(self.store, Installed(milestones or {}), self.accounts, self.counts, clock=lambda: self.at)


@pytest.fixture
async def world(store: Store) -> World:
    world = World(store)
    for name in ("one", "two"):
        await world.accounts.create(name, now=1)
    return world


def parcel(account: str = "one", id: str = "shp_1") -> Document:
    return Document(id=id, account=account, waybill="W1", carrier="acme", registered_at=1, updated_at=1)


def facts(found: list[Drifting]) -> list[tuple[str, str, int]]:
    return sorted((one.kind.value, one.key, one.count) for one in found)


async def test_an_unknown_code_is_kept_with_its_count_times_words_and_shipment(world: World) -> None:
    watch = world.watch()
    watch.unknown(parcel(), "acme", "ZZZ", "xyzzy")
    world.at += 60
    watch.unknown(parcel(), "acme", "ZZZ", "later words")
    await watch.write()
    world.at += 60
    watch.unknown(parcel(id="shp_2"), "acme", "ZZZ", "the latest words")
    await watch.write()
    [found] = await watch.of("one")
    assert found == Drifting(
        carrier="acme",
        kind=DriftKind.CODE,
        key="ZZZ",
        count=3,
        first_at=1_780_000_000_000,
        last_at=1_780_000_120_000,
        text="the latest words",
        shipment="shp_2",
        account="one",
    )
    assert world.counts.unknown == {("acme", "ZZZ"): 3}
    assert world.counts.new == {("acme", "code"): 1}


async def test_texts_that_differ_in_numbers_and_brackets_are_one(world: World) -> None:
    watch = world.watch()
    for place, hour in (("【杭州】", 8), ("【义乌】", 9)):
        watch.unknown(parcel(), "acme", "", f"{place}第{hour}次 登记")
    watch.unknown(parcel(), "acme", "", "something else")
    await watch.write()
    assert sorted(one.count for one in await watch.of("one")) == [1, 2]


@pytest.mark.parametrize(
    "phone",
    ["13800000000", "138 0000 0000", "+86-138-0000-0000", "0571-88880000", "(0571) 8888 0000", "+44 7700 900000"],
)
def test_a_phone_number_is_masked(phone: str) -> None:
    assert masked(f"派件员（{phone}）正在派送").count("0") == 0
    assert masked("code 42, 3 of 10 at 12:30") == "code 42, 3 of 10 at 12:30"


async def test_an_example_is_masked_before_it_is_cut(world: World) -> None:
    watch = world.watch()
    watch.unknown(parcel(), "acme", "ZZZ", "字" * 295 + "13800000000" + "字" * 2_000)
    await watch.write()
    [found] = await watch.of("one")
    assert found.text == "字" * 295 + "***" + "字" * 2


async def test_an_account_sees_what_its_own_shipments_said_and_the_operator_sees_all(world: World) -> None:
    watch = world.watch()
    watch.unknown(parcel("one"), "acme", "ZZZ", "words of one")
    watch.unknown(parcel("one"), "acme", "YYY", "")
    world.at += 1
    watch.unknown(parcel("two", "shp_9"), "acme", "ZZZ", "words of two")
    await watch.write()
    assert facts(await watch.of("one")) == [("code", "YYY", 1), ("code", "ZZZ", 1)]
    assert [(one.key, one.text) for one in await watch.of("two")] == [("ZZZ", "words of two")]
    assert await watch.of("three") == []
    found = {one.key: one for one in await watch.of_all()}
    assert (found["ZZZ"].count, found["ZZZ"].text, found["ZZZ"].account) == (2, "words of two", "two")
    assert found["YYY"].account == "one"


async def test_what_is_common_to_all_holds_no_words_of_anybody(world: World, store: Store) -> None:
    watch = world.watch()
    watch.unknown(parcel(), "acme", "ZZZ", "words")
    watch.unknown(parcel(), "acme", "", "other words")
    await watch.write()
    assert {(one.text, one.shipment) for one in await store.sightings("")} == {("", "")}


async def test_several_processes_count_into_one_place(world: World) -> None:
    first, second = world.watch(), world.watch()
    for watch in (first, second):
        watch.unknown(parcel(), "acme", "ZZZ", "words")
    await asyncio.gather(first.write(), second.write())
    assert facts(await first.of("one")) == [("code", "ZZZ", 2)]
    assert world.counts.new == {("acme", "code"): 1}


async def test_beyond_the_limit_the_rest_is_counted_and_not_kept(world: World) -> None:
    watch = world.watch()
    for number in range(KEYS + 20):
        watch.unknown(parcel(), "acme", f"C{number}", "words")
    await watch.write()
    watch.unknown(parcel(), "acme", "C3", "words")
    watch.unknown(parcel(), "acme", "", "a text has room of its own")
    await watch.write()
    found = await watch.of("one")
    assert len(found) == KEYS + 2
    counted = {(one.kind, one.key): one.count for one in found}
    assert counted[DriftKind.CODE, ""] == 20
    assert counted[DriftKind.CODE, "C3"] == 2


async def test_what_is_heard_between_two_writes_is_bounded(world: World) -> None:
    watch = world.watch()
    for number in range(10_000):
        watch.unknown(parcel(), "acme", f"C{number}", "words")
    assert len(watch._pending) == 4_001
    for _ in range(1_000):
        watch.heard("one", "acme", b'{"a": "%s"}' % (b"x" * 10_000), SCAN)
    assert sum(len(body.body) for body in watch._bodies) < 80_000


async def test_a_store_that_was_away_loses_nothing(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    note = store.note

    async def away(account: str, sightings: Sequence[Sighting], *, limit: int) -> list[bool]:
        if down and account:
            raise StoreDown("away")
        return await note(account, sightings, limit=limit)

    monkeypatch.setattr(store, "note", away)
    down, watch = True, world.watch()
    watch.unknown(parcel(), "acme", "ZZZ", "words")
    for _ in range(3):
        with pytest.raises(StoreDown):
            await watch.write()
    watch.unknown(parcel(), "acme", "ZZZ", "words")
    down = False
    await watch.write()
    await watch.write()
    assert facts(await watch.of("one")) == facts(await watch.of_all()) == [("code", "ZZZ", 2)]


async def test_what_a_deleted_account_said_is_gone_and_comes_to_nothing(world: World) -> None:
    watch = world.watch()
    watch.unknown(parcel(), "acme", "ZZZ", "words")
    await watch.write()
    watch.unknown(parcel(), "acme", "ZZZ", "words")
    leaving = Departures(world.store)
    await leaving.close("one", now=0)
    await leaving.sweep("one")
    await watch.write()
    assert await watch.of("one") == []
    assert [(one.count, one.text, one.account) for one in await watch.of_all()] == [(2, "", "")]


async def test_what_is_mapped_today_or_not_said_for_long_is_forgotten(world: World) -> None:
    watch = world.watch()
    for code, text in (("ZZZ", "words"), ("YYY", "words"), ("", "已签收，签收人是本人")):
        watch.unknown(parcel(), "acme", code, text)
    await watch.write()
    again = world.watch({"ZZZ": M.DELIVERED})
    await again.recall()
    assert facts(await again.of("one")) == facts(await again.of_all()) == [("code", "YYY", 1)]
    world.at += 91 * 86_400
    await world.watch().recall()
    assert await again.of("one") == await again.of_all() == []
    for number in range(KEYS):  # and what is forgotten has made room
        watch.unknown(parcel(), "acme", f"C{number}", "words")
    await watch.write()
    assert "" not in {one.key for one in await watch.of("one")}


# ------------------------------------------------------------ bodies


@pytest.mark.parametrize(
    ("reports", "key"),
    [
        ((), "no reports"),
        ((Report(waybill="W1", summary=Summary(signed_by="")),), "no scans"),
    ],
)
async def test_a_body_that_says_nothing_is_counted(world: World, reports: tuple[Report, ...], key: str) -> None:
    watch = world.watch()
    watch.heard("one", "acme", b"{}", reports)
    watch.heard("one", "acme", b"{}", reports)
    await watch.write()
    assert ("empty", key, 2) in facts(await watch.of("one"))
    assert world.counts.empty == {"acme": 2}


@pytest.mark.parametrize(
    "report",
    [
        SCAN[0],
        Report(waybill="W1", summary=Summary(status=Scan(time=None, code="X"))),
        Report(waybill="W1", problem=Problem(ProblemKind.NOT_FOUND, "no such number")),
    ],
)
async def test_a_scan_a_status_and_trouble_are_something(world: World, report: Report) -> None:
    watch = world.watch()
    watch.heard("one", "acme", b"", (report,))
    await watch.write()
    assert "empty" not in {one.kind for one in await watch.of("one")}


def push(watch: DriftWatch, **body: object) -> None:
    watch.heard("one", "acme", json.dumps(body).encode(), SCAN)


def shapes(found: list[Drifting]) -> list[tuple[str, int]]:
    return sorted((one.text, one.count) for one in found if one.kind is DriftKind.SHAPE)


async def test_a_shape_is_new_where_a_path_or_a_kind_of_value_is(world: World) -> None:
    watch = world.watch()
    push(watch, no="A", weight=1)
    await watch.write()
    push(watch, no="B", weight=2)  # other values
    push(watch, no="C")  # fewer fields, all of them known
    await watch.write()
    assert shapes(await watch.of("one")) == [("$ object; $.no text; $.weight number", 2)]
    push(watch, no="D", weight="3 kg")
    push(watch, no="E", weight=4, reason={"code": "X"})
    await watch.write()
    assert shapes(await watch.of("one"))[1:] == [
        ("$.reason object; $.reason.code text", 1),
        ("$.weight text", 1),
    ]
    assert world.counts.new["acme", "shape"] == 3


async def test_the_bodies_that_an_adapter_was_written_after_are_not_new(world: World) -> None:
    """Nor is any mix of their fields; what is new is named alone."""
    watch = DriftWatch(world.store, registry.load()[0], world.accounts, world.counts, clock=lambda: world.at)
    for one in read_fixtures(folder_of(dhl.carrier) / "fixtures"):
        watch.heard("one", "dhl", one.body, SCAN)
    watch.heard("one", "dhl", b'{"shipments": [{"id": "1"}]}', SCAN)
    await watch.write()
    assert shapes(await watch.of("one")) == []
    watch.heard("one", "dhl", b'{"shipments": [{"id": "1", "mood": 3}]}', SCAN)
    await watch.write()
    assert shapes(await watch.of("one")) == [("$.shipments[].mood number", 1)]


async def test_a_shape_that_another_process_or_an_earlier_one_knew_is_not_new(world: World) -> None:
    watch, beside = world.watch(), world.watch()
    push(watch, no="A")
    push(beside, no="A")
    await watch.write()
    await beside.write()
    later = world.watch()
    await later.recall()
    push(later, no="B")
    await later.write()
    assert shapes(await later.of_all()) == [("$ object; $.no text", 2)]
    assert world.counts.new["acme", "shape"] == 1


async def test_the_last_words_are_written_when_the_daemon_ends(world: World) -> None:
    watch = world.watch()
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(0.05)
    watch.unknown(parcel(), "acme", "ZZZ", "words")
    running.cancel()
    await asyncio.wait([running])
    assert facts(await watch.of("one")) == [("code", "ZZZ", 1)]


def test_a_text_is_known_by_what_stays_of_it() -> None:
    assert skeleton_mark("到达【杭州】 12 件") == skeleton_mark("到达【义乌】  7 件")
    assert skeleton_mark("到达【杭州】") != skeleton_mark("离开【杭州】")
