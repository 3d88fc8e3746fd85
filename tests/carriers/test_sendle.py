"""Sendle: the conformance kit, and what only Sendle does."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from carriers import conformance, quality, sendle
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R, Reply, Report
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.carrier_wire import Wire
from tests.carriers.loopback_http import loopback

FOLDER = Path(sendle.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(sendle.carrier)
CREDENTIALS = {"sendle_id": "sample_id", "api_key": "sample_key"}
read, means = reader(sendle.carrier), meaning(sendle.carrier)


def test_the_sendle_adapter_conforms() -> None:
    conformance.check(sendle.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(sendle.carrier, FOLDER)


def test_what_an_info_means_its_words_say() -> None:
    [report] = read("query-delivered.json")
    first, _, last = (means(scan)[0] for scan in report.scans if scan.code == "Info")
    assert (first, last) == (M.IN_TRANSIT, M.DELIVERED)


def test_the_signer_leaves_the_words() -> None:
    [report] = read("query-delivered.json")
    assert report.summary
    assert report.summary.signed_by == "SAM SAMPLE"
    assert all("SAM" not in scan.text for scan in report.scans)


def test_a_reason_beside_the_words_tells_why() -> None:
    [report] = read("query-left-with-agent.json")
    assert [means(scan) for scan in report.scans if scan.code == "Delivery Attempted"] == [
        (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT)
    ]


def test_the_state_pickup_is_a_booking_and_no_pickup() -> None:
    [report] = read("query-exceptions.json")
    assert report.summary and report.summary.status
    assert means(report.summary.status) == (M.INFO_RECEIVED, None)


def test_of_a_state_that_no_table_knows_the_words_decide() -> None:
    [report] = read("query-left-with-agent.json")
    assert report.summary and report.summary.status
    assert means(report.summary.status) == (M.AVAILABLE_FOR_PICKUP, None)


def test_one_end_of_the_expected_days_is_their_last() -> None:
    [report] = read("query-left-with-agent.json")
    assert report.summary and report.summary.expected_to
    assert report.summary.expected_from is None
    assert report.summary.expected_to.iso()[:10] == "2026-03-31"


def test_a_push_is_the_scan_that_a_query_tells_too() -> None:
    [told] = read("push-out-for-delivery.json")[0].scans
    [asked] = [scan for scan in read("query-delivered.json")[0].scans if scan.code == told.code]
    assert told == asked


def test_a_push_about_no_parcel_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        sendle.parse(b'{"event_type": "Info", "scan_time": "2026-03-27T23:47:00Z"}', "application/json")
    assert caught.value.path == "$.sendle_reference"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-refused", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_refusal_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


async def test_the_number_comes_back_with_its_answer() -> None:
    paths = {
        f"/api/tracking/{number}": (FIXTURES / "query-fresh.json").read_bytes() for number in ("SAMPLE4", "SAMPLE5")
    }
    async with loopback(paths, CREDENTIALS) as (http, asked):
        replies = await sendle.fetch(http, [Ask(number="SAMPLE4"), Ask(number="SAMPLE5")])
    assert [one.path for one in asked] == list(paths)
    assert asked[0].headers["authorization"] == "Basic c2FtcGxlX2lkOnNhbXBsZV9rZXk="
    assert [report.waybill for reply in replies for report in parsed(reply)] == ["SAMPLE4", "SAMPLE5"]


def parsed(reply: Reply) -> list[Report]:
    return sendle.parse(reply.body, reply.content_type)


async def test_a_subscription_that_is_refused_names_its_number() -> None:
    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        if "SAMPLE5" in request.path:
            return web.Response(
                status=422, body=b'{"error": "unprocessable_entity", "error_description": "no callback"}'
            )
        return web.Response(body=b'{"tracking_events": []}')

    asked: list[str] = []
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, ClientSession() as session:
        http = Wire(session, str(server.make_url("")).rstrip("/"), CREDENTIALS)
        refused = await sendle.subscribe(http, [Ask(number="SAMPLE4"), Ask(number="SAMPLE5")], "https://milepost.test/")
        await sendle.unsubscribe(http, [Ask(number="SAMPLE4")])
    assert refused == {"SAMPLE5": "unprocessable_entity: no callback"}
    assert asked == [
        "POST /api/tracking/SAMPLE4/subscribe",
        "POST /api/tracking/SAMPLE5/subscribe",
        "DELETE /api/tracking/SAMPLE4/subscribe",
    ]


@with_samples
def test_the_recorded_body_is_read_whole() -> None:
    [report] = sendle.parse((SAMPLES / "01.json").read_bytes(), "application/json; reference=SAMPLE1")
    assert [means(scan) for scan in report.scans][:3] == [
        (M.EXCEPTION, R.PICKUP_FAILED),
        (M.PICKED_UP, None),
        (M.IN_TRANSIT, None),
    ]
    assert [means(scan)[0] for scan in report.scans][-2:] == [M.OUT_FOR_DELIVERY, M.DELIVERED]
    assert {scan.time.certainty for scan in report.scans if scan.time} == {Certainty.GIVEN}
    assert report.summary and report.summary.status and report.summary.status.time
    assert report.summary.status.time.iso() == "2023-04-05T18:56:00+00:00"
