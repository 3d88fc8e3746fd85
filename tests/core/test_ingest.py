"""The one door, over the real store: what is written, what is announced, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import structs

from carriers.sdk import Carrier, Problem, ProblemKind, Report, Scan, Summary
from tests.core.parcels import ACME, ALLTRACK, BOLT, HOUR, NOW, REGISTRY, START, at, journey, report, scan
from tracker.errors import BadInput, NotFound
from tracker.ingest.cleaning import clean_waybill, fingerprint
from tracker.ingest.door import Ingest
from tracker.ingest.types import IngestSettings, Received, Registered, Registration
from tracker.model import ChangeKind, Details, Document, Milestone, Shipment, Stall, Status
from tracker.store import Store
from tracker.store.types import StoreDown

M, S, K = Milestone, Status, ChangeKind
ACCOUNT = "shop-one"
PUSH, POLL = "con_acme/push", "con_acme/poll"


class Counted:
    """Remembers what the door counts."""

    def __init__(self) -> None:
        self.unknown: list[tuple[str, str, str, str]] = []
        self.kinds: list[ChangeKind] = []

    def hear_unknown(self, document: Document, carrier: str, code: str, text: str) -> None:
        self.unknown.append((document.waybill, carrier, code, text))

    def committed(self, kinds: Sequence[ChangeKind]) -> None:
        self.kinds += kinds


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def door(store: Store, counted: Counted) -> Ingest:
    settings = IngestSettings(tracking_url="https://parcels.example/{}".format)
    return Ingest(
        store,
        REGISTRY,
        due=lambda shipment, now: None,
        settings=settings,
        counters=counted,
        unknown=counted.hear_unknown,
    )


async def register(door: Ingest, waybill: str = "W10001", carrier: str = "acme", **details: Any) -> Registered:
    wanted = Registration(waybill=waybill, carrier=carrier, details=Details(**details))
    [registered] = await door.register(ACCOUNT, [wanted], now=NOW)
    return registered


async def registered(door: Ingest, waybill: str = "W10001", *scans: Scan) -> Shipment:
    shipment = (await register(door, waybill)).shipment
    assert shipment
    return await hear(door, waybill, *scans) if scans else shipment


async def receive(
    door: Ingest,
    *reports: Report,
    source: str = PUSH,
    carrier: Carrier = ACME,
    now: int = NOW,
    asked: bool = False,
    takes_up: bool = False,
) -> Received:
    mark = fingerprint(repr(reports).encode())
    return await door.receive(
        ACCOUNT, source, carrier, reports, fingerprint=mark, now=now, asked=asked, register=takes_up
    )


async def hear(door: Ingest, waybill: str, *scans: Scan, source: str = PUSH, now: int = NOW) -> Shipment:
    [shipment] = (await receive(door, report(waybill, *scans), source=source, now=now)).shipments.values()
    return shipment


async def feed(store: Store, account: str = ACCOUNT) -> list[tuple[int, str]]:
    """(revision, kind) of every change of the account, in the order of the feed."""
    page = await store.changes(account, None)
    entries = list(page.entries)
    while page.more:
        page = await store.changes(account, page.cursor)
        entries += page.entries
    return [(entry.revision, entry.kind) for entry in entries]


async def version(store: Store, shipment: Shipment) -> int:
    [stored] = await store.read([shipment.document.id])
    assert stored
    return stored.version


def codes(shipment: Shipment) -> list[str]:
    return [event.code for event in shipment.events]


# ------------------------------------------------------------ registering


async def test_a_waybill_registered_twice_is_one_shipment_announced_once(door: Ingest, store: Store) -> None:
    first, second = await register(door), await register(door, " w1 0001 ")
    assert (first.created, second.created) == (True, False)
    assert first.shipment and second.shipment
    assert first.shipment.document.id == second.shipment.document.id
    assert await feed(store) == [(1, K.REGISTERED)]


async def test_a_waybill_registered_by_many_at_once_is_created_by_one(door: Ingest, store: Store) -> None:
    answers = await asyncio.gather(*(register(door) for _ in range(20)))
    assert sum(answer.created for answer in answers) == 1
    assert len({answer.shipment.document.id for answer in answers if answer.shipment}) == 1
    assert await feed(store) == [(1, K.REGISTERED)]


async def test_the_same_waybill_twice_in_one_call_is_one_shipment(door: Ingest) -> None:
    wanted = Registration(waybill="W10001", carrier="acme")
    answers = await door.register(ACCOUNT, [wanted, wanted], now=NOW)
    assert sorted(answer.created for answer in answers) == [False, True]


async def test_a_known_waybill_keeps_what_its_first_registration_said(door: Ingest) -> None:
    await register(door, order_number="A-1")
    again = await register(door, order_number="A-2")
    assert again.shipment
    assert again.shipment.document.details.order_number == "A-1"


async def test_an_unknown_carrier_is_refused_with_the_nearest_that_we_know(door: Ingest, store: Store) -> None:
    answer = await register(door, carrier="acne")
    assert answer.shipment is None
    assert answer.error
    assert (answer.error.field, answer.error.code) == ("carrier", "unknown_carrier")
    assert answer.error.problem == "'acne' is no carrier that we know; did you mean cne or ane or acme?"
    assert await feed(store) == []


async def test_an_unknown_carrier_with_no_neighbour_says_where_the_list_is(door: Ingest) -> None:
    answer = await register(door, carrier="zzz")
    assert answer.error
    assert answer.error.problem == "'zzz' is no carrier that we know; `milepost carriers` lists them"


async def test_a_carrier_that_only_an_aggregator_follows_can_be_named(door: Ingest) -> None:
    assert (await register(door, carrier="far-post")).created


@pytest.mark.parametrize("number", ["", "1234", "W1!0001", "-W10001", "W" * 51, "快递单号一二三"])
async def test_what_can_be_no_waybill_is_refused_by_its_field(door: Ingest, number: str) -> None:
    answer = await register(door, number)
    assert answer.error
    assert answer.error.field == "waybill"
    assert "5 to 50 letters" in answer.error.problem


def test_a_refused_waybill_names_the_field_that_the_caller_used() -> None:
    with pytest.raises(BadInput) as refused:
        clean_waybill("?", "shipments[3].waybill")
    assert refused.value.field == "shipments[3].waybill"


@pytest.mark.parametrize("number", ["W1/../../ADMIN/7", "W10001/./X", "W10001//X", "W10001/..X/../Y"])
def test_a_waybill_never_leads_elsewhere_as_a_step_of_a_path(number: str) -> None:
    """Carriers are asked at `/track/{number}`, with the connection's credentials."""
    with pytest.raises(BadInput):
        clean_waybill(number)
    assert clean_waybill("W10001/2.A..B") == "W10001/2.A..B"


