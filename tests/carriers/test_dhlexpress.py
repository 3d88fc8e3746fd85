"""DHL Express: the conformance kit, and what only the MyDHL API does."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from carriers import conformance, dhlexpress, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import meaning, reader
from tests.carriers.carrier_wire import Wire

FOLDER = Path(dhlexpress.__file__).parent
FIXTURES = FOLDER / "fixtures"
read, means = reader(dhlexpress.carrier), meaning(dhlexpress.carrier)


def test_the_dhlexpress_adapter_conforms() -> None:
    conformance.check(dhlexpress.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(dhlexpress.carrier, FOLDER)


def test_a_journey_goes_from_the_data_to_the_signature() -> None:
    assert [means(scan)[0] for scan in read("query-delivered.json")[0].scans] == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_ARRIVED,
        M.HUB_DEPARTED,
        M.HUB_ARRIVED,
        M.IN_TRANSIT,
        M.CUSTOMS_ENTERED,
        M.CUSTOMS_ENTERED,
        M.CUSTOMS_CLEARED,
        M.AT_DELIVERY_DEPOT,
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
    ]


def test_one_code_awaits_collection_or_tells_of_a_clearance() -> None:
    collected, cleared, *_ = read("query-several.json")
    assert [means(scan)[0] for scan in collected.scans] == [
        M.AT_DELIVERY_DEPOT,
        M.DELIVERY_FAILED,
        M.AVAILABLE_FOR_PICKUP,
        M.DELIVERED,
    ]
    assert [means(scan) for scan in cleared.scans[2:]] == [
        (M.EXCEPTION, R.PAYMENT_DUE),
        (M.CUSTOMS_CLEARED, None),
    ]


def test_a_return_is_over_when_the_words_say_so() -> None:
    told = [means(scan)[0] for scan in read("query-several.json")[3].scans]
    assert told == [M.EXCEPTION, M.EXCEPTION, M.RETURNING, M.RETURNED]


def test_a_name_is_nowhere_but_in_signed_by() -> None:
    [report] = read("query-delivered.json")
    assert report.summary
    assert report.summary.signed_by == "M***"
    assert not any("***" in scan.text for scan in report.scans)


def test_the_offset_is_given_or_stays_unknown() -> None:
    reports = read("query-several.json")
    given, unknown = reports[0].scans[0].time, reports[4].scans[0].time
    assert given and unknown
    assert given.iso() == "2026-03-04T06:20:00+01:00"
    assert (unknown.iso(), unknown.certainty) == ("2026-03-02T17:31:12", Certainty.ASSUMED)


def test_one_number_not_found_does_not_spoil_the_answer_for_the_others() -> None:
    reports = read("query-several.json")
    assert [report.waybill for report in reports if report.problem] == ["1000000044"]
    assert [len(report.scans) for report in reports] == [4, 4, 0, 4, 1, 0]


def test_a_shipment_tells_its_weight_its_pieces_and_its_ends() -> None:
    summary = read("query-several.json")[0].summary
    assert summary
    assert (summary.weight_g, summary.pieces) == (1134, ("JD010000000000000022", "JD010000000000000023"))
    assert (summary.origin, summary.destination) == ("SHENZHEN, CN", "Leipzig-DE")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-empty", ProblemKind.NOT_FOUND),
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


def test_a_shipment_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        dhlexpress.parse(b'{"shipments": [{"events": []}]}', "application/json")
    assert caught.value.path == "$.shipments[0].shipmentTrackingNumber"


async def test_a_query_repeats_the_parameter_for_a_hundred_waybills() -> None:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(body=(FIXTURES / "query-delivered.json").read_bytes(), content_type="application/json")

    app = web.Application()
    app.router.add_get("/mydhlapi/tracking", answer)
    asks = [Ask(number=f"{place:010}") for place in range(101)]
    async with TestServer(app) as server, ClientSession() as session:
        http = Wire(session, str(server.make_url("/mydhlapi")), {"username": "me", "password": "hush"})
        replies = await dhlexpress.fetch(http, asks)
    first, second = asked
    assert first.headers["authorization"] == "Basic " + base64.b64encode(b"me:hush").decode()
    assert first.query.getall("shipmentTrackingNumber") == [ask.number for ask in asks[:100]]
    assert second.query.getall("shipmentTrackingNumber") == ["0000000100"]
    assert (first.query["trackingView"], first.query["requestGMTOffsetPerEvent"]) == ("all-checkpoints", "true")
    assert len(replies) == 2
