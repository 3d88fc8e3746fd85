"""FedEx: the conformance kit, and what only FedEx does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from carriers import conformance, fedex
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, Push, R
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FIXTURES = Path(fedex.__file__).parent / "fixtures"
CREDENTIALS = {"client_id": "me", "client_secret": "hush & co", "webhook_secret": "token"}
SAMPLES, with_samples = recorded(fedex.carrier)
read, means = reader(fedex.carrier), meaning(fedex.carrier)


def test_the_fedex_adapter_conforms() -> None:
    conformance.check(fedex.carrier, FIXTURES)


def test_an_exception_code_says_why_and_an_unknown_one_leaves_it_to_the_words() -> None:
    told = {
        scan.code: means(scan)
        for name in ("query-exception.json", "query-returned.json")
        for scan in read(name)[0].scans
    }
    assert told["DE/08"] == (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT)
    assert told["DE/03"] == (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM)
    assert told["DE/07"] == (M.EXCEPTION, R.RECIPIENT_REFUSED)
    assert told["DY/A52"] == (M.DELAYED, None)


def test_arrived_is_the_hub_or_the_local_station_as_the_words_say() -> None:
    told = [means(scan)[0] for scan in read("query-delivered.json")[0].scans if scan.code == "AR"]
    assert told == [M.HUB_ARRIVED, M.AT_DELIVERY_DEPOT]


def test_a_number_used_again_is_the_parcel_with_the_newest_scan_and_no_whole_history() -> None:
    [report] = read("query-recycled.json")
    assert [scan.code for scan in report.scans] == ["PU"]
    assert not report.full


def test_an_error_beside_real_scans_does_not_discard_them() -> None:
    [report] = read("query-error-beside-scans.json")
    assert report.scans
    assert report.problem is None


def test_a_redirected_parcel_is_under_way_again_until_a_scan_says_that_it_waits() -> None:
    told = {scan.code: means(scan) for scan in read("query-exception.json")[0].scans}
    assert told["DE/A47"] == (M.IN_TRANSIT, None)
    assert told["HL"] == (M.AVAILABLE_FOR_PICKUP, None)


def test_an_error_of_the_whole_call_is_told_without_a_number() -> None:
    [report] = read("error-unauthorised.json")
    assert (report.waybill, report.problem and report.problem.kind) == ("", ProblemKind.REFUSED)


def test_errors_beside_results_do_not_discard_the_results() -> None:
    body = json.loads((FIXTURES / "query-fresh.json").read_bytes()) | {"errors": [{"code": "SYSTEM.WARNING"}]}
    [report] = fedex.parse(json.dumps(body).encode(), "application/json")
    assert report.scans


def test_one_number_not_found_does_not_spoil_the_answer_for_the_other() -> None:
    found, missing = read("query-in-transit.json")
    assert len(found.scans) == 8
    assert missing.problem
    assert missing.problem.kind is ProblemKind.NOT_FOUND


def test_the_scans_of_one_second_keep_the_order_in_which_they_happened() -> None:
    assert [scan.code for scan in read("query-in-transit.json")[0].scans][-2:] == ["CC", "IT"]


def test_a_time_without_an_offset_stays_without_one() -> None:
    first = read("query-delivered.json")[0].scans[0]
    assert first.time
    assert (first.time.offset, first.time.certainty) == (None, Certainty.ASSUMED)


def test_the_summary_repeats_the_newest_scan_with_its_exception_code() -> None:
    summary = read("push-exception.json")[0].summary
    assert summary and summary.status
    assert summary.status.code == "DE/08"


def test_a_summary_ahead_of_its_scans_takes_its_time_from_the_dates() -> None:
    summary = read("query-summary-ahead.json")[0].summary
    assert summary and summary.status and summary.status.time
    assert (summary.status.code, summary.status.time.iso()) == ("DL", "2026-03-05T09:26:00-07:00")


def test_the_recipient_s_name_is_nowhere_but_in_signed_by() -> None:
    [report] = read("query-delivered.json")
    assert report.summary
    assert report.summary.signed_by == "J.D***"
    assert not any("D***" in scan.text + scan.location for scan in report.scans)


def test_a_date_beside_the_scans_that_can_not_be_read_costs_no_scan() -> None:
    body = json.loads((FIXTURES / "query-delivered.json").read_bytes())
    result = body["output"]["completeTrackResults"][0]["trackResults"][0]
    result["estimatedDeliveryTimeWindow"] = {"window": {"begins": "0001-01-01T00:00:00"}}
    [report] = fedex.parse(json.dumps(body).encode(), "application/json")
    assert len(report.scans) == 7


def test_a_scan_with_a_time_that_is_none_is_an_error_with_its_path() -> None:
    body = (FIXTURES / "query-fresh.json").read_bytes().replace(b"2026-03-02T15:30:57-06:00", b"soon")
    with pytest.raises(ParseError) as caught:
        fedex.parse(body, "application/json")
    assert caught.value.path == "$.output.completeTrackResults[0].trackResults[0].scanEvents[0].date"


@pytest.mark.parametrize("encode", [lambda d: base64.b64encode(d).decode(), bytes.hex, lambda d: d.hex().upper()])
def test_the_signature_may_be_base64_or_hex(encode: Callable[[bytes], str]) -> None:
    body = b'{"output": {}}'
    digest = hmac.new(b"token", body, hashlib.sha256).digest()
    assert fedex.verify(Push(headers={"fdx-signature": encode(digest)}, query={}, body=body), CREDENTIALS)
    assert not fedex.verify(Push(headers={"fdx-signature": encode(digest)}, query={}, body=body + b" "), CREDENTIALS)
    assert not fedex.verify(Push(headers={"fdx-signature": encode(digest)}, query={}, body=body), {})


async def test_a_query_takes_thirty_numbers_and_one_token() -> None:
    answers = {
        "/oauth/token": b'{"access_token": "bearer-1", "token_type": "bearer", "expires_in": 3599}',
        "/track/v1/trackingnumbers": (FIXTURES / "query-fresh.json").read_bytes(),
    }
    asks = [Ask(number=f"2000000{place:05}", ship_date="2026-03-03" if place == 0 else "") for place in range(31)]
    async with loopback(answers, CREDENTIALS) as (http, asked):
        replies = await fedex.fetch(http, asks)
    token, first, second = asked
    assert parse_qs(token.body.decode())["client_secret"] == ["hush & co"]
    assert first.headers["authorization"] == "Bearer bearer-1"
    wanted = [json.loads(one.body)["trackingInfo"] for one in (first, second)]
    assert [len(some) for some in wanted] == [30, 1]
    assert (wanted[0][0]["shipDateBegin"], wanted[0][0]["shipDateEnd"]) == ("2026-02-24", "2026-03-24")
    assert json.loads(first.body)["includeDetailedScans"] is True
    assert len(replies) == 2


async def test_a_refused_token_is_an_error_that_says_so() -> None:
    answers = {"/oauth/token": b'{"errors": [{"code": "NOT.AUTHORIZED.ERROR"}]}'}
    async with loopback(answers, CREDENTIALS) as (http, _):
        with pytest.raises(ParseError, match="gave no token"):
            await fedex.fetch(http, [Ask(number="200000000011")])


@with_samples
def test_the_recorded_bodies_are_read_whole() -> None:
    for path in sorted(SAMPLES.glob("*.json")):
        body = json.loads(path.read_bytes())
        reports = {report.waybill: report for report in fedex.parse(path.read_bytes(), "application/json")}
        for row in body.get("output", {}).get("completeTrackResults", []):
            told = sum(len(result.get("scanEvents", [])) for result in row["trackResults"])
            assert len(reports[row["trackingNumber"]].scans) == told


@with_samples
def test_every_recorded_scan_gets_a_milestone() -> None:
    for path in sorted(SAMPLES.glob("*.json")):
        for report in fedex.parse(path.read_bytes(), "application/json"):
            assert all(means(scan)[0] is not M.UNKNOWN for scan in report.scans)