async def test_one_bad_registration_spoils_no_other(door: Ingest) -> None:
    wanted = [Registration(waybill=number, carrier="acme") for number in ("W10001", "?", "W10002")]
    answers = await door.register(ACCOUNT, wanted, now=NOW)
    assert [answer.created for answer in answers] == [True, False, True]


async def test_a_carrier_that_needs_a_phone_tail_gets_no_shipment_without_one(door: Ingest) -> None:
    lacking, complete = await register(door, carrier="bolt"), await register(door, carrier="bolt", phone_tail="0000")
    assert lacking.error
    assert (lacking.error.field, lacking.error.code) == ("phone_tail", "required")
    assert complete.created


# ------------------------------------------------------------ scans that come before their registration


async def test_scans_of_an_unregistered_waybill_wait_and_are_merged_at_its_registration(
    door: Ingest, store: Store
) -> None:
    early = await receive(door, report("W10001", *journey("BKD", "PUP")))
    assert (early.parked, early.changed, early.shipments) == (("W10001",), (), {})
    await receive(door, report("w10001 ", scan("ARR", 5)), source=POLL, now=NOW + 1000)
    answer = await register(door)
    assert answer.shipment
    assert codes(answer.shipment) == ["BKD", "PUP", "ARR"]
    assert [event.sources for event in answer.shipment.events] == [(PUSH,), (PUSH,), (POLL,)]
    assert [event.heard_at for event in answer.shipment.events] == [NOW, NOW, NOW + 1000]
    assert await feed(store) == [(1, K.REGISTERED), (2, K.IN_TRANSIT)]
    assert await store.parked(ACCOUNT, "W10001") == []


