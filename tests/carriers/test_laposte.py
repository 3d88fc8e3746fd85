"""La Poste: the conformance kit, and what only La Poste does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, laposte, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import reader, recorded
from tests.carriers.loopback_http import loopback
from tracker.normalise import classify

FOLDER = Path(laposte.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(laposte.carrier)
read = reader(laposte.carrier)


def test_the_la_poste_adapter_conforms() -> None:
    conformance.check(laposte.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(laposte.carrier, FOLDER)


def test_one_number_not_found_does_not_spoil_the_answer_for_the_others() -> None:
    abroad, missing, back = read("query-several.json")
    assert (missing.waybill, missing.problem and missing.problem.kind) == ("6A00000000099", ProblemKind.NOT_FOUND)
    assert (len(abroad.scans), len(back.scans)) == (5, 9)


def test_sent_back_and_back_with_the_sender_are_two_things() -> None:
    told = {scan.code: classify(laposte.MILESTONES, scan.code, "") for scan in read("query-several.json")[2].scans}
    assert (told["RE1"].milestone, told["DI2"].milestone) == (M.RETURNING, M.RETURNED)
    assert (told["ND1"].milestone, told["ND1"].reason) == (M.EXCEPTION, R.OTHER)


def test_a_code_that_says_little_gives_way_to_its_english_label() -> None:
    [report] = read("query-problems.json")
    told = [classify(laposte.MILESTONES, scan.code, scan.text) for scan in report.scans]
    assert [(one.milestone, one.reason) for one in told] == [
        (M.EXCEPTION, R.OTHER),
        (M.PICKED_UP, None),
        (M.NOTE, None),
        (M.NOTE, None),
        (M.EXCEPTION, R.ADDRESS_PROBLEM),
        (M.DELAYED, None),
        (M.OUT_FOR_DELIVERY, None),
        (M.DELIVERY_FAILED, R.OTHER),
        (M.DELIVERED, None),
    ]


def test_held_by_customs_says_so() -> None:
    last = read("query-several.json")[0].scans[-1]
    found = classify(laposte.MILESTONES, last.code, last.text)
    assert (found.milestone, found.reason) == (M.CUSTOMS_ENTERED, R.CUSTOMS)


def test_the_scans_of_one_second_keep_the_order_in_which_they_happened() -> None:
    texts = [scan.text for scan in read("query-delivered.json")[0].scans if scan.code == "ET1"]
    assert texts[0].endswith("d'acheminement.")


def test_a_date_is_expected_only_until_the_parcel_is_delivered() -> None:
    summaries = [read(name)[0].summary for name in ("query-delivered.json", "query-several.json", "query-fresh.json")]
    dates = [summary.expected_to.iso() if summary and summary.expected_to else None for summary in summaries]
    assert dates == [None, "2026-03-10T18:00:00-05:00", "2026-03-06T00:00:00+01:00"]


def test_the_partner_s_number_is_the_successor() -> None:
    summary = read("query-several.json")[0].summary
    assert summary
    assert (summary.successor, summary.origin, summary.destination) == ("PX0000000000001", "FR", "CA")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-invalid", ProblemKind.INVALID),
        ("error-refused", ProblemKind.REFUSED),
        ("error-gateway", ProblemKind.REFUSED),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-limited", ProblemKind.LIMITED),
        ("error-quota", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_refusal_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_date_beside_the_scans_that_can_not_be_read_costs_no_scan() -> None:
    body = json.loads((FIXTURES / "query-fresh.json").read_bytes())
    body[0]["shipment"]["estimDate"] = "soon"
    [report] = laposte.parse(json.dumps(body).encode(), "application/json")
    assert report.scans


def test_a_scan_with_a_time_that_is_none_is_an_error_with_its_path() -> None:
    body = (FIXTURES / "query-fresh.json").read_bytes().replace(b"2026-03-03T09:00:00+01:00", b"soon")
    with pytest.raises(ParseError) as caught:
        laposte.parse(body, "application/json")
    assert caught.value.path == "$[0].shipment.event[0].date"


async def test_a_query_takes_ten_numbers_with_the_key_in_its_header() -> None:
    asks = [Ask(number=f"6A{place:011}") for place in range(11)]
    paths = ["/suivi/v2/idships/" + ",".join(ask.number for ask in some) for some in (asks[:10], asks[10:])]
    body = (FIXTURES / "query-fresh.json").read_bytes()
    async with loopback(dict.fromkeys(paths, body), {"okapi_key": "key"}) as (http, asked):
        replies = await laposte.fetch(http, asks)
    assert [one.path for one in asked] == paths
    assert {(one.query["lang"], one.headers["x-okapi-key"]) for one in asked} == {("en_GB", "key")}
    assert len(replies) == 2


@with_samples
def test_the_recorded_body_is_read_whole() -> None:
    [report] = laposte.parse((SAMPLES / "01.json").read_bytes(), "application/json")
    told = [classify(laposte.MILESTONES, scan.code, "").milestone for scan in report.scans]
    assert told[:2] == [M.INFO_RECEIVED, M.PICKED_UP]
    assert told[-2:] == [M.AT_DELIVERY_DEPOT, M.DELIVERED]
    assert len(told) == 9
    assert {scan.time.certainty for scan in report.scans if scan.time} == {Certainty.GIVEN}
