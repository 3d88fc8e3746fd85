"""The timeline is a pure function of the set of receipts; each rule of it, as a sentence."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tracker.model import (
    Certainty,
    ChangeKind,
    Document,
    Milestone,
    Moment,
    Problem,
    ProblemKind,
    Reason,
    Report,
    Scan,
    Shipment,
    Status,
    Summary,
)
from tracker.timeline.changes import changes, told_by
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge

M, S, K = Milestone, Status, ChangeKind
HOUR = 3_600
DAY = 24 * HOUR
START = 1_790_000_000 // DAY * DAY + 8 * HOUR


def by_code(code: str, text: str) -> tuple[Milestone, Reason | None]:
    return (Milestone(code), None) if code in list(Milestone) else (M.UNKNOWN, None)


def at(hours: float, *, offset: int | None = 480, certainty: Certainty = Certainty.CARRIER_RULE) -> Moment:
    return Moment(int(START + hours * HOUR), offset, certainty)


def scan(milestone: str, hours: float, text: str = "") -> Scan:
    return Scan(time=at(hours), code=milestone, text=text or milestone)


def receipt(
    *scans: Scan,
    source: str = "con_a/push",
    heard: float = 100,
    full: bool = False,
    summary: Summary | None = None,
    problem: Problem | None = None,
    asked: bool = False,
) -> Receipt:
    report = Report(waybill="W1", scans=scans, full=full, summary=summary, problem=problem)
    heard_at = int((START + heard * HOUR) * 1000)
    return Receipt(source=source, heard_at=heard_at, report=report, fingerprint=f"f{heard}", asked=asked)


def empty() -> Document:
    return Document(id="shp_1", account="a", waybill="W1", carrier="acme", registered_at=START * 1000, updated_at=0)


def shipment_of(receipts: Sequence[Receipt], document: Document | None = None) -> Shipment:
    document = document or empty()
    for one in receipts:
        document = merge(document, one, by_code)
    return derive(document)


def story(*steps: tuple[str, float]) -> Shipment:
    return shipment_of([receipt(scan(m, h), heard=h) for m, h in steps])


# ------------------------------------------------------------ the plain journey


def test_an_empty_history_is_pending() -> None:
    assert shipment_of([]).status is S.PENDING
    assert shipment_of([receipt(full=True)]).status is S.PENDING


def test_a_parcel_goes_from_label_to_delivery() -> None:
    steps: list[tuple[str, float]] = [("info_received", 0)]
    for milestone, status in [
        ("picked_up", S.PICKED_UP),
        ("hub_arrived", S.IN_TRANSIT),
        ("hub_departed", S.IN_TRANSIT),
        ("at_delivery_depot", S.IN_TRANSIT),
        ("out_for_delivery", S.OUT_FOR_DELIVERY),
        ("delivered", S.DELIVERED),
    ]:
        steps.append((milestone, len(steps)))
        assert story(*steps).status is status


def test_a_late_scan_is_inserted_where_it_happened_and_cannot_drag_the_status_back() -> None:
    shipment = shipment_of(
        [receipt(scan("out_for_delivery", 30), heard=30), receipt(scan("hub_arrived", 10), heard=40)]
    )
    assert [event.milestone for event in shipment.events] == [M.HUB_ARRIVED, M.OUT_FOR_DELIVERY]
    assert shipment.status is S.OUT_FOR_DELIVERY


def test_a_hub_scan_timed_after_delivered_is_kept_marked_stray_and_changes_nothing() -> None:
    shipment = story(("delivered", 30), ("hub_arrived", 31))
    assert shipment.status is S.DELIVERED
    assert [event.stray for event in shipment.events] == [False, True]


def test_a_label_printed_after_the_pick_up_does_not_undo_it() -> None:
    assert story(("picked_up", 1), ("info_received", 2)).status is S.PICKED_UP


def test_a_pick_up_scan_after_the_first_hub_does_not_drag_the_status_back() -> None:
    assert story(("hub_arrived", 1), ("picked_up", 2)).status is S.IN_TRANSIT


def test_delayed_note_and_unknown_never_move_the_status() -> None:
    for milestone in ("delayed", "note", "unknown"):
        assert story(("out_for_delivery", 1), (milestone, 2)).status is S.OUT_FOR_DELIVERY
        assert story((milestone, 2)).status is S.PENDING


def test_a_delay_shows_until_the_parcel_moves_again() -> None:
    assert story(("hub_arrived", 1), ("delayed", 2)).delayed
    assert not story(("hub_arrived", 1), ("delayed", 2), ("hub_departed", 3)).delayed


def test_a_failed_pick_up_followed_by_a_pick_up_is_picked_up() -> None:
    assert story(("info_received", 0), ("exception", 1), ("picked_up", 5)).status is S.PICKED_UP


def test_a_cancelled_label_that_moves_after_all_is_moving() -> None:
    assert story(("info_received", 0), ("cancelled", 1), ("picked_up", 5)).status is S.PICKED_UP


# ------------------------------------------------------------ delivered is undone by evidence, not by noise


def test_sign_first_and_drop_at_the_station_after_reopens_the_leg() -> None:
    for milestone, status in [
        ("available_for_pickup", S.AVAILABLE_FOR_PICKUP),
        ("delivery_failed", S.DELIVERY_FAILED),
        ("returning", S.RETURNING),
    ]:
        assert story(("delivered", 10), (milestone, 11)).status is status


def test_out_for_delivery_on_the_same_day_after_delivered_is_stray_and_on_a_later_day_reopens() -> None:
    assert story(("delivered", 1), ("out_for_delivery", 2)).status is S.DELIVERED
    assert story(("delivered", 1), ("out_for_delivery", 26)).status is S.OUT_FOR_DELIVERY


def test_a_pick_up_days_after_delivery_opens_a_new_leg() -> None:
    shipment = story(("delivered", 1), ("picked_up", 80), ("hub_arrived", 90))
    assert (shipment.status, shipment.leg) == (S.IN_TRANSIT, 2)
    assert [event.leg for event in shipment.events] == [1, 2, 2]


def test_a_pick_up_hours_after_delivery_is_noise() -> None:
    shipment = story(("delivered", 1), ("picked_up", 3))
    assert (shipment.status, shipment.leg) == (S.DELIVERED, 1)


def test_a_return_opens_a_leg_of_its_own_on_which_hubs_stay_returning_and_delivery_is_returned() -> None:
    shipment = story(("exception", 1), ("returning", 2), ("hub_arrived", 3), ("out_for_delivery", 4))
    assert (shipment.status, shipment.leg) == (S.RETURNING, 2)
    assert story(("returning", 2), ("hub_arrived", 3), ("delivered", 5)).status is S.RETURNED
    assert story(("returning", 2), ("returned", 5)).status is S.RETURNED


def test_delivered_told_twice_keeps_the_first_time() -> None:
    shipment = story(("delivered", 10), ("delivered", 11))
    assert shipment.delivered is not None
    assert shipment.delivered.time == at(10)


# ------------------------------------------------------------ withdrawn scans


def test_a_scan_withdrawn_from_a_full_answer_is_retracted() -> None:
    first = receipt(scan("picked_up", 1), scan("delivered", 5), heard=10, full=True, asked=True, source="con_a/poll")
    second = receipt(scan("picked_up", 1), heard=20, full=True, asked=True, source="con_a/poll")
    before, after = shipment_of([first]), shipment_of([first, second])
    assert (before.status, after.status) == (S.DELIVERED, S.PICKED_UP)
    assert [event.retracted for event in after.events] == [False, True]
    assert K.CORRECTED in changes(before, after)


def test_a_partial_answer_withdraws_nothing() -> None:
    first = receipt(scan("picked_up", 1), scan("delivered", 5), heard=10)
    assert shipment_of([first, receipt(scan("picked_up", 1), heard=20)]).status is S.DELIVERED


def test_an_old_push_that_arrives_late_withdraws_nothing_newer_than_itself() -> None:
    newer = receipt(scan("picked_up", 1), scan("delivered", 5), heard=10, full=True)
    older = receipt(scan("picked_up", 1), heard=20, full=True)
    assert shipment_of([newer, older]).status is S.DELIVERED


def test_an_empty_full_answer_withdraws_nothing() -> None:
    first = receipt(scan("picked_up", 1), heard=10, full=True, asked=True)
    assert shipment_of([first, receipt(heard=20, full=True, asked=True)]).status is S.PICKED_UP


def test_a_scan_told_by_another_source_too_is_not_retracted_by_one() -> None:
    poll = receipt(scan("picked_up", 1), scan("delivered", 5), heard=10, full=True, asked=True, source="con_a/poll")
    push = receipt(scan("delivered", 5), heard=11, source="con_a/push")
    again = receipt(scan("picked_up", 1), heard=20, full=True, asked=True, source="con_a/poll")
    assert shipment_of([poll, push, again]).status is S.DELIVERED


# ------------------------------------------------------------ several sources


def test_a_push_and_a_poll_telling_of_the_same_scan_make_one_event_with_two_sources() -> None:
    one = scan("picked_up", 1, "已揽收")
    shipment = shipment_of([receipt(one, source="con_a/push", heard=1), receipt(one, source="con_a/poll", heard=2)])
    assert [event.sources for event in shipment.events] == [("con_a/push", "con_a/poll")]


def test_a_carrier_and_an_aggregator_telling_of_the_same_scan_in_other_words_make_one_event() -> None:
    own = receipt(scan("picked_up", 1, "已揽收"), source="con_sf/push", heard=1)
    told = receipt(scan("picked_up", 1, "Picked up by courier"), source="con_agg/poll", heard=2)
    shipment = shipment_of([own, told])
    assert [(event.text, event.sources) for event in shipment.events] == [("已揽收", ("con_sf/push", "con_agg/poll"))]


@pytest.mark.parametrize("first", [0, 1])
def test_one_that_says_only_that_it_is_on_its_way_tells_of_the_same_scan(first: int) -> None:
    own = receipt(scan("hub_arrived", 2, "到达中转场"), source="con_sf/poll", heard=1 + first)
    told = receipt(
        Scan(time=at(2, offset=None, certainty=Certainty.ASSUMED), code="in_transit", text="Moving"),
        source="con_agg/push",
        heard=2 - first,
    )
    shipment = shipment_of([own, told][:: 1 if first else -1])
    assert [(event.milestone, len(event.sources)) for event in shipment.events] == [(M.HUB_ARRIVED, 2)]
    assert shipment.events[0].time.offset == 480


def test_an_aggregator_that_cuts_the_seconds_still_tells_of_the_same_scan() -> None:
    exact = Scan(time=Moment(START + 37, 480, Certainty.GIVEN), code="picked_up", text="a")
    cut = Scan(time=Moment(START, 480, Certainty.ASSUMED), code="picked_up", text="b")
    shipment = shipment_of([receipt(exact, source="con_a/poll"), receipt(cut, source="con_b/poll")])
    assert [event.time.wall for event in shipment.events] == [START + 37]


def test_two_scans_of_one_source_in_the_same_second_stay_two() -> None:
    both = receipt(scan("hub_arrived", 1, "a"), scan("hub_arrived", 1, "b"), source="con_a/poll")
    other = receipt(scan("hub_arrived", 1, "A"), scan("hub_arrived", 1, "B"), source="con_b/poll")
    assert len(shipment_of([both]).events) == 2
    assert len(shipment_of([both, other]).events) == 2


def test_scans_of_the_same_second_keep_the_carriers_order_then_the_order_of_the_stages() -> None:
    told = receipt(scan("out_for_delivery", 1), scan("hub_arrived", 1))
    assert [e.milestone for e in shipment_of([told]).events] == [M.OUT_FOR_DELIVERY, M.HUB_ARRIVED]
    apart = [receipt(scan("out_for_delivery", 1)), receipt(scan("hub_arrived", 1))]
    assert [e.milestone for e in shipment_of(apart).events] == [M.HUB_ARRIVED, M.OUT_FOR_DELIVERY]


# ------------------------------------------------------------ summaries, silence


def test_a_summary_ahead_of_the_scans_counts_as_a_scan_and_is_marked() -> None:
    ahead = Summary(status=scan("delivered", 9, "签收"))
    shipment = shipment_of([receipt(scan("out_for_delivery", 5), summary=ahead)])
    assert shipment.status is S.DELIVERED
    assert [event.summary for event in shipment.events] == [False, True]


def test_a_summary_that_says_no_more_than_the_scans_invents_nothing() -> None:
    level = Summary(status=scan("in_transit", 5, "在途"))
    shipment = shipment_of([receipt(scan("out_for_delivery", 5), summary=level)])
    assert (shipment.status, len(shipment.events)) == (S.OUT_FOR_DELIVERY, 1)


def test_silence_expires_a_shipment_and_any_new_scan_wakes_it() -> None:
    document = shipment_of([receipt(scan("picked_up", 1), heard=1)]).document
    asleep = derive(structs.replace(document, expired_at=(START + 900 * HOUR) * 1000))
    assert asleep.status is S.EXPIRED
    awake = shipment_of([receipt(scan("hub_arrived", 2), heard=1000)], asleep.document)
    assert awake.status is S.IN_TRANSIT


def test_a_scan_without_a_time_happened_when_it_was_first_heard_and_is_one_however_often_told() -> None:
    untimed = Scan(time=None, code="picked_up", text="x")
    shipment = shipment_of([receipt(untimed, heard=7), receipt(untimed, heard=3)])
    assert [(e.time.wall, e.time.certainty) for e in shipment.events] == [(START + 3 * HOUR, Certainty.ASSUMED)]


def test_a_time_without_an_offset_is_shown_without_one() -> None:
    assert at(0, offset=None, certainty=Certainty.ASSUMED).iso().endswith("08:00:00")
    assert at(0).iso().endswith("+08:00")


# ------------------------------------------------------------ what is announced


def test_a_registration_with_scans_waiting_announces_itself_and_the_status_reached() -> None:
    assert changes(None, story(("picked_up", 1))) == (K.REGISTERED, K.PICKED_UP)


def test_a_second_hub_on_the_way_is_an_update() -> None:
    before, after = story(("hub_arrived", 1)), story(("hub_arrived", 1), ("hub_departed", 2))
    assert changes(before, after) == (K.UPDATED,)


def test_a_delivery_undone_is_announced_as_a_correction_and_as_the_status_that_holds() -> None:
    before = story(("delivered", 10))
    after = story(("delivered", 10), ("available_for_pickup", 11))
    assert changes(before, after) == (K.CORRECTED, K.AVAILABLE_FOR_PICKUP)


def test_the_same_receipt_twice_announces_nothing() -> None:
    once = receipt(scan("picked_up", 1))
    assert changes(shipment_of([once]), shipment_of([once, once])) == ()


def test_another_source_that_tells_the_same_is_kept_and_not_announced() -> None:
    once, again = receipt(scan("picked_up", 1)), receipt(scan("picked_up", 1), source="con_a/poll")
    before, after = shipment_of([once]), shipment_of([once, again])
    assert changes(before, after) == ()
    assert told_by(before) != told_by(after)


# ------------------------------------------------------------ any order, any repetition, any mix

_scans = st.builds(
    lambda milestone, hours, text, offset: Scan(
        time=Moment(START + hours * 1800, offset, Certainty.GIVEN), code=milestone, text=text
    ),
    st.sampled_from([m.value for m in Milestone]),
    st.integers(0, 200),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([480]),
)
_receipts = st.builds(
    lambda scans, source, heard, full, asked, summary: receipt(
        *sorted(scans, key=lambda s: s.time.wall if s.time else 0),
        source=source,
        heard=heard,
        full=full,
        asked=asked,
        summary=summary and Summary(status=summary),
    ),
    st.lists(_scans, max_size=5),
    st.sampled_from(["con_a/push", "con_a/poll", "con_b/poll", "con_c/push"]),
    st.integers(0, 300),
    st.booleans(),
    st.booleans(),
    st.none() | _scans,
)


def _seen(shipment: Shipment) -> Shipment:
    return structs.replace(shipment, document=structs.replace(shipment.document, revision=0, updated_at=0))


@settings(max_examples=150)
@given(st.lists(_receipts, max_size=6), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_receipts_gives_the_same_document(
    receipts: list[Receipt], rng: random.Random
) -> None:
    shuffled = [*receipts, *rng.sample(receipts, k=len(receipts) // 2)]
    rng.shuffle(shuffled)
    assert _seen(shipment_of(shuffled)) == _seen(shipment_of(receipts))


@settings(max_examples=100)
@given(st.lists(_receipts, max_size=6))
def test_no_scan_is_lost_and_only_marked_summaries_are_added(receipts: list[Receipt]) -> None:
    shipment = shipment_of(receipts)
    told = {(s.time.wall, s.code) for r in receipts for s in r.report.scans if s.time}
    kept = {(e.time.wall, e.milestone.value) for e in shipment.events if not e.summary}
    assert kept <= told
    assert {wall for wall, _ in kept} == {wall for wall, _ in told}
    assert {code for _, code in told - kept} <= {"in_transit", "note", "unknown"}, "only what says no more than another"


def test_a_problem_is_kept_until_the_carrier_answers_again() -> None:
    trouble = Problem(ProblemKind.NOT_FOUND, "no record")
    shipment = shipment_of([receipt(problem=trouble, heard=1)])
    assert shipment.document.sources[0].problem == trouble
    assert shipment_of([receipt(scan("picked_up", 1), heard=2)], shipment.document).document.sources[0].problem is None