async def test_a_scan_that_races_its_registration_is_lost_on_neither_side(door: Ingest) -> None:
    waybills = [f"W2000{place}" for place in range(10)]
    await asyncio.gather(
        *(register(door, waybill) for waybill in waybills),
        *(receive(door, report(waybill, scan("PUP", 1))) for waybill in waybills),
    )
    for waybill in waybills:
        again = await register(door, waybill)
        assert again.shipment
        assert codes(again.shipment) == ["PUP"]


async def test_a_next_number_told_in_a_waiting_scan_is_an_alias_of_the_shipment(door: Ingest, store: Store) -> None:
    onward = Summary(successor=" n90001 ", pieces=("P1-0001", "W10001"))
    await receive(door, report("W10001", scan("PUP", 1), summary=onward))
    answer = await register(door)
    assert answer.shipment
    assert answer.shipment.document.aliases == ("N90001", "P1-0001")
    assert await store.find(ACCOUNT, ["N90001"]) == [answer.shipment.document.id]


async def test_waiting_scans_of_another_account_stay_its_own(door: Ingest) -> None:
    await door.receive("shop-two", PUSH, ACME, [report("W10001", scan("PUP", 1))], fingerprint="f", now=NOW)
    assert (await registered(door)).status is S.PENDING


# ------------------------------------------------------------ scans


async def test_a_push_moves_the_shipment_and_announces_the_status(door: Ingest, store: Store) -> None:
    shipment = await registered(door, "W10001", *journey("PUP", "ARR", "OFD"))
    assert (shipment.status, shipment.document.revision) == (S.OUT_FOR_DELIVERY, 2)
    assert await feed(store) == [(1, K.REGISTERED), (2, K.OUT_FOR_DELIVERY)]


async def test_a_push_and_a_poll_of_the_same_scans_make_one_event_each(door: Ingest, store: Store) -> None:
    await registered(door, "W10001", *journey("PUP", "ARR"))
    both = await hear(door, "W10001", *journey("PUP", "ARR"), source=POLL, now=NOW + 5000)
    assert [(event.code, event.sources) for event in both.events] == [("PUP", (PUSH, POLL)), ("ARR", (PUSH, POLL))]
    assert await feed(store) == [(1, K.REGISTERED), (2, K.IN_TRANSIT)]


async def test_the_same_push_again_writes_nothing(door: Ingest, store: Store) -> None:
    shipment = await registered(door, "W10001", *journey("PUP", "ARR"))
    before, told = await version(store, shipment), await feed(store)
    again = await receive(door, report("W10001", *journey("PUP", "ARR")), now=NOW + HOUR)
    assert (again.changed, again.same) == ((), (shipment.document.id,))
    assert (await version(store, shipment), await feed(store)) == (before, told)


async def test_a_poll_that_brings_nothing_new_writes_nothing(door: Ingest, store: Store) -> None:
    shipment = await registered(door)
    answer = report("W10001", *journey("PUP", "ARR"), full=True)
    await receive(door, answer, source=POLL, asked=True)
    before, told = await version(store, shipment), await feed(store)
    for turn in range(1, 4):
        later = await receive(door, answer, source=POLL, asked=True, now=NOW + turn * HOUR * 1000)
        assert later.same == (shipment.document.id,)
    assert (await version(store, shipment), await feed(store)) == (before, told)


async def test_a_carriers_new_trouble_is_written_and_not_announced(door: Ingest, store: Store) -> None:
    shipment = await registered(door)
    trouble = Report(waybill="W10001", problem=Problem(ProblemKind.NOT_FOUND, "no record"))
    first = await receive(door, trouble, source=POLL, asked=True)
    second = await receive(door, trouble, source=POLL, asked=True, now=NOW + HOUR)
    assert (first.changed, second.same) == ((shipment.document.id,), (shipment.document.id,))
    assert await feed(store) == [(1, K.REGISTERED)]


