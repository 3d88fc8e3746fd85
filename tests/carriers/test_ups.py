"""UPS: the conformance kit, and what only UPS does."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from carriers import conformance, quality, ups
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(ups.__file__).parent
FIXTURES = FOLDER / "fixtures"
CREDENTIALS = {"client_id": "me", "client_secret": "hush", "webhook_secret": "token"}
TOKEN = {"/security/v1/oauth/token": b'{"access_token": "bearer-1", "expires_in": "14399"}'}
SUBSCRIPTION = "/api/track/v1/subscription/standard/package"
SAMPLES, with_samples = recorded(ups.carrier)
read, means = reader(ups.carrier), meaning(ups.carrier)


def test_the_ups_adapter_conforms() -> None:
    conformance.check(ups.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(ups.carrier, FOLDER)


def test_the_code_decides_within_its_type() -> None:
    told = {scan.code: means(scan)[0] for scan in read("query-delivered.json")[0].scans}
    assert told == {
        "M/MP": M.INFO_RECEIVED,
        "I/OR": M.PICKED_UP,
        "I/DP": M.HUB_DEPARTED,
        "I/AR": M.HUB_ARRIVED,
        "I/YP": M.HUB_ARRIVED,  # by its words, which say that it is processed
        "I/OT": M.OUT_FOR_DELIVERY,
        "D/FS": M.DELIVERED,
    }


def test_an_exception_type_is_not_always_one() -> None:
    told = {scan.code: means(scan)[0] for scan in read("query-customs.json")[0].scans}
    assert (told["X/U2"], told["X/SR"]) == (M.IN_TRANSIT, M.CUSTOMS_CLEARED)


def test_a_delivery_type_is_not_always_delivered_and_an_update_moves_nothing() -> None:
    told = {scan.code: means(scan) for scan in read("query-exception.json")[0].scans}
    assert told["D/LD"] == (M.OUT_FOR_DELIVERY, None)
    assert told["U/SU"] == (M.NOTE, None)
    assert told["X/48"] == (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT)
    assert told["RS"] == (M.RETURNED, None)


def test_a_parcel_at_an_access_point_waits_and_is_not_delivered_before_somebody_fetches_it() -> None:
    told = [means(scan)[0] for scan in read("query-access-point.json")[0].scans]
    assert told == [M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP, M.AVAILABLE_FOR_PICKUP, M.DELIVERED]


def test_what_the_sender_signs_for_is_returned_and_not_delivered() -> None:
    [report] = read("query-returned.json")
    assert means(report.scans[-1])[0] is M.RETURNED
    assert report.summary and report.summary.status
    assert means(report.summary.status)[0] is M.RETURNED


def test_the_offset_is_given_or_follows_from_the_same_instant_in_gmt_or_stays_unknown() -> None:
    times = {scan.code: scan.time for scan in read("query-customs.json")[0].scans if scan.time}
    assert (times["X/SR"].offset, times["X/SR"].certainty) == (60, Certainty.GIVEN)
    assert (times["X/U2"].offset, times["X/U2"].certainty) == (480, Certainty.GIVEN)
    assert (times["P/PU"].offset, times["P/PU"].certainty) == (None, Certainty.ASSUMED)


def test_the_offset_of_a_push_is_written_with_a_dot() -> None:
    [scan] = read("push-delivered.json")[0].scans
    assert scan.time
    assert scan.time.iso() == "2026-04-23T09:50:04-04:00"


def test_a_gmt_reading_that_no_clock_can_have_gives_no_offset() -> None:
    body = json.loads((FIXTURES / "push-out-for-delivery.json").read_bytes()) | {"gmtActivityTime": "131600"}
    [report] = ups.parse(json.dumps(body).encode(), "")
    assert report.scans[0].time
    assert report.scans[0].time.offset is None


def test_a_rescheduled_day_wins_over_the_scheduled_one_and_a_delivered_one_expects_none() -> None:
    [late], [done] = read("query-customs.json"), read("query-delivered.json")
    assert late.summary and late.summary.expected_from and late.summary.expected_to
    assert late.summary.expected_from.iso() == "2026-03-09T13:00:00"
    assert late.summary.expected_to.iso() == "2026-03-09T17:00:00"
    assert done.summary
    assert (done.summary.expected_from, done.summary.expected_to) == (None, None)


def test_two_pieces_are_two_reports_that_know_of_each_other() -> None:
    reports = read("query-pieces.json")
    assert [report.waybill for report in reports] == ["1ZXXXX000300000044", "1ZXXXX000300000045"]
    assert {report.summary.pieces for report in reports if report.summary} == {
        ("1ZXXXX000300000044", "1ZXXXX000300000045")
    }


def test_a_lone_package_stands_under_the_number_asked_for_and_names_its_successor() -> None:
    [report] = read("query-mail-innovations.json")
    assert report.waybill == "92000000000000000000000066"
    assert report.summary
    assert report.summary.successor == "92000000000000000000000077"


def test_the_current_status_repeats_the_newest_scan() -> None:
    [report] = read("query-delivered.json")
    assert report.summary and report.summary.status
    assert means(report.summary.status)[0] is M.DELIVERED
    assert report.summary.status.time == report.scans[-1].time


def test_a_push_is_one_event_and_no_history() -> None:
    [report] = read("push-out-for-delivery.json")
    assert (len(report.scans), report.full) == (1, False)


def test_the_recipient_is_nowhere_but_in_signed_by() -> None:
    [report] = read("query-delivered.json")
    assert report.summary
    assert report.summary.signed_by == "D***"
    assert not any("***" in scan.text + scan.location for scan in report.scans)
    assert "***" not in report.summary.destination


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-not-found-404", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-unauthorised", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_time_that_is_none_is_an_error_with_its_path() -> None:
    body = (FIXTURES / "query-fresh.json").read_bytes().replace(b'"20260422"', b'"April"')
    with pytest.raises(ParseError) as caught:
        ups.parse(body, "application/json")
    assert caught.value.path == "$.trackResponse.shipment[0].package[0].activity[0].date"


async def test_each_number_is_asked_for_alone_with_one_token() -> None:
    numbers = ("1ZXXXX000300000077", "1ZXXXX000300000011")
    body = (FIXTURES / "query-fresh.json").read_bytes()
    answers = TOKEN | {f"/api/track/v1/details/{number}": body for number in numbers}
    async with loopback(answers, CREDENTIALS) as (http, asked):
        replies = await ups.fetch(http, [Ask(number=number) for number in numbers])
    token, first, second = asked
    assert token.headers["authorization"] == f"Basic {base64.b64encode(b'me:hush').decode()}"
    assert token.body == b"grant_type=client_credentials"
    assert {one.headers["authorization"] for one in (first, second)} == {"Bearer bearer-1"}
    assert first.headers["transid"] != second.headers["transid"]
    assert len(replies) == 2


async def test_a_hundred_numbers_are_subscribed_at_once_and_the_refused_ones_are_named() -> None:
    answers = TOKEN | {SUBSCRIPTION: b'{"validTrackingNumbers": [], "invalidTrackingNumbers": ["1ZBAD"]}'}
    asks = [Ask(number=f"1ZXXXX0003{place:08}") for place in range(101)]
    async with loopback(answers, CREDENTIALS) as (http, asked):
        refused = await ups.subscribe(http, asks, "https://example.com/in/secret")
    wanted = [json.loads(one.body) for one in asked[1:]]
    assert [len(one["trackingNumberList"]) for one in wanted] == [100, 1]
    assert wanted[0]["destination"]["url"] == "https://example.com/in/secret"
    assert list(refused) == ["1ZBAD"]


async def test_a_subscription_refused_as_a_whole_refuses_each_number() -> None:
    answers = TOKEN | {SUBSCRIPTION: b'{"response": {"errors": [{"code": "VSS600", "message": "URL is empty"}]}}'}
    async with loopback(answers, CREDENTIALS) as (http, _):
        refused = await ups.subscribe(http, [Ask(number="1ZA"), Ask(number="1ZB")], "")
    assert refused == {"1ZA": "VSS600: URL is empty", "1ZB": "VSS600: URL is empty"}


async def test_a_refused_token_is_an_error_that_says_so() -> None:
    answers = {"/security/v1/oauth/token": b'{"response": {"errors": [{"code": "10401"}]}}'}
    async with loopback(answers, CREDENTIALS) as (http, _):
        with pytest.raises(ParseError, match="gave no token"):
            await ups.fetch(http, [Ask(number="1ZXXXX000300000011")])


@with_samples
def test_the_recorded_bodies_are_read_whole_and_every_scan_gets_a_milestone() -> None:
    for path in sorted(SAMPLES.glob("*.json")):
        [report] = ups.parse(path.read_bytes(), "application/json")
        shipments = json.loads(path.read_bytes()).get("trackResponse", {}).get("shipment", [])
        told = sum(len(package["activity"]) for row in shipments for package in row.get("package", []))
        assert len(report.scans) == told
        assert bool(report.problem) is not bool(told)
        assert all(means(scan)[0] is not M.UNKNOWN for scan in report.scans)
