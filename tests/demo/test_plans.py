"""Every test number reaches the status that its plan promises, whether it is asked for, pushed, or both."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

import pytest

from carriers.simulated import carrier
from tracker.demo.journeys import Journey, unfold
from tracker.demo.numbers import check_digit, is_ready, number, plan_of, ready
from tracker.demo.parcels import Parcel
from tracker.demo.plans import PLANS
from tracker.model import Document, Milestone, Reason, Shipment, Status
from tracker.normalise import classify
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge

NOW = 1_790_000_000.0
PACE = 0.7  # the demo's seconds for an hour: several scans fall into one second or two


def meaning(code: str, text: str) -> tuple[Milestone, Reason | None]:
    found = classify(carrier.milestones, code, text)
    return found.milestone, found.reason


def heard(shipments: Iterable[tuple[float, str, dict[str, object]]]) -> Shipment:
    """What follows from (when, source, what the carrier told)."""
    document = Document(id="shp_1", account="default", waybill="", carrier="simulated", registered_at=0, updated_at=0)
    for at, source, told in shipments:
        asked = source.endswith("/poll")
        body = json.dumps({"shipments": [told], "errors": []} if asked else {"event": "scan", "shipment": told})
        [report] = carrier.parse(body.encode(), "application/json")
        receipt = Receipt(source=source, heard_at=int(at * 1000), report=report, asked=asked)
        document = merge(document, receipt, meaning)
    return derive(document)


def journey(waybill: str) -> Journey:
    return unfold(waybill, PLANS[waybill[3:6]], seed=1, start=NOW, seconds_per_hour=PACE)


def told(waybill: str, source: str) -> list[tuple[float, str, dict[str, object]]]:
    """The tellings of a journey: each pushed, or asked for right after."""
    parcel, tellings = Parcel(journey(waybill)), []
    while (at := parcel.due()) is not None:
        telling = parcel.tell()
        if source == "con_1/poll":
            tellings.append((at + 0.1, source, parcel.answer()))
        elif not telling.withdrawn:
            tellings.append((at, source, parcel.news(telling)))
    return tellings


DERIVED = [plan for plan, about in PLANS.items() if about.reaches not in ("pending", "expired")]


@pytest.mark.parametrize("plan", DERIVED)
def test_a_ready_number_that_is_asked_for_stands_where_its_plan_ends(plan: str) -> None:
    *_, (at, source, whole) = told(ready(plan), "con_1/poll")
    assert heard([(NOW, source, whole)]).status == PLANS[plan].reaches
    assert at < NOW


@pytest.mark.parametrize("plan", DERIVED)
@pytest.mark.parametrize("source", ["con_1/poll", "con_1/push"])
def test_a_live_number_stands_there_in_the_end_polled_or_pushed(plan: str, source: str) -> None:
    assert heard(told(number(plan, 1), source)).status == PLANS[plan].reaches


@pytest.mark.parametrize("plan", DERIVED)
def test_pushes_and_polls_mixed_and_shuffled_make_no_second_event_and_the_same_end(plan: str) -> None:
    both = told(number(plan, 1), "con_1/push") + told(number(plan, 1), "con_1/poll")
    random.Random(plan).shuffle(both)
    shipment = heard(both)
    assert shipment.status == PLANS[plan].reaches
    assert len(shipment.events) == len({(step["id"], step["text"]) for step in scans(number(plan, 1))})


def scans(waybill: str) -> list[dict[str, str]]:
    return [telling.scan for telling in journey(waybill).tellings]


def test_every_status_has_a_test_number() -> None:
    assert {plan.reaches for plan in PLANS.values()} == set(Status)


def test_no_text_names_a_person_and_every_placeholder_is_filled() -> None:
    for plan in PLANS:
        for scan in scans(ready(plan)):
            assert "{" not in scan["text"]
            assert "138****0000" in scan["text"] or not any(mark in scan["text"] for mark in ("138", "139"))


def test_a_signature_that_the_carrier_takes_back_is_marked_as_withdrawn() -> None:
    shipment = heard(told(number("WDR", 1), "con_1/poll"))
    assert [event.milestone for event in shipment.events if event.retracted] == [Milestone.DELIVERED]


def test_a_hub_scan_timed_after_the_delivery_is_stray() -> None:
    shipment = heard(told(number("STR", 1), "con_1/push"))
    assert [event.milestone for event in shipment.events if event.stray] == [Milestone.HUB_DEPARTED]


def test_the_pace_of_the_demo_leaves_no_moving_parcel_without_news_for_six_seconds() -> None:
    silent = {"STL", "MOV"}
    for code, plan in PLANS.items():
        gaps = [step.hours * PACE for step in plan.steps if not step.late]
        assert code in silent or max(gaps, default=0) < 6


def test_a_number_holds_its_plan_and_any_one_wrong_digit_is_noticed() -> None:
    good = number("DLV", 12_345_678)
    assert (plan_of(good), is_ready(good), is_ready(ready("DLV"))) == ("DLV", False, True)
    for place in range(6, len(good)):
        for other in set("0123456789") - {good[place]}:
            assert plan_of(good[:place] + other + good[place + 1 :]) is None


def test_the_check_digit_is_that_of_an_isin() -> None:
    assert check_digit("US037833100") == 5  # Apple Inc., ISIN US0378331005
