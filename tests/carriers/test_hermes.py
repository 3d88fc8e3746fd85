"""Hermes Germany: the conformance kit, and what only Hermes does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, hermes, quality
from carriers.hermes import codes
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R, form
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(hermes.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(hermes.carrier)
CREDENTIALS = {"client_id": "app", "client_secret": "hush", "username": "me", "password": "p&ss"}
TOKENS = "/authorization-facade/oauth2/access_token"
TOKEN = b'{"access_token": "bearer-1", "expires_in": "3599", "token_type": "Bearer"}'
read, means = reader(hermes.carrier), meaning(hermes.carrier)


def test_the_hermes_adapter_conforms() -> None:
    conformance.check(hermes.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(hermes.carrier, FOLDER)


def test_a_delivery_runs_from_the_announcement_to_the_letterbox() -> None:
    [report] = read("query-delivered.json")
    assert [means(scan)[0] for scan in report.scans] == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_ARRIVED,
        M.AT_DELIVERY_DEPOT,  # by its words
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
    ]


def test_back_at_the_depot_is_not_back_with_the_sender() -> None:
    absent, uncollected, *_ = read("query-several.json")
    assert [means(scan) for scan in absent.scans][1:] == [
        (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
        (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
        (M.NOTE, None),
    ]
    assert [means(scan) for scan in uncollected.scans] == [
        (M.AVAILABLE_FOR_PICKUP, None),
        (M.EXCEPTION, R.MISSED_PICKUP),
        (M.RETURNING, R.MISSED_PICKUP),
        (M.RETURNED, None),
    ]


def test_the_slot_of_the_forecast_is_german_time() -> None:
    summary, whole_day = (report.summary for report in read("query-several.json")[:2])
    assert summary and summary.expected_from and summary.expected_to
    assert summary.expected_from.iso() == "2026-03-30T10:00:00+02:00"
    assert summary.expected_to.certainty is Certainty.CARRIER_RULE
    assert whole_day and whole_day.expected_to
    assert (whole_day.expected_from, whole_day.expected_to.iso()) == (None, "2026-03-31T00:00:00+02:00")


def test_the_number_at_the_partner_abroad_is_the_successor() -> None:
    abroad = read("query-several.json")[2]
    assert abroad.summary
    assert (abroad.summary.successor, abroad.summary.destination) == ("00000000000000000042", "Linz, AUT")
    assert [means(scan)[0] for scan in abroad.scans] == [M.HANDED_OVER, M.CUSTOMS_ENTERED]


def test_a_code_of_three_groups_means_what_its_code_of_four_digits_means() -> None:
    [report] = read("query-finer-codes.json")
    assert [(scan.code, means(scan)[0]) for scan in report.scans] == [
        ("000/000/000", M.INFO_RECEIVED),
        ("045/001/008", M.PICKED_UP),
        ("050/001/003", M.OUT_FOR_DELIVERY),
        ("090/001/004", M.DELIVERED),
    ]
    assert set(codes.FINER.values()) <= set(codes.FOUR)


def test_one_number_not_found_does_not_spoil_the_answer_for_the_others() -> None:
    *others, missing = read("query-several.json")
    assert missing.problem
    assert missing.problem.kind is ProblemKind.NOT_FOUND
    assert [len(report.scans) for report in others] == [4, 4, 2]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-empty", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-token", ProblemKind.REFUSED),
        ("error-denied", ProblemKind.REFUSED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_refusal_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_forecast_that_can_not_be_read_costs_no_scan() -> None:
    body = json.loads((FIXTURES / "query-several.json").read_bytes())
    body["shipmentinfo"][0]["deliveryForecast"]["date"] = "soon"
    assert len(hermes.parse(json.dumps(body).encode(), "application/json")[0].scans) == 4


def test_a_shipment_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        hermes.parse(b'{"shipmentinfo": [{"status": []}]}', "application/json")
    assert caught.value.path == "$.shipmentinfo[0].shipmentID"


async def test_a_query_takes_a_hundred_numbers_and_one_token() -> None:
    asks = [Ask(number=f"H{place:019}") for place in range(101)]
    body = (FIXTURES / "query-delivered.json").read_bytes()
    async with loopback({TOKENS: TOKEN, "/shipmentinfo": body}, CREDENTIALS) as (http, asked):
        replies = await hermes.fetch(http, asks)
    token, *queries = asked
    assert form(token.body) == CREDENTIALS | {"grant_type": "password"}
    assert [one.query["shipmentID"] for one in queries] == [asks[0].number, asks[100].number]
    assert {one.headers["authorization"] for one in queries} == {"Bearer bearer-1"}
    assert {one.headers["accept-language"] for one in queries} == {"EN"}
    assert len(replies) == 2


async def test_a_refused_token_is_an_error_that_says_so() -> None:
    answers = {TOKENS: b'{"error": "invalid_grant", "error_description": "wrong password"}'}
    async with loopback(answers, CREDENTIALS) as (http, _):
        with pytest.raises(ParseError, match="gave no token"):
            await hermes.fetch(http, [Ask(number="H0000000000000000011")])


@with_samples
def test_the_recorded_body_is_read_whole() -> None:
    [report] = hermes.parse((SAMPLES / "01.json").read_bytes(), "application/json")
    told = [means(scan)[0] for scan in report.scans]
    assert told == [M.INFO_RECEIVED, M.AT_DELIVERY_DEPOT, M.OUT_FOR_DELIVERY, M.DELIVERED]
    assert {scan.time.certainty for scan in report.scans if scan.time} == {Certainty.GIVEN}
    assert report.summary and report.summary.expected_to
    assert report.summary.destination == "Hamburg, DEU"
