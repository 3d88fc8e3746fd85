"""DHL Unified: the conformance kit, and what only DHL does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, dhl
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FIXTURES = Path(dhl.__file__).parent / "fixtures"
SAMPLES, with_samples = recorded(dhl.carrier)
read, means = reader(dhl.carrier), meaning(dhl.carrier)


def test_the_dhl_adapter_conforms() -> None:
    conformance.check(dhl.carrier, FIXTURES)


def test_a_token_beside_the_coarse_status_code_decides() -> None:
    told = {
        scan.code: means(scan)
        for name in ("query-parcel-nl.json", "query-returned.json")
        for scan in read(name)[0].scans
    }
    assert told["failure/NOT_HOME"] == (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT)
    assert told["transit/OUT_FOR_DELIVERY"] == (M.OUT_FOR_DELIVERY, None)
    assert told["transit/DELIVERED_AT_PARCELSHOP"] == (M.AVAILABLE_FOR_PICKUP, None)
    assert told["delivered/COLLECTED_AT_PARCELSHOP"] == (M.DELIVERED, None)
    assert told["transit/DELIVERED_AT_SHIPPER"] == (M.RETURNED, None)
    assert told["failure/STORAGE_PERIOD_ENDED_AT_PARCELSHOP"] == (M.EXCEPTION, R.MISSED_PICKUP)


def test_a_token_means_the_same_whichever_status_code_it_stands_beside() -> None:
    for token in dhl.TOKENS:
        assert {dhl.MILESTONES[f"{code}/{token}"] for code in dhl.UNDER} == {dhl.TOKENS[token]}


def test_sentences_beside_the_coarse_status_code_decide() -> None:
    told = [means(scan) for scan in read("query-exception.json")[0].scans]
    assert told[0] == (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT)
    assert told[1][0] is not M.UNKNOWN


def test_pre_transit_beside_the_token_delivered_is_not_delivered() -> None:
    row = {"timestamp": "2026-03-02T07:53:47Z", "statusCode": "pre-transit", "status": "DELIVERED"}
    [report] = dhl.parse(json.dumps({"shipments": [{"id": 7, "status": row, "events": []}]}).encode(), "")
    assert report.summary and report.summary.status
    assert report.summary.status.code == "pre-transit/DELIVERED"
    assert dhl.MILESTONES.get(report.summary.status.code) is None


def test_a_time_without_a_zone_stays_without_one_and_a_given_offset_stays_as_given() -> None:
    assert {scan.time.certainty for scan in read("query-delivered.json")[0].scans if scan.time} == {Certainty.ASSUMED}
    assert [scan.time.offset for scan in read("query-in-transit.json")[0].scans if scan.time] == [60, 0, 60, 60, 480]


def test_the_scans_of_one_second_keep_the_order_in_which_they_happened() -> None:
    texts = [scan.text for scan in read("query-in-transit.json")[0].scans]
    assert texts[2:4] == ["Processed at LEIPZIG-GERMANY", "Departed Facility in LEIPZIG-GERMANY"]


def test_a_shipment_without_events_is_its_status_alone_and_no_history() -> None:
    [report] = read("query-status-only.json")
    assert (report.waybill, report.scans, report.full) == ("2000000066", (), False)
    assert report.summary and report.summary.status
    assert means(report.summary.status)[0] is M.OUT_FOR_DELIVERY


def test_a_page_of_a_longer_list_is_no_whole_history() -> None:
    assert not read("query-paged.json")[0].full


def test_a_number_that_two_services_know_is_followed_where_it_moved_last() -> None:
    [report] = read("query-two-services.json")
    assert report.summary
    assert report.summary.service == "express"


def test_the_signer_s_name_leaves_the_words_for_signed_by() -> None:
    [report] = read("query-signed-for.json")
    assert report.summary
    assert report.summary.signed_by == "J. D***"
    assert not any("D***" in scan.text or "EXAMPLE" in scan.text for scan in report.scans)
    assert [means(scan)[0] for scan in report.scans] == [M.OUT_FOR_DELIVERY, M.DELIVERED, M.DELIVERED]


def test_weights_come_in_grams_whatever_their_unit() -> None:
    names = ("query-fresh.json", "query-delivered.json", "query-freight.json")
    assert [report.summary.weight_g for name in names for report in read(name) if report.summary] == [
        2000,
        366,
        2732800,
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-invalid", ProblemKind.INVALID),
        ("error-unauthorised", ProblemKind.REFUSED),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_problem_body_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_an_empty_list_of_shipments_is_not_found() -> None:
    [report] = dhl.parse(b'{"shipments": []}', "application/json")
    assert report.problem
    assert report.problem.kind is ProblemKind.NOT_FOUND


def test_a_not_found_names_its_number() -> None:
    assert read("error-not-found.json")[0].waybill == "2000000099"


def test_a_shipment_without_an_id_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        dhl.parse(b'{"shipments": [{"events": []}]}', "application/json")
    assert caught.value.path == "$.shipments[0].id"


async def test_each_number_is_asked_for_alone_with_the_key_in_its_header() -> None:
    answers = {"/track/shipments": (FIXTURES / "query-fresh.json").read_bytes()}
    asks = [Ask(number="2000000022"), Ask(number="3SXXX00000000001", postal_code="1000 AA")]
    async with loopback(answers, {"api_key": "key"}) as (http, asked):
        replies = await dhl.fetch(http, asks)
    assert [one.query for one in asked] == [
        {"trackingNumber": "2000000022", "language": "en"},
        {"trackingNumber": "3SXXX00000000001", "language": "en", "recipientPostalCode": "1000 AA"},
    ]
    assert {one.headers["dhl-api-key"] for one in asked} == {"key"}
    assert len(replies) == 2


@with_samples
def test_the_recorded_bodies_are_read_whole() -> None:
    for path in sorted(SAMPLES.glob("*.json")):
        events = [len(row.get("events", [])) for row in json.loads(path.read_bytes()).get("shipments", [])]
        reports = dhl.parse(path.read_bytes(), "application/json")
        assert [len(report.scans) for report in reports] == (events or [0])
        assert bool(events) is not bool(reports[0].problem)


@with_samples
def test_every_recorded_event_gets_a_milestone() -> None:
    for path in sorted(SAMPLES.glob("*.json")):
        for report in dhl.parse(path.read_bytes(), "application/json"):
            assert all(means(scan)[0] is not M.UNKNOWN for scan in report.scans)