@pytest.mark.parametrize("writers", [20, 40])
async def test_many_at_once_on_one_shipment_make_one_event_each_and_leave_no_gap(
    door: Ingest, store: Store, writers: int
) -> None:
    await registered(door)
    scans = [scan("ARR", hour, f"hub {hour}") for hour in range(writers)]
    answers = await asyncio.gather(*(receive(door, report("W10001", one)) for one in scans))
    assert all(answer.changed for answer in answers)
    [shipment] = (await receive(door, report("W10001"))).shipments.values()
    assert [event.text for event in shipment.events] == [f"hub {hour}" for hour in range(writers)]
    revisions = [revision for revision, _ in await feed(store)]
    assert revisions == list(range(1, writers + 2))
    assert shipment.document.revision == writers + 1


async def test_twenty_of_the_same_at_once_make_one_event_and_one_change(door: Ingest, store: Store) -> None:
    await registered(door)
    answers = await asyncio.gather(*(receive(door, report("W10001", scan("PUP", 1))) for _ in range(20)))
    assert sum(bool(answer.changed) for answer in answers) == 1
    assert await feed(store) == [(1, K.REGISTERED), (2, K.PICKED_UP)]


async def test_a_conflict_is_read_and_merged_again(door: Ingest, store: Store) -> None:
    """A second daemon writes between this one's read and its write."""
    shipment = await registered(door)
    other = Ingest(store, REGISTRY, due=lambda shipment, now: None)
    await asyncio.gather(
        *(hear(door, "W10001", scan("ARR", hour)) for hour in range(1, 6)),
        *(hear(other, "W10001", scan("DEP", hour + 0.5)) for hour in range(1, 6)),
        door.amend(ACCOUNT, shipment.document.id, _tagged("vip"), now=NOW),
    )
    [after] = await door.get(ACCOUNT, [shipment.document.id])
    assert after
    assert codes(after) == ["ARR", "DEP"] * 5
    assert after.document.details.tags == ("vip",)


def _tagged(tag: str) -> Callable[[Document], Document]:
    return lambda doc: structs.replace(doc, details=structs.replace(doc.details, tags=(tag,)))


async def test_one_body_may_tell_of_many_waybills_known_and_unknown(door: Ingest) -> None:
    shipment = await registered(door)
    told = await receive(door, report("W10001", scan("PUP", 1)), report("W99999", scan("PUP", 1)))
    assert (told.changed, told.parked) == ((shipment.document.id,), ("W99999",))


async def test_two_reports_of_one_waybill_in_one_body_are_both_heard(door: Ingest) -> None:
    shipment = await registered(door)
    await receive(door, report("W10001", scan("PUP", 1)), report("W10001", scan("ARR", 2)))
    [after] = await door.get(ACCOUNT, [shipment.document.id])
    assert after
    assert codes(after) == ["PUP", "ARR"]


async def test_a_report_that_names_no_waybill_is_nobodys(door: Ingest) -> None:
    told = await receive(door, Report(waybill="", problem=Problem(ProblemKind.REFUSED, "wrong key")))
    assert told == Received()


async def test_a_scan_under_an_alias_reaches_the_shipment(door: Ingest) -> None:
    shipment = await registered(door)
    await receive(door, report("W10001", scan("PUP", 1), summary=Summary(successor="N90001")))
    heard = await receive(door, report("n90001", scan("ARR", 2)))
    assert heard.changed == (shipment.document.id,)


async def test_a_code_that_nobody_knows_is_kept_counted_and_moves_nothing(door: Ingest, counted: Counted) -> None:
    shipment = await registered(door, "W10001", scan("ZZZ", 1, "xyzzy 42"))
    assert (shipment.status, shipment.events[0].milestone) == (S.PENDING, M.UNKNOWN)
    assert counted.unknown == [("W10001", "acme", "ZZZ", "xyzzy 42")]


async def test_what_is_committed_is_counted_by_kind(door: Ingest, counted: Counted) -> None:
    shipment = await registered(door, "W10001", *journey("PUP", "DLV"))
    await door.delete(ACCOUNT, shipment.document.id, now=NOW)
    assert counted.kinds == [K.REGISTERED, K.DELIVERED, K.DELETED]


