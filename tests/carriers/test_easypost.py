"""EasyPost: the conformance kit, and what only EasyPost does."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from carriers import conformance, easypost, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, coarse
from tests.carriers.adapter import meaning, reader
from tests.carriers.loopback_http import loopback

FOLDER = Path(easypost.__file__).parent
FIXTURES = FOLDER / "fixtures"
CREDENTIALS = {"api_key": "key"}
read, means = reader(easypost.carrier), meaning(easypost.carrier)


def test_the_easypost_adapter_conforms() -> None:
    conformance.check(easypost.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(easypost.carrier, FOLDER)


def test_the_words_win_over_a_rough_detail() -> None:
    told = {scan.text: means(scan) for scan in read("push-delivered.json")[0].scans}
    assert told["Picked up"] == (M.PICKED_UP, None)
    assert told["Delivery exception (Customer not available or business closed)"][0] is M.DELIVERY_FAILED
    assert told["Shipment arriving On-Time"] == (M.NOTE, None)


def test_a_detail_means_something_else_beside_another_status() -> None:
    assert easypost.carrier.milestones["delivered"] == coarse(M.DELIVERED)
    assert "delivered/arrived_at_destination" not in easypost.carrier.milestones  # so `delivered` decides
    assert easypost.carrier.milestones["in_transit/arrived_at_destination"] == coarse(M.AT_DELIVERY_DEPOT)


def test_with_an_unknown_status_the_words_decide_alone_and_nothing_is_guessed() -> None:
    assert [means(scan)[0] for scan in read("unknown-status.json")[0].scans] == [
        M.HUB_DEPARTED,
        M.UNKNOWN,
        M.UNKNOWN,
    ]


def test_utc_for_want_of_a_place_is_no_offset() -> None:
    nowhere, unsure, placed = (scan.time for scan in read("query-batch.json")[1].scans)
    assert nowhere and unsure and placed
    assert (nowhere.iso(), nowhere.certainty) == ("2026-04-01T19:55:20", Certainty.ASSUMED)
    assert (unsure.iso(), unsure.certainty) == ("2026-04-02T08:32:20", Certainty.ASSUMED)
    assert (placed.iso(), placed.certainty) == ("2026-04-03T09:00:00+00:00", Certainty.GIVEN)


def test_local_time_is_taken_where_it_is_told() -> None:
    time = read("push-delivered.json")[0].scans[-1].time
    assert time
    assert time.iso() == "2026-03-04T13:15:54-07:00"


def test_the_expected_day_is_the_recipient_s_and_midnight_is_a_day() -> None:
    local, midnight = (report.summary for report in read("query-batch.json"))
    assert local and local.expected_to and midnight and midnight.expected_to
    assert local.expected_to.iso() == "2026-03-04T20:00:00"
    assert (midnight.expected_to.iso(), midnight.expected_to.offset) == ("2026-04-06T00:00:00", None)


def test_its_carriers_are_ours() -> None:
    slugs = [easypost.carrier.carriers[report.carrier] for report in read("query-trouble.json")]
    assert slugs == ["ups", "canadapost", "fedex"]


def test_an_event_of_something_else_tells_nothing() -> None:
    event = {"object": "Event", "description": "batch.updated", "result": {"object": "Batch"}}
    assert easypost.parse(json.dumps(event).encode(), "application/json") == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-none-created", ProblemKind.NOT_FOUND),
        ("error-unknown", ProblemKind.NOT_FOUND),
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


def test_a_tracker_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        easypost.parse(b'{"trackers": [{}]}', "application/json")
    assert caught.value.path == "$.trackers[0].tracking_code"


async def test_a_query_takes_a_hundred_numbers() -> None:
    body = (FIXTURES / "query-batch.json").read_bytes()
    async with loopback({"/v2/trackers/batch": body}, CREDENTIALS) as (http, asked):
        replies = await easypost.fetch(http, [Ask(number=f"N{place}") for place in range(101)])
    assert [len(json.loads(one.body)["tracking_codes"]) for one in asked] == [100, 1]
    assert asked[0].headers["authorization"] == "Basic " + base64.b64encode(b"key:").decode()
    assert len(replies) == 2


async def test_a_tracker_is_created_with_its_carrier_where_it_is_known() -> None:
    answer = (FIXTURES / "query-created.json").read_bytes()
    asks = [Ask(number="1", carrier="canadapost"), Ask(number="2", carrier="unheard_of")]
    async with loopback({"/v2/trackers": answer}, CREDENTIALS) as (http, asked):
        assert await easypost.subscribe(http, asks, "https://example.org/hook") == {}
    assert [json.loads(one.body)["tracker"] for one in asked] == [
        {"tracking_code": "1", "carrier": "CanadaPost"},
        {"tracking_code": "2"},
    ]


async def test_a_number_that_no_carrier_fits_is_refused_with_the_reason() -> None:
    answer = (FIXTURES / "error-invalid.json").read_bytes()
    async with loopback({"/v2/trackers": answer}, CREDENTIALS) as (http, _):
        refused = await easypost.subscribe(http, [Ask(number="1")], "")
    assert refused == {"1": "TRACKER.NO_CARRIER_FOR_CODE: No carrier fits this tracking code."}
