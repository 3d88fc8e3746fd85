"""AfterShip: the conformance kit, and what only AfterShip does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import aftership, conformance, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(aftership.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(aftership.carrier)
CREDENTIALS = {"api_key": "key"}
read, means = reader(aftership.carrier), meaning(aftership.carrier)


def test_the_aftership_adapter_conforms() -> None:
    conformance.check(aftership.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(aftership.carrier, FOLDER)


def test_delivered_to_a_locker_waits_for_its_recipient() -> None:
    locker = read("query-several.json")[2]
    assert means(locker.scans[-1]) == (M.AVAILABLE_FOR_PICKUP, None)
    assert locker.summary and locker.summary.status
    assert means(locker.summary.status) == (M.AVAILABLE_FOR_PICKUP, None)


def test_a_checkpoint_keeps_its_own_offset_and_lacks_one_where_the_carrier_gave_none() -> None:
    first, second, *_ = read("push-delivered.json")[0].scans
    assert first.time and second.time
    assert (first.time.offset, first.time.certainty) == (None, Certainty.ASSUMED)
    assert second.time.iso() == "2026-03-02T17:05:00-08:00"


def test_its_couriers_are_our_carriers() -> None:
    slugs = [aftership.carrier.carriers[report.carrier] for report in read("query-several.json")]
    assert slugs == ["ups", "singpost", "royalmail"]


def test_the_last_mile_is_the_successor_in_bodies_new_and_old() -> None:
    told = [
        report.summary and report.summary.successor
        for name in ("several", "older")
        for report in read(f"query-{name}.json")
    ]
    assert told == ["", "00340000000000000011", "", "XXXX-XXXX-0079"]


def test_expired_is_aftership_s_silence_and_moves_nothing() -> None:
    summary = read("query-trouble.json")[4].summary
    assert summary and summary.status
    assert means(summary.status)[0] is M.NOTE


def test_news_of_the_expected_day_is_no_history_and_claims_no_status() -> None:
    [report] = read("push-expected-day.json")
    assert (report.scans, report.full) == ((), False)
    assert report.summary and report.summary.expected_to
    assert (report.summary.expected_to.iso(), report.summary.status) == ("2026-03-08T00:00:00", None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-none-registered", ProblemKind.NOT_FOUND),
        ("error-pending", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-refused", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_tracking_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        aftership.parse(b'{"meta": {"code": 200}, "data": {"trackings": [{}]}}', "application/json")
    assert caught.value.path == "$.data.trackings[0].tracking_number"


async def test_a_query_takes_fifty_numbers() -> None:
    asks = [Ask(number=f"N{place}") for place in range(51)]
    body = (FIXTURES / "query-several.json").read_bytes()
    async with loopback({aftership.TRACKINGS: body}, CREDENTIALS) as (http, asked):
        replies = await aftership.fetch(http, asks)
    assert [len(one.query["tracking_numbers"].split(",")) for one in asked] == [50, 1]
    assert {one.headers["as-api-key"] for one in asked} == {"key"}
    assert len(replies) == 2


async def test_registering_names_the_courier_where_it_is_known() -> None:
    answer = (FIXTURES / "error-pending.json").read_bytes()
    asks = [
        Ask(number="1", carrier="singpost", postal_code="01067", ship_date="2026-03-01"),
        Ask(number="2", carrier="unheard_of"),
    ]
    async with loopback({aftership.TRACKINGS: answer}, CREDENTIALS) as (http, asked):
        assert await aftership.subscribe(http, asks, "https://example.org/hook") == {}
    assert [json.loads(one.body) for one in asked] == [
        {
            "tracking_number": "1",
            "slug": "singapore-post",
            "destination_postal_code": "01067",
            "tracking_ship_date": "20260301",
        },
        {"tracking_number": "2"},
    ]


@pytest.mark.parametrize(
    ("code", "refusals"),
    [(4003, {}), (4012, {"1": "4012: the carrier is not recognised"})],
)
async def test_a_number_that_is_followed_already_is_not_refused(code: int, refusals: dict[str, str]) -> None:
    answer = {"meta": {"code": code, "message": "the carrier is not recognised"}, "data": {}}
    async with loopback({aftership.TRACKINGS: json.dumps(answer).encode()}, CREDENTIALS) as (http, _):
        assert await aftership.subscribe(http, [Ask(number="1")], "") == refusals


@with_samples
def test_the_recorded_bodies_are_read_whole() -> None:
    [pending] = aftership.parse((SAMPLES / "01.json").read_bytes(), "application/json")
    [delivered] = aftership.parse((SAMPLES / "02.json").read_bytes(), "application/json")
    assert pending.problem and pending.problem.kind is ProblemKind.NOT_FOUND
    assert len(delivered.scans) == 14
    assert M.UNKNOWN not in {means(scan)[0] for scan in delivered.scans}
    assert means(delivered.scans[-1])[0] is M.DELIVERED
    assert {scan.time.certainty for scan in delivered.scans if scan.time} == {Certainty.GIVEN}