async def test_a_delivery_taken_back_is_announced_as_a_correction_and_the_status_that_holds(
    door: Ingest, store: Store
) -> None:
    await registered(door, "W10001", *journey("PUP", "DLV"))
    shipment = await hear(door, "W10001", scan("LOC", 3))
    assert shipment.status is S.AVAILABLE_FOR_PICKUP
    assert (await feed(store))[-2:] == [(3, K.CORRECTED), (4, K.AVAILABLE_FOR_PICKUP)]


# ------------------------------------------------------------ stalls and silence


def _stall() -> Stall:
    return Stall(NOW, START, M.PICKED_UP, 24 * HOUR)


async def _stalled(door: Ingest) -> Shipment:
    shipment = await registered(door, "W10001", scan("PUP", 0))
    doc = shipment.document
    return await door.flag_stalled(ACCOUNT, doc.id, _stall(), now=NOW, seen=doc.revision)


async def test_a_stall_is_flagged_once(door: Ingest, store: Store) -> None:
    shipment = await _stalled(door)
    await door.flag_stalled(ACCOUNT, shipment.document.id, _stall(), now=NOW + HOUR)
    assert await feed(store) == [(1, K.REGISTERED), (2, K.PICKED_UP), (3, K.STALLED)]


async def test_progress_clears_a_stall_as_moving_again_and_as_the_status_reached(door: Ingest, store: Store) -> None:
    await _stalled(door)
    shipment = await hear(door, "W10001", scan("ARR", 30))
    assert shipment.document.stall is None
    assert (await feed(store))[3:] == [(4, K.MOVING_AGAIN), (5, K.IN_TRANSIT)]


async def test_a_note_and_a_scan_from_before_leave_the_stall(door: Ingest, store: Store) -> None:
    await _stalled(door)
    shipment = await hear(door, "W10001", scan("LBL", 30), scan("BKD", -5))
    assert shipment.document.stall == _stall()
    assert (await feed(store))[3:] == [(4, K.UPDATED)]


async def test_a_parcel_that_moved_after_the_watch_looked_is_not_flagged(door: Ingest, store: Store) -> None:
    looked_at = (await registered(door, "W10001", scan("PUP", 0))).document
    await hear(door, "W10001", scan("ARR", 30))
    await door.flag_stalled(ACCOUNT, looked_at.id, _stall(), now=NOW, seen=looked_at.revision)
    await door.flag_expired(ACCOUNT, looked_at.id, now=NOW, seen=looked_at.revision)
    assert await feed(store) == [(1, K.REGISTERED), (2, K.PICKED_UP), (3, K.IN_TRANSIT)]


async def test_silence_that_lasts_expires_a_stalled_parcel_and_does_not_say_that_it_moved(
    door: Ingest, store: Store
) -> None:
    shipment = await _stalled(door)
    expired = await door.flag_expired(ACCOUNT, shipment.document.id, now=NOW + HOUR)
    assert (expired.status, expired.document.stall) == (S.EXPIRED, None)
    assert (await feed(store))[3:] == [(4, K.EXPIRED)]


async def test_a_new_scan_wakes_an_expired_parcel(door: Ingest, store: Store) -> None:
    shipment = await registered(door, "W10001", scan("PUP", 0))
    await door.flag_expired(ACCOUNT, shipment.document.id, now=NOW + 1)
    awake = await hear(door, "W10001", scan("ARR", 30), now=NOW + HOUR)
    assert awake.status is S.IN_TRANSIT
    assert (await feed(store))[2:] == [(3, K.EXPIRED), (4, K.IN_TRANSIT)]


# ------------------------------------------------------------ changing by hand


async def test_an_amendment_that_changes_nothing_writes_nothing(door: Ingest, store: Store) -> None:
    shipment = await registered(door)
    before = await version(store, shipment)
    await door.amend(ACCOUNT, shipment.document.id, lambda doc: doc, now=NOW)
    assert await version(store, shipment) == before


