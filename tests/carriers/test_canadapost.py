"""Canada Post: the conformance kit, and what only Canada Post does."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from carriers import canadapost, conformance, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(canadapost.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(canadapost.carrier)
read, means = reader(canadapost.carrier), meaning(canadapost.carrier)


def test_the_canadapost_adapter_conforms() -> None:
    conformance.check(canadapost.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(canadapost.carrier, FOLDER)


def test_a_journey_goes_from_the_data_to_the_signature() -> None:
    assert [means(scan)[0] for scan in read("query-delivered.xml")[0].scans] == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_ARRIVED,
        M.HUB_DEPARTED,
        M.IN_TRANSIT,
        M.IN_TRANSIT,
        M.AT_DELIVERY_DEPOT,
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
        M.NOTE,
    ]


def test_a_card_and_a_locker_wait_for_the_recipient() -> None:
    assert [means(scan)[0] for scan in read("query-pickup.xml")[0].scans[1:]] == [
        M.AVAILABLE_FOR_PICKUP,
        M.AVAILABLE_FOR_PICKUP,
        M.DELIVERED,
    ]
    assert [means(scan)[0] for scan in read("query-locker.xml")[0].scans[1:]] == [M.AVAILABLE_FOR_PICKUP, M.DELIVERED]


def test_the_way_back_is_told_from_the_way_there_by_its_words() -> None:
    scans = read("query-returned.xml")[0].scans
    assert [scan.code for scan in scans] == ["174", "1411", "1417", "174/sender", "1496/sender"]
    assert [means(scan) for scan in scans[1:]] == [
        (M.DELIVERY_FAILED, R.CLOSED),
        (M.RETURNING, R.RECIPIENT_REFUSED),
        (M.RETURNING, None),
        (M.RETURNED, None),
    ]


def test_the_zone_beside_a_time_is_its_offset_and_another_zone_stays_unknown() -> None:
    delay, *_, weather, route = (scan.time for scan in read("query-transit.xml")[0].scans)
    assert delay and weather and route
    assert delay.iso() == "2026-03-05T11:00:00-08:00"
    assert (weather.iso(), weather.certainty) == ("2026-03-07T05:00:00", Certainty.ASSUMED)
    assert (route.iso(), route.certainty) == ("2026-03-07T06:19:57-03:30", Certainty.GIVEN)
    origin = read("query-customs.xml")[0].scans[0].time
    assert origin
    assert origin.offset is None


def test_the_changed_day_wins_and_one_that_is_none_costs_no_events() -> None:
    [changed], [_, odd] = read("query-transit.xml"), read("query-customs.xml")
    assert changed.summary and changed.summary.expected_to and odd.summary
    assert changed.summary.expected_to.iso() == "2026-03-12T00:00:00"
    assert (odd.summary.expected_to, len(odd.scans)) == (None, 1)


def test_a_name_is_nowhere_but_in_signed_by() -> None:
    [report] = read("query-delivered.xml")
    assert report.summary
    assert report.summary.signed_by == "M G***"
    assert not any("***" in scan.text + scan.location for scan in report.scans)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-refused", ProblemKind.REFUSED),
        ("error-refused-endpoint", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_message_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.xml")
    assert report.problem
    assert report.problem.kind is kind


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"<wrapper><tracking-detail><pin/></tracking-detail></wrapper>", "$.tracking-detail[0].pin"),
        (b"<wrapper/>", "$"),
    ],
)
def test_what_is_missing_is_an_error_with_its_path(body: bytes, path: str) -> None:
    with pytest.raises(ParseError) as caught:
        canadapost.parse(body, "application/xml")
    assert caught.value.path == path


def test_a_date_that_is_none_is_an_error_with_its_path() -> None:
    body = (FIXTURES / "query-locker.xml").read_bytes().replace(b"2026-03-10", b"March 10")
    with pytest.raises(ParseError) as caught:
        canadapost.parse(body, "application/xml")
    assert caught.value.path == "$.significant-events.occurrence[0].event-date"


async def test_each_number_is_asked_for_alone_in_xml_and_english() -> None:
    numbers = ("1000000000000011", "1000000000000022")
    body = (FIXTURES / "query-delivered.xml").read_bytes()
    answers = {f"/vis/track/pin/{number}/detail": body for number in numbers}
    async with loopback(answers, {"username": "me", "password": "hush"}) as (http, asked):
        replies = await canadapost.fetch(http, [Ask(number=number) for number in numbers])
    assert {one.headers["authorization"] for one in asked} == {"Basic " + base64.b64encode(b"me:hush").decode()}
    assert {one.headers["accept"] for one in asked} == {"application/vnd.cpc.track-v2+xml"}
    assert {one.headers["accept-language"] for one in asked} == {"en-CA"}
    assert len(replies) == 2


@with_samples
def test_the_recorded_body_is_read_whole() -> None:
    [report] = canadapost.parse((SAMPLES / "01.xml").read_bytes(), "application/xml")
    assert [means(scan)[0] for scan in report.scans] == [
        M.NOTE,
        M.DELIVERED,
        M.DELAYED,
        M.HUB_ARRIVED,
        M.OUT_FOR_DELIVERY,
        M.NOTE,
    ]
    assert {scan.time.offset for scan in report.scans if scan.time} == {-300}
