"""Yunda: the conformance kit, and what only Yunda does."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path

import pytest

from carriers import conformance, quality, yunda
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R, Report
from tests.carriers.adapter import meaning
from tests.carriers.loopback_http import loopback

FOLDER = Path(yunda.__file__).parent
FIXTURES = FOLDER / "fixtures"
CREDENTIALS = {"app_key": "app-1", "app_secret": "hush"}


def read(name: str) -> Report:
    [report] = yunda.parse((FIXTURES / name).read_bytes(), "application/json")
    return report


means = meaning(yunda.carrier)


def test_the_yunda_adapter_conforms() -> None:
    conformance.check(yunda.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(yunda.carrier, FOLDER)


def test_a_delivered_parcel_goes_from_action_to_action_and_names_who_signed() -> None:
    report = read("query-delivered.json")
    assert [means(scan)[0] for scan in report.scans] == [
        M.PICKED_UP,
        M.PICKED_UP,
        M.HUB_ARRIVED,
        M.HUB_DEPARTED,
        M.HUB_ARRIVED,
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
    ]
    assert report.summary
    assert (report.summary.signed_by, report.summary.status) == ("王**", None)


def test_neither_a_courier_who_takes_it_out_nor_a_locker_that_signs_is_a_delivery() -> None:
    told = [means(scan)[0] for scan in read("query-locker.json").scans]
    assert told == [M.OUT_FOR_DELIVERY, M.AVAILABLE_FOR_PICKUP, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP]


def test_trouble_is_read_by_the_words_where_they_say_more() -> None:
    told = {scan.code: means(scan) for scan in read("query-trouble.json").scans}
    assert told["SIGNFAIL"] == (M.DELIVERY_FAILED, R.RECIPIENT_UNREACHABLE)
    assert told["ISSUE"] == (M.EXCEPTION, R.DAMAGED)
    assert told["REJECTION"] == (M.EXCEPTION, R.RECIPIENT_REFUSED)


def test_the_parcels_own_status_counts_where_no_step_has_said_it() -> None:
    report = read("query-trouble.json")
    assert report.summary and report.summary.status
    assert (report.summary.status.code, report.summary.status.time) == ("RETURN", report.scans[-1].time)
    assert means(report.summary.status)[0] is M.RETURNING


def test_no_offset_is_invented() -> None:
    times = [scan.time for scan in read("query-abroad.json").scans if scan.time]
    assert {time.certainty for time in times} == {Certainty.ASSUMED}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-no-data", ProblemKind.NOT_FOUND),
        ("error-not-subscribed", ProblemKind.NOT_FOUND),
        ("error-signature", ProblemKind.REFUSED),
        ("error-parameter", ProblemKind.INVALID),
        ("error-too-often", ProblemKind.LIMITED),
        ("error-system", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    problem = read(f"{name}.json").problem
    assert problem
    assert problem.kind is kind


def test_traces_without_a_number_are_an_error_with_its_path() -> None:
    body = (FIXTURES / "query-delivered.json").read_bytes().replace(b'"mailno"', b'"other"')
    with pytest.raises(ParseError) as caught:
        yunda.parse(body, "application/json")
    assert caught.value.path == "$.data.mailno"


async def test_each_waybill_is_asked_for_alone_and_signed() -> None:
    async with loopback({yunda.QUERY: b"{}"}, CREDENTIALS) as (http, asked):
        assert len(await yunda.fetch(http, [Ask(number="43"), Ask(number="44")])) == 2
    assert [one.body for one in asked] == [b'{"mailno":"43"}', b'{"mailno":"44"}']
    headers = asked[0].headers
    assert headers["sign"] == md5(b'{"mailno":"43"}_hush').hexdigest()
    assert (headers["app-key"], headers["req-time"]) == ("app-1", "1778000000000")


async def test_waybills_are_subscribed_at_once_and_refused_at_once() -> None:
    asks = [Ask(number="43"), Ask(number="44")]
    async with loopback({yunda.SUBSCRIBE: b'{"result": true, "code": "0000"}'}, CREDENTIALS) as (http, asked):
        assert await yunda.subscribe(http, asks, "https://example.com/in") == {}
    orders = [{"orderid": "43", "mailno": "43"}, {"orderid": "44", "mailno": "44"}]
    assert json.loads(asked[0].body) == {"orders": orders}
    async with loopback({yunda.SUBSCRIBE: (FIXTURES / "error-signature.json").read_bytes()}, CREDENTIALS) as (http, _):
        refused = await yunda.subscribe(http, asks, "")
    assert refused == dict.fromkeys(("43", "44"), "1002 签名错误")


def test_an_accepted_subscription_reports_nothing() -> None:
    assert yunda.parse(b'{"result": true, "code": "0000", "message": "ok", "data": []}', "application/json") == []
