"""Australia Post: the conformance kit, and what only Australia Post does."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from carriers import auspost, conformance, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R, Report
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(auspost.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(auspost.carrier)
CREDENTIALS = {"api_key": "me", "password": "hush", "account_number": "0000000011"}
read, means = reader(auspost.carrier), meaning(auspost.carrier)


def status_of(report: Report) -> tuple[M, R | None]:
    assert report.summary and report.summary.status
    return means(report.summary.status)


def test_the_australia_post_adapter_conforms() -> None:
    conformance.check(auspost.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(auspost.carrier, FOLDER)


def test_received_by_australia_post_is_a_pick_up_and_a_wish_is_no_movement() -> None:
    told = [means(scan)[0] for scan in read("query-delivered.json")[0].scans]
    assert told == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_ARRIVED,
        M.IN_TRANSIT,
        M.NOTE,
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
    ]


def test_the_scans_of_one_second_keep_the_order_in_which_they_happened() -> None:
    texts = [scan.text for scan in read("query-delivered.json")[0].scans]
    assert texts[2:4] == ["Item processed at facility", "In transit to next facility in ABBOTSFORD VIC"]


def test_the_one_item_of_a_consignment_is_told_under_the_number_that_was_asked_for() -> None:
    international = read("query-delivered.json")[1]
    assert international.waybill == "EA000000011AU"
    assert len(international.scans) == 4
    assert international.summary
    assert international.summary.service == "International Express"
    assert status_of(international) == (M.NOTE, None)


def test_one_delivered_item_does_not_make_the_consignment_delivered() -> None:
    consignment, first, second = read("query-consignment.json")
    assert consignment.summary
    assert consignment.summary.pieces == (first.waybill, second.waybill)
    assert consignment.scans == ()
    assert [status_of(report)[0] for report in (consignment, first, second)] == [M.NOTE, M.DELIVERED, M.IN_TRANSIT]


def test_startrack_tells_what_the_consignment_and_its_item_share_once() -> None:
    report = read("query-startrack.json")[0]
    assert [means(scan)[0] for scan in report.scans] == [
        M.PICKED_UP,
        M.IN_TRANSIT,
        M.AT_DELIVERY_DEPOT,
        M.OUT_FOR_DELIVERY,
    ]


def test_ready_for_pickup_awaits_the_carrier_and_awaiting_collection_the_recipient() -> None:
    assert status_of(read("query-startrack.json")[-1]) == (M.INFO_RECEIVED, None)
    assert status_of(read("query-trouble.json")[0]) == (M.AVAILABLE_FOR_PICKUP, None)


def test_one_number_not_found_does_not_spoil_the_answer_for_the_others() -> None:
    *others, missing = read("query-trouble.json")
    assert missing.problem
    assert missing.problem.kind is ProblemKind.NOT_FOUND
    assert [len(report.scans) for report in others] == [3, 2, 2]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-empty", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-no-items", ProblemKind.NOT_FOUND),
        ("error-not-trackable", ProblemKind.INVALID),
        ("error-too-many", ProblemKind.INVALID),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_refusal_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_result_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        auspost.parse(b'{"tracking_results": [{"status": "Delivered"}]}', "application/json")
    assert caught.value.path == "$.tracking_results[0].tracking_id"


async def test_a_query_takes_ten_numbers_with_the_account_beside_the_key() -> None:
    asks = [Ask(number=f"009900000000000000{place:02}") for place in range(11)]
    body = (FIXTURES / "query-delivered.json").read_bytes()
    async with loopback({"/shipping/v1/track": body}, CREDENTIALS) as (http, asked):
        replies = await auspost.fetch(http, asks)
    assert [one.query["tracking_ids"] for one in asked] == [
        ",".join(ask.number for ask in some) for some in (asks[:10], asks[10:])
    ]
    assert {one.headers["authorization"] for one in asked} == {"Basic " + base64.b64encode(b"me:hush").decode()}
    assert {one.headers["account-number"] for one in asked} == {"0000000011"}
    assert len(replies) == 2


@with_samples
def test_the_recorded_body_is_read_whole() -> None:
    reports = auspost.parse((SAMPLES / "01.json").read_bytes(), "application/json")
    told = [[means(scan)[0] for scan in report.scans] for report in reports]
    assert [len(one) for one in told] == [8, 9, 10]
    assert [one[-1] for one in told] == [M.IN_TRANSIT, M.DELIVERED, M.DELIVERED]
    assert all(M.UNKNOWN not in one for one in told)
    assert {scan.time.certainty for report in reports for scan in report.scans if scan.time} == {Certainty.GIVEN}
