"""InPost: the conformance kit, and what only InPost does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, inpost, quality
from carriers.sdk import Ask, M, ParseError, ProblemKind, Push, R, Report
from tests.carriers.adapter import meaning, reader
from tests.carriers.loopback_http import loopback

FOLDER = Path(inpost.__file__).parent
FIXTURES = FOLDER / "fixtures"
read, means = reader(inpost.carrier), meaning(inpost.carrier)


def pushed(**payload: object) -> list[Report]:
    event = {
        "event_ts": "2026-03-29 08:11:20 +0200",
        "event": inpost.CHANGED,
        "payload": {"shipment_id": 49, **payload},
    }
    return inpost.parse(json.dumps(event).encode(), "application/json")


def test_the_inpost_adapter_conforms() -> None:
    conformance.check(inpost.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(inpost.carrier, FOLDER)


def test_a_parcel_in_a_locker_waits_and_is_delivered_once_it_is_taken_out() -> None:
    [report] = read("query-delivered.json")
    assert [means(scan)[0] for scan in report.scans][-5:] == [
        M.AT_DELIVERY_DEPOT,
        M.OUT_FOR_DELIVERY,
        M.AVAILABLE_FOR_PICKUP,
        M.AVAILABLE_FOR_PICKUP,
        M.DELIVERED,
    ]
    assert report.summary
    assert (report.summary.origin, report.summary.destination) == ("BBB02B", "AAA01A")


def test_the_scans_of_one_second_keep_the_order_in_which_they_happened() -> None:
    codes = [scan.code for scan in read("query-delivered.json")[0].scans]
    assert codes[6:8] == ["adopted_at_sorting_center", "sent_from_sorting_center"]


def test_kept_in_another_locker_it_can_be_collected_until_it_is_brought_on() -> None:
    [report] = read("query-stored-elsewhere.json")
    assert [means(scan)[0] for scan in report.scans] == [M.OUT_FOR_DELIVERY, M.AVAILABLE_FOR_PICKUP, M.IN_TRANSIT]
    assert report.summary and report.summary.status and report.summary.status.time
    assert report.summary.status.time.iso() == "2026-03-30T07:30:00+02:00"


def test_returned_to_sender_has_set_off_and_is_not_there() -> None:
    [report] = read("query-returning.json")
    assert [means(scan) for scan in report.scans][1:] == [
        (M.DELIVERY_FAILED, R.PAYMENT_DUE),
        (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
        (M.RETURNING, R.RECIPIENT_ABSENT),
        (M.RETURNING, None),
    ]


def test_without_a_history_the_status_stands_alone() -> None:
    [report] = read("query-fresh.json")
    assert not report.full
    assert report.summary and report.summary.status
    assert means(report.summary.status) == (M.INFO_RECEIVED, None)


def test_a_push_is_the_scan_that_a_query_tells_too() -> None:
    [told] = read("push-status.json")[0].scans
    [asked] = [scan for scan in read("query-delivered.json")[0].scans if scan.code == told.code]
    assert (told.time, told.code) == (asked.time, asked.code)


def test_a_push_about_a_shipment_without_a_number_is_about_no_parcel() -> None:
    assert pushed(status="offers_prepared", tracking_number=None) == []


def test_a_change_to_no_status_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        pushed(tracking_number="600000000000000000000011")
    assert caught.value.path == "$.payload.status"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-invalid", ProblemKind.INVALID),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-refused", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_refusal_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


async def test_a_query_asks_for_each_number_without_a_token() -> None:
    path = "/v1/tracking/600000000000000000000011"
    async with loopback({path: (FIXTURES / "query-delivered.json").read_bytes()}, {}) as (http, asked):
        replies = await inpost.fetch(http, [Ask(number="600000000000000000000011")])
    assert [one.path for one in asked] == [path]
    assert "authorization" not in asked[0].headers
    assert len(replies) == 1


def test_the_get_by_which_inpost_tries_an_address_is_answered_200() -> None:
    assert inpost.greet(Push(headers={}, query={}, body=b""), {}) == (200, "", b"")
