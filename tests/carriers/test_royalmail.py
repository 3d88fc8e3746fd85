"""Royal Mail: the conformance kit, and what only Royal Mail does."""

from __future__ import annotations

from pathlib import Path

import pytest

from carriers import conformance, quality, royalmail
from carriers.royalmail import codes
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FOLDER = Path(royalmail.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(royalmail.carrier)
CREDENTIALS = {"client_id": "me", "client_secret": "hush"}
read, means = reader(royalmail.carrier), meaning(royalmail.carrier)


def test_the_royal_mail_adapter_conforms() -> None:
    conformance.check(royalmail.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(royalmail.carrier, FOLDER)


def test_no_code_stands_in_two_of_its_tables() -> None:
    tables = (
        codes.ADVICE,
        codes.ACCEPTED,
        codes.CENTRES,
        codes.ABROAD,
        codes.DELIVERY_OFFICE,
        codes.ATTEMPTED,
        codes.WAITING,
        codes.DELIVERED,
        codes.SENT_BACK,
        codes.NOTICES,
        codes.CATEGORIES,
    )
    assert sum(map(len, tables)) == len(royalmail.carrier.milestones)


def test_a_delivery_runs_from_the_sender_s_data_to_the_signature() -> None:
    [report] = read("query-delivered.json")
    assert [means(scan)[0] for scan in report.scans] == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_ARRIVED,
        M.HUB_DEPARTED,
        M.HUB_ARRIVED,
        M.OUT_FOR_DELIVERY,
        M.NOTE,
        M.DELIVERED,
    ]
    assert report.summary
    assert (report.summary.signed_by, report.summary.service) == ("A. M***", "Tracked 24")


def test_what_royal_mail_delivered_to_a_post_office_waits_there() -> None:
    [report] = read("query-local-collect.json")
    assert report.summary and report.summary.status
    assert means(report.summary.status) == (M.AVAILABLE_FOR_PICKUP, None)
    assert [means(scan)[0] for scan in report.scans] == [M.DELIVERY_FAILED, M.NOTE, M.AVAILABLE_FOR_PICKUP]


def test_returned_to_sender_is_on_its_way_back() -> None:
    [report] = read("query-returned.json")
    assert [means(scan) for scan in report.scans] == [
        (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
        (M.AVAILABLE_FOR_PICKUP, R.RECIPIENT_ABSENT),
        (M.RETURNING, R.MISSED_PICKUP),
    ]


def test_the_window_of_the_expected_day_keeps_its_offset() -> None:
    [report] = read("query-in-transit.json")
    assert report.summary and report.summary.expected_from and report.summary.expected_to
    assert report.summary.expected_from.iso() == "2026-03-06T08:00:00+00:00"
    assert report.summary.expected_to.iso() == "2026-03-06T11:00:00+00:00"


def test_a_summary_is_no_history_and_one_unknown_number_spoils_no_other() -> None:
    due, expected, missing = read("query-summaries.json")
    assert not due.full
    assert due.summary and due.summary.status
    assert means(due.summary.status)[0] is M.OUT_FOR_DELIVERY
    assert expected.summary and expected.summary.status
    assert (expected.summary.status.code, expected.summary.status.time) == ("", None)
    assert missing.problem
    assert missing.problem.kind is ProblemKind.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-no-update", ProblemKind.NOT_FOUND),
        ("error-not-tracked", ProblemKind.INVALID),
        ("error-terms", ProblemKind.INVALID),
        ("error-refused", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_refusal_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_piece_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        royalmail.parse(b'{"mailPieces": {"events": []}}', "application/json")
    assert caught.value.path == "$.mailPieces.mailPieceId"


async def test_a_query_asks_for_the_events_of_each_number_under_the_terms() -> None:
    path = "/mailpieces/v2/QA000000011GB/events"
    async with loopback({path: (FIXTURES / "query-delivered.json").read_bytes()}, CREDENTIALS) as (http, asked):
        replies = await royalmail.fetch(http, [Ask(number="QA000000011GB")])
    assert [one.path for one in asked] == [path]
    assert asked[0].headers["x-ibm-client-id"] == "me"
    assert asked[0].headers["x-ibm-client-secret"] == "hush"
    assert asked[0].headers["x-accept-rmg-terms"] == "yes"
    assert len(replies) == 1


@with_samples
def test_the_recorded_body_is_read_whole() -> None:
    [report] = royalmail.parse((SAMPLES / "01.json").read_bytes(), "application/json")
    [scan] = report.scans
    assert means(scan) == (M.DELAYED, R.MISSORTED)
    assert scan.time and scan.time.certainty is Certainty.GIVEN
    assert report.summary and report.summary.expected_to
    assert report.summary.signed_by
    assert report.summary.service == "Special Delivery Guaranteed"
