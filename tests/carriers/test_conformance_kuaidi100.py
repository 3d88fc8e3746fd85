"""Kuaidi100: the conformance kit, and what only Kuaidi100 does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from carriers import conformance, kuaidi100
from carriers.kuaidi100.codes import CARRIERS, OUR_SLUGS
from carriers.sdk import Ask, ParseError, ProblemKind, Push, Report
from tests.carriers.carrier_wire import Peer, connected

FIXTURES = Path(kuaidi100.__file__).parent / "fixtures"
CREDENTIALS = {"customer": "FIXTURE", "key": "fixturekey", "salt": "a-salt-for-the-fixtures"}


def parsed(name: str) -> Report:
    [report] = kuaidi100.parse((FIXTURES / name).read_bytes(), "")
    return report


def history(rows: list[dict[str, Any]], **more: Any) -> bytes:
    return json.dumps({"message": "ok", "nu": "YT1", "com": "yuantong", "status": "200", "data": rows, **more}).encode()


def test_the_kuaidi100_adapter_conforms() -> None:
    conformance.check(kuaidi100.carrier, FIXTURES)


async def test_a_query_is_signed_and_asks_for_one_number() -> None:
    peer = Peer({"/poll/query.do": lambda _: b"{}"})
    async with connected(peer, CREDENTIALS) as http:
        replies = await kuaidi100.fetch(
            http, [Ask(number="SF1390000000017", carrier="sf", phone_tail="0000"), Ask(number="YT1", carrier="yto")]
        )
    assert len(replies) == 2
    _, fields = peer.asked[0]
    param = fields["param"]
    assert fields["sign"] == md5(f"{param}fixturekeyFIXTURE".encode()).hexdigest().upper()
    asked = json.loads(param)
    assert (asked["com"], asked["num"], asked["phone"]) == ("shunfeng", "SF1390000000017", "0000")
    assert "phone" not in json.loads(peer.asked[1][1]["param"])


@pytest.mark.parametrize(("guesses", "code"), [(b'[{"comCode":"yunda"}]', "yunda"), (b"[]", "")])
async def test_a_number_without_a_known_carrier_is_guessed_first(guesses: bytes, code: str) -> None:
    peer = Peer({"/autonumber/auto": lambda _: guesses, "/poll/query.do": lambda _: b"{}"})
    async with connected(peer, CREDENTIALS) as http:
        await kuaidi100.fetch(http, [Ask(number="4300000000017")])
    assert peer.asked[0] == ("/autonumber/auto", {"num": "4300000000017", "key": "fixturekey"})
    assert json.loads(peer.asked[1][1]["param"])["com"] == code


async def test_a_subscription_names_callback_and_salt_and_a_second_one_is_no_refusal() -> None:
    def poll(fields: Mapping[str, str]) -> bytes:
        code = {"YT1": "200", "YT2": "501", "YT3": "701"}[json.loads(fields["param"])["number"]]
        return json.dumps({"result": code == "200", "returnCode": code, "message": "m"}).encode()

    peer = Peer({"/poll": poll})
    asks = [Ask(number="YT1", carrier="yto"), Ask(number="YT2", carrier="yto"), Ask(number="YT3")]
    async with connected(peer, CREDENTIALS) as http:
        refusals = await kuaidi100.subscribe(http, asks, "https://milepost.example/in")
    assert refusals == {"YT3": "701 m"}
    param = json.loads(peer.asked[0][1]["param"])
    assert (param["company"], param["key"]) == ("yuantong", "fixturekey")
    assert param["parameters"]["callbackurl"] == "https://milepost.example/in"
    assert param["parameters"]["salt"] == CREDENTIALS["salt"]
    assert json.loads(peer.asked[2][1]["param"])["parameters"]["autoCom"] == "1"


def test_the_case_of_a_signature_does_not_matter_and_an_unsalted_one_is_refused() -> None:
    param = '{"status":"polling","lastResult":{"nu":"张 +%"}}'
    for salt, secret, genuine in (("s", "s", True), ("", "s", False), ("", "", False)):
        for sign in (digest := md5((param + salt).encode()).hexdigest(), digest.upper()):
            push = Push(headers={}, query={}, body=f"sign={sign}&param={quote_plus(param)}".encode())
            assert kuaidi100.verify(push, {"salt": secret}) is genuine


def test_a_corrected_carrier_code_is_the_reports_carrier() -> None:
    assert parsed("push-renamed.form").carrier == "ems"
    assert parsed("error-abort-no-record.form").carrier == "zhongtong"


def test_a_watch_that_was_ended_says_why_and_keeps_its_scans() -> None:
    report = parsed("push-param-alone.json")
    assert report.problem and report.problem.text == "60天无变化"
    assert len(report.scans) == 4


def test_rows_without_a_code_are_left_to_the_phrases() -> None:
    report = parsed("query-no-codes.json")
    assert {scan.code for scan in report.scans} == {""}


@pytest.mark.parametrize(("state", "words"), [("2", "电话无人接听"), ("5", "")])
def test_a_parcel_in_trouble_is_read_by_the_words_of_its_newest_row(state: str, words: str) -> None:
    rows = [{"time": "2026-05-05 10:00:00", "context": "电话无人接听"}]
    [report] = kuaidi100.parse(history(rows, state=state), "application/json")
    assert report.summary and report.summary.status
    assert (report.summary.status.code, report.summary.status.text) == (state, words)


@pytest.mark.parametrize(
    ("state", "row", "summary"),
    [
        ("0", {"status": "揽收"}, None),  # what it writes by default
        ("3", {"statusCode": "301", "status": "本人签收"}, None),  # the row says as much
        ("3", {"status": "签收"}, None),
        ("3", {"status": "在途"}, "3"),
        ("501", {"statusCode": "5"}, "501"),
    ],
)
def test_the_state_counts_where_the_newest_row_does_not_say_it(
    state: str, row: dict[str, str], summary: str | None
) -> None:
    rows = [{"time": "2026-05-05 10:00:00", "context": "…"} | row, {"time": "2026-05-04 10:00:00", "context": "揽收"}]
    [report] = kuaidi100.parse(history(rows, state=state), "application/json")
    assert report.summary
    assert (report.summary.status and report.summary.status.code) == summary


@pytest.mark.parametrize(
    ("arrival", "expected"),
    [("2026-05-06 18", "2026-05-06T18:00:00+08:00"), ("2026-05-06", "2026-05-06T00:00:00+08:00"), ("明天", None)],
)
def test_an_expected_day_is_read_where_it_is_one(arrival: str, expected: str | None) -> None:
    [report] = kuaidi100.parse(history([{"time": "2026-05-05 10:00:00", "context": "…"}], arrivalTime=arrival), "")
    assert report.summary
    assert (report.summary.expected_to and report.summary.expected_to.iso()) == expected


def test_an_accepted_subscription_reports_nothing_and_a_refused_one_its_problem() -> None:
    accepted = '{"result":true,"returnCode":"200","message":"提交成功"}'
    assert kuaidi100.parse(accepted.encode(), "application/json") == []
    assert parsed("error-700-subscription.json").problem


def test_a_locked_number_is_a_matter_of_limits() -> None:
    problem = parsed("error-locked.json").problem
    assert problem and problem.kind is ProblemKind.LIMITED


def test_a_form_without_a_param_can_not_be_read() -> None:
    with pytest.raises(ParseError):
        kuaidi100.parse(b"sign=00&xparam=", "application/x-www-form-urlencoded")


def test_the_acknowledgement_is_what_kuaidi100_waits_for() -> None:
    status, _, body = kuaidi100.acknowledge(True)
    assert (status, json.loads(body)) == (200, {"result": True, "returnCode": "200", "message": "成功"})
    assert json.loads(kuaidi100.acknowledge(False)[2])["result"] is False


def test_sf_and_zto_need_the_tail_of_a_phone_number_and_others_do_not() -> None:
    assert kuaidi100.needs(Ask(number="SF1", carrier="sf")) == "phone_tail"
    assert kuaidi100.needs(Ask(number="1", carrier="zto")) == "phone_tail"
    assert kuaidi100.needs(Ask(number="1", carrier="zto", phone_tail="0000")) == ""
    assert kuaidi100.needs(Ask(number="1", carrier="yto")) == ""


def test_a_carrier_is_asked_for_by_a_code_that_leads_back_to_it() -> None:
    assert {slug: CARRIERS[code] for slug, code in OUR_SLUGS.items()} == {slug: slug for slug in CARRIERS.values()}
    assert (OUR_SLUGS["sf"], OUR_SLUGS["fedex"]) == ("shunfeng", "fedex")
