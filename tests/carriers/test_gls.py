"""GLS: the conformance kit, and what only GLS does."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from carriers import conformance, gls, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import reader, recorded
from tests.carriers.loopback_http import loopback
from tracker.normalise import classify

FOLDER = Path(gls.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(gls.carrier)
CREDENTIALS = {"client_id": "me", "client_secret": "hush"}
TOKEN = b'{"token_type": "Bearer", "access_token": "bearer-1", "expires_in": 14400}'
read = reader(gls.carrier)


def test_the_gls_adapter_conforms() -> None:
    conformance.check(gls.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(gls.carrier, FOLDER)


def test_every_documented_status_has_its_meaning() -> None:
    reports = read("query-status-only.json")
    told = {
        r.summary.status.code: gls.MILESTONES[r.summary.status.code] for r in reports if r.summary and r.summary.status
    }
    assert told == gls.STATUSES
    assert told["NOTPICKEDUP"] == (M.EXCEPTION, R.PICKUP_FAILED)
    assert not any(report.full for report in reports)


def test_delivered_to_a_parcel_shop_is_not_delivered() -> None:
    shop = read("query-several.json")[0]
    assert classify(gls.MILESTONES, shop.scans[-1].code, shop.scans[-1].text).milestone is M.AVAILABLE_FOR_PICKUP


def test_a_parcel_is_named_by_the_number_that_was_asked_for() -> None:
    assert [report.waybill for report in read("query-several.json")] == ["00000000022", "00000000099", "000000000333"]


def test_a_number_of_several_parcels_is_not_delivered_before_the_last() -> None:
    whole, *parcels, _ = read("query-pieces.json")
    assert (whole.waybill, whole.scans, whole.full) == ("00SAMP1E", (), False)
    assert whole.summary and whole.summary.status
    assert (whole.summary.status.code, whole.summary.pieces) == ("INDELIVERY", ("90000000011", "90000000022"))
    assert [(parcel.waybill, len(parcel.scans)) for parcel in parcels] == [("90000000011", 2), ("90000000022", 1)]


def test_a_row_told_twice_is_one_parcel() -> None:
    row = b'{"requested": "00SAMP1E", "unitno": "90000000011", "status": "INTRANSIT"}'
    [report] = gls.parse(b'{"parcels": [' + row + b", " + row + b"]}", "application/json")
    assert report.waybill == "00SAMP1E"


def test_one_number_not_found_does_not_spoil_the_answer_for_the_others() -> None:
    shop, missing, failed = read("query-several.json")
    assert missing.problem
    assert missing.problem.kind is ProblemKind.NOT_FOUND
    assert (len(shop.scans), len(failed.scans)) == (4, 2)


def test_the_scans_of_one_second_keep_the_order_in_which_they_happened() -> None:
    codes = [scan.code for scan in read("query-delivered.json")[0].scans]
    assert codes[2:4] == ["INBOUD.NORMAL", "OUTBOD.NORMAL"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-empty", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-parcel-failed", ProblemKind.UNAVAILABLE),
        ("error-too-many", ProblemKind.INVALID),
        ("error-token", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_refusal_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_parcel_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        gls.parse(b'{"parcels": [{"events": []}]}', "application/json")
    assert caught.value.path == "$.parcels[0].requested"


async def test_a_query_takes_ten_numbers_and_one_token() -> None:
    asks = [Ask(number=f"{place:011}") for place in range(11)]
    start = "/track-and-trace-v1/tracking/simple/trackids/"
    paths = [start + ",".join(ask.number for ask in some) for some in (asks[:10], asks[10:])]
    body = (FIXTURES / "query-delivered.json").read_bytes()
    async with loopback({"/oauth2/v2/token": TOKEN} | dict.fromkeys(paths, body), CREDENTIALS) as (http, asked):
        replies = await gls.fetch(http, asks)
    token, *queries = asked
    assert token.headers["authorization"] == "Basic " + base64.b64encode(b"me:hush").decode()
    assert token.body == b"grant_type=client_credentials"
    assert [one.path for one in queries] == paths
    assert {one.headers["authorization"] for one in queries} == {"Bearer bearer-1"}
    assert len(replies) == 2


async def test_a_refused_token_is_an_error_that_says_so() -> None:
    answers = {"/oauth2/v2/token": b'{"errors": [{"message": "Invalid client identifier", "type": "400"}]}'}
    async with loopback(answers, CREDENTIALS) as (http, _):
        with pytest.raises(ParseError, match="gave no token"):
            await gls.fetch(http, [Ask(number="00000000011")])


@with_samples
def test_the_recorded_body_is_read_whole() -> None:
    [report] = gls.parse((SAMPLES / "01.json").read_bytes(), "application/json")
    told = [classify(gls.MILESTONES, scan.code, scan.text).milestone for scan in report.scans]
    assert told == [M.INFO_RECEIVED, M.PICKED_UP]
    assert report.summary and report.summary.status
    assert report.summary.status.code == "INTRANSIT"
    assert {scan.time.certainty for scan in report.scans if scan.time} == {Certainty.GIVEN}
