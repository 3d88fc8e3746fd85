"""Shippo: the conformance kit, and what only Shippo does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, quality, shippo
from carriers.sdk import Ask, M, ParseError, ProblemKind, Push
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(shippo.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(shippo.carrier)
CREDENTIALS = {"token": "token"}
read, means = reader(shippo.carrier), meaning(shippo.carrier)


def test_the_shippo_adapter_conforms() -> None:
    conformance.check(shippo.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(shippo.carrier, FOLDER)


def test_the_words_tell_a_parcel_on_its_way_back_from_one_that_is_back() -> None:
    going, back = read("query-trouble.json")[0].scans[-2:]
    assert (means(going)[0], means(back)[0]) == (M.RETURNING, M.RETURNED)


def test_with_an_unknown_status_the_words_decide_alone_and_nothing_is_guessed() -> None:
    [report] = read("unknown-status.json")
    assert [means(scan)[0] for scan in report.scans] == [M.INFO_RECEIVED, M.UNKNOWN, M.IN_TRANSIT]


def test_a_history_from_new_to_old_is_turned_round() -> None:
    assert [scan.code for scan in read("query-in-transit.json")[0].scans] == ["PRE_TRANSIT", "TRANSIT"]


def test_an_expected_day_at_midnight_is_a_day_and_one_in_words_is_none() -> None:
    [midnight], [words] = read("query-delivered.json"), read("query-in-transit.json")
    assert midnight.summary and midnight.summary.expected_to and words.summary
    assert (midnight.summary.expected_to.iso(), midnight.summary.expected_to.offset) == ("2026-03-04T00:00:00", None)
    assert words.summary.expected_to is None


def test_its_carriers_are_ours() -> None:
    reports = [*read("query-trouble.json"), *read("query-status-only.json")]
    assert [shippo.carrier.carriers[report.carrier] for report in reports] == ["canadapost", "royalmail"]


def test_an_event_of_something_else_tells_nothing() -> None:
    assert shippo.parse(b'{"event": "transaction_created", "data": {"status": "SUCCESS"}}', "application/json") == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-not-yet-known", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-bad-request", ProblemKind.INVALID),
        ("error-refused", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_track_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        shippo.parse(b'{"event": "track_updated", "data": {"tracking_history": []}}', "application/json")
    assert caught.value.path == "$.data.tracking_number"


@pytest.mark.parametrize(
    ("query", "credentials", "genuine"),
    [
        ({"token": "word"}, {"webhook_token": "word"}, True),
        ({"token": "other"}, {"webhook_token": "word"}, False),
        ({}, {"webhook_token": "word"}, False),
        ({}, {}, False),
        ({"token": "word"}, {"webhook_token": "word", "webhook_secret": "given by Shippo"}, False),
    ],
)
def test_an_unsigned_push_needs_the_word_in_its_address_and_is_refused_where_there_is_a_secret(
    query: dict[str, str], credentials: dict[str, str], genuine: bool
) -> None:
    assert shippo.verify(Push(headers={}, query=query, body=b"{}"), credentials) is genuine


async def test_each_number_is_asked_for_with_its_carrier() -> None:
    body = (FIXTURES / "query-delivered.json").read_bytes()
    paths = ["/tracks/royal_mail/A/1", "/tracks/shippo/SHIPPO_TRANSIT"]
    async with loopback(dict.fromkeys(paths, body), CREDENTIALS) as (http, asked):
        asks = [Ask(number="A/1", carrier="royalmail"), Ask(number="SHIPPO_TRANSIT", carrier="shippo")]
        replies = await shippo.fetch(http, asks)
    assert [one.path for one in asked] == paths
    assert {one.headers["authorization"] for one in asked} == {"ShippoToken token"}
    assert len(replies) == 2


def test_a_number_of_no_carrier_can_t_be_asked_for() -> None:
    assert (shippo.needs(Ask(number="1")), shippo.needs(Ask(number="1", carrier="ups"))) == ("carrier", "")


@pytest.mark.parametrize(
    ("answer", "refusals"),
    [
        ("query-delivered", {}),
        ("error-refused", {"1": "Invalid token."}),
        ("error-bad-request", {"1": "JSON parse error"}),
    ],
)
async def test_registering_names_the_refused(answer: str, refusals: dict[str, str]) -> None:
    body = (FIXTURES / f"{answer}.json").read_bytes()
    async with loopback({"/tracks/": body}, CREDENTIALS) as (http, asked):
        assert await shippo.subscribe(http, [Ask(number="1", carrier="canadapost")], "") == refusals
    assert json.loads(asked[0].body) == {"carrier": "canada_post", "tracking_number": "1"}


@with_samples
def test_the_recorded_bodies_are_read_whole() -> None:
    [announced], [moving] = (shippo.parse((SAMPLES / f"0{n}.json").read_bytes(), "application/json") for n in (1, 2))
    assert [means(scan)[0] for scan in announced.scans] == [M.INFO_RECEIVED]
    assert [means(scan)[0] for scan in moving.scans] == [M.INFO_RECEIVED, M.HUB_DEPARTED]
    assert moving.summary
    assert (moving.summary.service, moving.summary.destination) == ("Priority Mail", "Chicago, IL, US")
