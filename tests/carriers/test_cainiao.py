"""Cainiao: the conformance kit, and what only Cainiao does."""

from __future__ import annotations

from pathlib import Path

import pytest

from carriers import cainiao, conformance, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind
from tests.carriers.adapter import meaning, reader
from tests.carriers.loopback_http import loopback

FOLDER = Path(cainiao.__file__).parent
FIXTURES = FOLDER / "fixtures"
read, means = reader(cainiao.carrier), meaning(cainiao.carrier)


def test_the_cainiao_adapter_conforms() -> None:
    conformance.check(cainiao.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(cainiao.carrier, FOLDER)


def test_a_delivered_parcel_goes_from_warehouse_to_doorstep() -> None:
    [report] = read("query-delivered.json")
    told = [means(scan)[0] for scan in report.scans]
    assert told[:4] == [M.INFO_RECEIVED, M.PICKED_UP, M.HUB_ARRIVED, M.HUB_DEPARTED]
    assert told[-4:] == [M.HUB_DEPARTED, M.AT_DELIVERY_DEPOT, M.OUT_FOR_DELIVERY, M.DELIVERED]
    assert told.count(M.CUSTOMS_CLEARED) == 3


def test_signed_by_a_station_is_not_delivered_and_collected_there_is() -> None:
    waiting, _, _ = read("query-several.json")
    [collected] = read("query-pickup.json")
    assert means(waiting.scans[-1])[0] is M.AVAILABLE_FOR_PICKUP
    assert [means(scan)[0] for scan in collected.scans[-3:]] == [
        M.AVAILABLE_FOR_PICKUP,
        M.AVAILABLE_FOR_PICKUP,
        M.DELIVERED,
    ]


def test_a_change_of_address_says_nothing_of_the_parcel() -> None:
    waiting, _, _ = read("query-several.json")
    assert means(waiting.scans[0])[0] is M.NOTE


def test_each_scan_keeps_its_own_clock() -> None:
    [report] = read("query-delivered.json")
    times = {scan.code: scan.time.iso() for scan in report.scans if scan.time}
    assert times["LH_DEPART"] == "2026-05-01T22:44:22+08:00"
    assert times["GTMS_SIGNED"] == "2026-05-06T15:25:17+02:00"
    assert times["GTMS_DO_ARRIVE"] == "2026-05-05T22:10:00+02:00"


@pytest.mark.parametrize("zone", ["", "GMT", "GMT+25", "Europe/Brussels"])
def test_a_zone_that_is_no_offset_leaves_it_unknown(zone: str) -> None:
    body = (FIXTURES / "query-pickup.json").read_bytes().replace(b"GMT+1", zone.encode())
    [report] = cainiao.parse(body, "application/json")
    assert {scan.time.certainty for scan in report.scans if scan.time} == {Certainty.ASSUMED}


def test_the_number_of_the_next_carrier_stands_plain_or_at_the_end_of_a_sentence() -> None:
    [delivered], (waiting, _, _), [same] = (
        read("query-delivered.json"),
        read("query-several.json"),
        read("query-pickup.json"),
    )
    assert delivered.summary and waiting.summary and same.summary
    assert delivered.summary.successor == "323200000000000000000011"
    assert waiting.summary.successor == "RC000000012EE"
    assert same.summary.successor == ""


def test_an_expected_day_is_read_where_it_is_one() -> None:
    [delivered], (_, returned, _) = read("query-delivered.json"), read("query-several.json")
    assert delivered.summary and delivered.summary.expected_from and returned.summary
    assert delivered.summary.expected_from.iso() == "2026-05-06T00:00:00+00:00"
    assert returned.summary.expected_from is None


def test_the_place_stands_before_the_standard_words() -> None:
    [report] = read("query-delivered.json")
    assert report.scans[-1].location == "Gent"
    assert report.scans[-1].text == "Parcel delivered"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-no-module", ProblemKind.NOT_FOUND),
        ("error-failed", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_module_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        cainiao.parse(b'{"module": [{"detailList": []}], "success": true}', "application/json")
    assert caught.value.path == "$.module[0].mailNo"


async def test_a_query_takes_twenty_numbers_and_no_key() -> None:
    asks = [Ask(number=f"LP{place:014}") for place in range(21)]
    body = (FIXTURES / "query-delivered.json").read_bytes()
    async with loopback({"/global/detail.json": body}, {}) as (http, asked):
        assert len(await cainiao.fetch(http, asks)) == 2
    assert [len(one.query["mailNos"].split(",")) for one in asked] == [20, 1]
    assert {one.query["lang"] for one in asked} == {"en-US"}
