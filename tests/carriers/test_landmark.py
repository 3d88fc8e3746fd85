"""Landmark Global: the conformance kit, and what only Landmark does."""

from __future__ import annotations

from pathlib import Path

import pytest

from carriers import conformance, landmark, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from carriers.xml_reading import read_xml
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(landmark.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(landmark.carrier)
read, means = reader(landmark.carrier), meaning(landmark.carrier)


def test_the_landmark_adapter_conforms() -> None:
    conformance.check(landmark.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(landmark.carrier, FOLDER)


def test_a_journey_crosses_the_border_and_is_delivered() -> None:
    assert [means(scan)[0] for scan in read("query-delivered.xml")[0].scans] == [
        M.INFO_RECEIVED,
        M.HUB_ARRIVED,
        M.IN_TRANSIT,
        M.NOTE,
        M.HUB_DEPARTED,
        M.IN_TRANSIT,
        M.HUB_ARRIVED,
        M.CUSTOMS_CLEARED,
        M.IN_TRANSIT,
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
        M.DELIVERED,
    ]


def test_what_went_wrong_keeps_its_reason_and_a_return_is_none_before_it_is_back() -> None:
    returned, troubled = read("query-pieces.xml")
    assert [means(scan)[0] for scan in returned.scans[1:]] == [
        M.DELIVERY_FAILED,
        M.AVAILABLE_FOR_PICKUP,
        M.RETURNING,
        M.RETURNED,
    ]
    assert [means(scan) for scan in troubled.scans] == [
        (M.EXCEPTION, R.PAYMENT_DUE),
        (M.EXCEPTION, R.CUSTOMS),
        (M.IN_TRANSIT, None),
        (M.DELIVERY_FAILED, R.OTHER),
        (M.EXCEPTION, R.OTHER),
    ]


def test_american_times_are_read_month_first_and_twelve_is_midnight_or_noon() -> None:
    times = [scan.time for scan in read("query-american.xml")[0].scans]
    assert [time.iso() for time in times if time] == [
        "2026-03-02T08:12:00",
        "2026-03-03T12:30:00",
        "2026-03-03T23:45:00",
        "2026-03-04T00:05:00",
    ]
    assert {time.certainty for time in times if time} == {Certainty.ASSUMED}


def test_a_parcel_names_its_successor_and_landmarks_own_number_is_none() -> None:
    [delivered], [american] = read("query-delivered.xml"), read("query-american.xml")
    assert delivered.summary and american.summary
    assert (delivered.waybill, delivered.summary.successor) == ("LTN100000011N1", "EX000000011FR")
    assert american.summary.successor == ""


def test_two_packages_are_two_reports_that_know_of_each_other() -> None:
    reports = read("query-pieces.xml")
    assert [report.waybill for report in reports] == ["LTN100000033N1", "LTN100000033N2"]
    assert {report.summary.pieces for report in reports if report.summary} == {("LTN100000033N1", "LTN100000033N2")}


def test_a_package_without_events_is_no_whole_history() -> None:
    [report] = read("query-no-events.xml")
    assert (report.scans, report.full, report.problem) == ((), False, None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-login", ProblemKind.REFUSED),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-empty", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.xml")
    assert report.problem
    assert report.problem.kind is kind


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        (b"2026-03-02 09:10:00", b"yesterday", "$.Result.Packages.Package[0].Events.Event[0].DateTime"),
        (b"2026-03-02 09:10:00", b"13/02/2026 09:10 AM", "$.Result.Packages.Package[0].Events.Event[0].DateTime"),
        (b"TrackResponse", b"ShipResponse", "$"),
    ],
)
def test_what_can_not_be_read_is_an_error_with_its_path(before: bytes, after: bytes, path: str) -> None:
    body = (FIXTURES / "query-delivered.xml").read_bytes().replace(before, after)
    with pytest.raises(ParseError) as caught:
        landmark.parse(body, "application/xml")
    assert caught.value.path == path


async def test_each_number_is_asked_for_alone_with_the_login_inside() -> None:
    body = (FIXTURES / "query-delivered.xml").read_bytes()
    credentials = {"username": "me", "password": "a<b&c", "client_id": "9"}
    async with loopback({"/Track.php": body}, credentials) as (http, asked):
        replies = await landmark.fetch(http, [Ask(number="LTN1N1"), Ask(number="LTN2N1")])
    first, second = (read_xml(one.body) for one in asked)
    assert [child.tag for child in first.children] == ["Login", "Test", "ClientID", "TrackingNumber", "RetrievalType"]
    assert (first.text_at("Login/Password"), first.text_at("RetrievalType")) == ("a<b&c", "Historical")
    assert (first.text_at("TrackingNumber"), second.text_at("TrackingNumber")) == ("LTN1N1", "LTN2N1")
    assert len(replies) == 2


async def test_an_account_without_a_client_names_none() -> None:
    body = (FIXTURES / "query-delivered.xml").read_bytes()
    async with loopback({"/Track.php": body}, {"username": "me", "password": "hush"}) as (http, asked):
        await landmark.fetch(http, [Ask(number="LTN1N1")])
    assert read_xml(asked[0].body).find("ClientID") is None


@with_samples
def test_the_recorded_bodies_are_read_whole_and_every_scan_gets_a_milestone() -> None:
    for path in sorted(SAMPLES.glob("*.xml")):
        [report] = landmark.parse(path.read_bytes(), "application/xml")
        assert len(report.scans) == path.read_bytes().count(b"<Event>")
        assert all(means(scan)[0] is not M.UNKNOWN for scan in report.scans)
        assert {scan.time.certainty for scan in report.scans if scan.time} == {Certainty.ASSUMED}