async def test_an_amended_order_number_is_found_and_announced(door: Ingest, store: Store) -> None:
    shipment = await registered(door)

    def ordered(number: str) -> Callable[[Document], Document]:
        return lambda doc: structs.replace(doc, details=structs.replace(doc.details, order_number=number))

    await door.amend(ACCOUNT, shipment.document.id, ordered("A-1"), now=NOW)
    await door.amend(ACCOUNT, shipment.document.id, ordered("A-2"), now=NOW)
    assert await store.find_order(ACCOUNT, "A-1") == []
    assert await store.find_order(ACCOUNT, "A-2") == [shipment.document.id]
    assert (await feed(store))[1:] == [(2, K.UPDATED), (3, K.UPDATED)]


async def test_a_corrected_carrier_keeps_the_id(door: Ingest) -> None:
    shipment = await registered(door)
    moved = await door.correct_carrier(ACCOUNT, shipment.document.id, "bolt", now=NOW)
    assert (moved.document.id, moved.document.carrier) == (shipment.document.id, "bolt")
    with pytest.raises(BadInput, match="did you mean bolt"):
        await door.correct_carrier(ACCOUNT, shipment.document.id, "bolto", now=NOW)


async def test_retracking_wakes_what_was_given_up_and_is_due_at_once(door: Ingest, store: Store) -> None:
    shipment = await registered(door, "W10001", scan("PUP", 0))
    await door.flag_expired(ACCOUNT, shipment.document.id, now=NOW)
    again = await door.retrack(ACCOUNT, shipment.document.id, now=1)
    assert again.status is S.PICKED_UP
    assert [item.id for item in await store.claim_due("c1", limit=10, lease_ms=1000)] == [shipment.document.id]


async def test_a_deleted_shipment_is_gone_said_so_once_and_can_be_registered_anew(door: Ingest, store: Store) -> None:
    shipment = await registered(door, "W10001", scan("PUP", 0))
    await door.delete(ACCOUNT, shipment.document.id, now=NOW)
    assert await door.get(ACCOUNT, [shipment.document.id]) == [None]
    assert await store.find(ACCOUNT, ["W10001"]) == [None]
    assert (await feed(store))[2:] == [(3, K.DELETED)]
    with pytest.raises(NotFound):
        await door.delete(ACCOUNT, shipment.document.id, now=NOW)
    anew = await register(door)
    assert anew.created
    assert anew.shipment
    assert anew.shipment.status is S.PENDING


# ------------------------------------------------------------ accounts


async def test_a_foreign_account_sees_and_changes_nothing(door: Ingest, store: Store) -> None:
    shipment = await registered(door, "W10001", scan("PUP", 0))
    id = shipment.document.id
    assert await door.get("shop-two", [id]) == [None]
    for attempt in (
        door.amend("shop-two", id, _tagged("mine"), now=NOW),
        door.correct_carrier("shop-two", id, "bolt", now=NOW),
        door.retrack("shop-two", id, now=NOW),
        door.delete("shop-two", id, now=NOW),
        door.flag_stalled("shop-two", id, _stall(), now=NOW),
    ):
        with pytest.raises(NotFound) as foreign:
            await attempt
        with pytest.raises(NotFound) as absent:
            await door.delete("shop-two", absent_id := store.new_id("shop-two", "W77777"), now=NOW)
        assert str(foreign.value).replace(id, "") == str(absent.value).replace(absent_id, "")
    assert await feed(store, "shop-two") == []
    assert await door.get(ACCOUNT, [id]) == [shipment]


async def test_one_waybill_in_two_accounts_is_two_shipments(door: Ingest) -> None:
    ours = await registered(door)
    wanted = Registration(waybill="W10001", carrier="acme")
    [theirs] = await door.register("shop-two", [wanted], now=NOW)
    assert theirs.created
    await hear(door, "W10001", scan("PUP", 0))
    assert theirs.shipment
    [unmoved] = await door.get("shop-two", [theirs.shipment.document.id])
    assert unmoved
    assert (unmoved.status, theirs.shipment.document.id != ours.document.id) == (S.PENDING, True)


# ------------------------------------------------------------ waybills that a push registers


async def test_an_aggregators_push_registers_under_the_carrier_that_it_names(door: Ingest, store: Store) -> None:
    told = await receive(door, report("W10001", scan("PUP", 1), carrier="1002"), carrier=ALLTRACK, takes_up=True)
    [shipment] = told.shipments.values()
    assert (shipment.document.carrier, shipment.status) == ("far-post", S.PICKED_UP)
    assert await feed(store) == [(1, K.REGISTERED), (2, K.PICKED_UP)]


async def test_an_aggregators_push_that_names_no_known_carrier_waits(door: Ingest) -> None:
    told = await receive(door, report("W10001", scan("PUP", 1), carrier="9999"), carrier=ALLTRACK, takes_up=True)
    assert told.parked == ("W10001",)
    assert (await registered(door)).status is S.PICKED_UP


async def test_a_carriers_own_push_registers_even_what_it_would_not_answer_for(door: Ingest) -> None:
    told = await receive(door, report("W10001", scan("PUP", 1)), carrier=BOLT, takes_up=True)
    [shipment] = told.shipments.values()
    assert (shipment.document.carrier, shipment.status) == ("bolt", S.PICKED_UP)


async def test_twenty_pushes_of_an_unregistered_waybill_at_once_register_it_once(door: Ingest, store: Store) -> None:
    scans = [scan("ARR", hour, f"hub {hour}") for hour in range(20)]
    await asyncio.gather(*(receive(door, report("W10001", one), takes_up=True) for one in scans))
    [shipment] = (await receive(door, report("W10001"))).shipments.values()
    assert len(shipment.events) == 20
    assert [revision for revision, _ in await feed(store)] == list(range(1, 22))


# ------------------------------------------------------------ when to look again


async def test_each_commit_says_when_to_look_again(store: Store) -> None:
    def due(shipment: Shipment, now: int) -> int | None:
        return 1 if shipment.status.open else None

    door = Ingest(store, REGISTRY, due=due)
    shipment = await registered(door, "W10001", scan("PUP", 0))
    [item] = await store.claim_due("c1", limit=10, lease_ms=60_000)
    assert (item.id, item.due) == (shipment.document.id, 1)
    delivered = await hear(door, "W10001", scan("DLV", 3))
    assert delivered.delivered
    assert delivered.delivered.time == at(3)
    assert await store.claim_due("c2", limit=10, lease_ms=60_000) == []


async def test_a_closed_door_takes_nothing_in_and_still_lets_go(store: Store) -> None:
    """Nearly out of disk: a scan and a registration are refused as `StoreDown`, a deletion passes."""
    why: list[str] = []
    door = Ingest(store, REGISTRY, due=lambda shipment, now: None, closed=lambda: "".join(why))
    shipment = await registered(door)
    why.append("12 MiB free")
    with pytest.raises(StoreDown, match="12 MiB"):
        await register(door, "W20002")
    for waybill in ("W10001", "W30003"):
        with pytest.raises(StoreDown, match="12 MiB"):
            await receive(door, report(waybill, scan("PUP", 1)))
    await door.delete(ACCOUNT, shipment.document.id, now=NOW)


async def test_an_aggregator_that_names_another_carrier_moves_the_shipment_and_its_id_stays(door: Ingest) -> None:
    shipment = await registered(door)
    told = report("W10001", scan("PUP", 1), carrier="1002")
    await receive(door, told, source="con_all/poll", carrier=ALLTRACK)
    [moved] = await door.get(ACCOUNT, [shipment.document.id])
    assert moved is not None
    assert (moved.document.id, moved.document.carrier) == (shipment.document.id, "far-post")
    assert moved.status is S.PICKED_UP


async def test_two_tellers_that_disagree_on_the_carrier_move_nothing(door: Ingest) -> None:
    await registered(door, "W10001", scan("PUP", 1))
    told = report("W10001", scan("OFD", 2), carrier="1002")
    for _ in range(2):
        [heard] = (await receive(door, told, source="con_all/poll", carrier=ALLTRACK)).shipments.values()
        assert heard.document.carrier == "acme"
