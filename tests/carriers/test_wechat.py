"""WeChat's logistics assistant: the conformance kit, and what only WeChat does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, quality, wechat
from carriers.kuaidi100.codes import OUR_SLUGS as SLUGS_ELSEWHERE
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, Push, R, Report
from carriers.wechat.codes import OUR_SLUGS
from tests.carriers.adapter import meaning
from tests.carriers.carrier_wire import Wire
from tests.carriers.loopback_http import loopback

FOLDER = Path(wechat.__file__).parent
FIXTURES = FOLDER / "fixtures"
CREDENTIALS = {"app_id": "wx0", "app_secret": "hush"}
PATH, TOKEN = "/cgi-bin/express/business/path/get", "/cgi-bin/stable_token"
TOKEN_ANSWER = b'{"access_token": "token-1", "expires_in": 7200}'


def read(name: str) -> Report:
    [report] = wechat.parse((FIXTURES / name).read_bytes(), "")
    return report


means = meaning(wechat.carrier)


def test_the_wechat_adapter_conforms() -> None:
    conformance.check(wechat.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(wechat.carrier, FOLDER)


def test_an_update_on_the_way_is_read_by_its_words() -> None:
    assert [means(scan)[0] for scan in read("query-delivered.json").scans] == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_ARRIVED,
        M.HUB_DEPARTED,
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
    ]


def test_signed_by_a_locker_or_taken_out_of_one_by_the_courier_is_not_delivered() -> None:
    told = {scan.code: means(scan) for name in ("query-trouble.json", "query-others.json") for scan in read(name).scans}
    assert told["300003"][0] is M.AVAILABLE_FOR_PICKUP
    assert told["300006"] == (M.DELIVERY_FAILED, R.OTHER)
    assert told["300004"] == (M.DELIVERY_FAILED, R.RECIPIENT_UNREACHABLE)


def test_unix_seconds_are_utc() -> None:
    time = read("query-delivered.json").scans[0].time
    assert time
    assert (time.iso(), time.certainty) == ("2026-05-04T02:00:00+00:00", Certainty.GIVEN)


def test_an_event_in_xml_is_read_like_one_in_json_and_is_no_whole_history() -> None:
    xml, plain = read("push-path.xml"), read("push-json.json")
    assert (xml.waybill, xml.carrier, xml.full) == ("YT0000000000016", "YTO", False)
    assert [scan.code for scan in xml.scans] == ["100001", "200001"]
    assert (plain.carrier, [scan.code for scan in plain.scans]) == ("STO", ["300002"])


def test_an_event_of_another_kind_tells_of_no_parcel() -> None:
    assert wechat.parse(b'{"MsgType": "event", "Event": "weapp_audit_success"}', "application/json") == []


def test_an_encrypted_event_says_what_to_change() -> None:
    with pytest.raises(ParseError, match="明文模式"):
        wechat.parse(b"<xml><ToUserName>gh</ToUserName><Encrypt>abc</Encrypt></xml>", "text/xml")


@pytest.mark.parametrize("time", [b'"soon"', b"1777860000000", b"-1"])
def test_a_time_that_is_no_unix_seconds_is_an_error_with_its_path(time: bytes) -> None:
    body = (FIXTURES / "query-delivered.json").read_bytes().replace(b"1777860000", time, 1)
    with pytest.raises(ParseError) as caught:
        wechat.parse(body, "application/json")
    assert caught.value.path == "$.path_item_list[0].action_time"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-no-path", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-token", ProblemKind.REFUSED),
        ("error-permission", ProblemKind.REFUSED),
        ("error-parameter", ProblemKind.INVALID),
        ("error-limit", ProblemKind.LIMITED),
        ("error-busy", ProblemKind.UNAVAILABLE),
        ("error-unlisted", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    problem = read(f"{name}.json").problem
    assert problem
    assert problem.kind is kind


async def test_each_waybill_is_asked_for_alone_with_one_token() -> None:
    answers = {TOKEN: TOKEN_ANSWER, PATH: (FIXTURES / "query-delivered.json").read_bytes()}
    asks = [Ask(number="SF1", carrier="sf"), Ask(number="43", carrier="yunda")]
    async with loopback(answers, CREDENTIALS) as (http, asked):
        assert len(await wechat.fetch(http, asks)) == 2
    token, *queries = asked
    assert json.loads(token.body) == {"grant_type": "client_credential", "appid": "wx0", "secret": "hush"}
    assert {one.query["access_token"] for one in queries} == {"token-1"}
    assert [json.loads(one.body) for one in queries] == [
        {"delivery_id": "SF", "waybill_id": "SF1"},
        {"delivery_id": "YUNDA", "waybill_id": "43"},
    ]


async def test_a_stale_token_is_renewed_once() -> None:
    answers = {TOKEN: TOKEN_ANSWER, PATH: (FIXTURES / "error-token.json").read_bytes()}
    async with loopback(answers, CREDENTIALS) as (http, asked):
        assert isinstance(http, Wire)
        [reply] = await wechat.fetch(http, [Ask(number="SF1", carrier="sf")])
    assert [one.path for one in asked] == [TOKEN, PATH, TOKEN, PATH]
    [report] = wechat.parse(reply.body, reply.content_type)
    assert report.problem


async def test_a_refused_token_is_an_error_that_says_so() -> None:
    async with loopback({TOKEN: b'{"errcode": 40125, "errmsg": "invalid appsecret"}'}, CREDENTIALS) as (http, _):
        with pytest.raises(ParseError, match="no token: 40125 invalid appsecret"):
            await wechat.fetch(http, [Ask(number="SF1", carrier="sf")])


def test_a_registration_needs_a_carrier_that_wechat_has() -> None:
    assert wechat.needs(Ask(number="1", carrier="sto")) == ""
    assert wechat.needs(Ask(number="1")) == "carrier"
    assert set(OUR_SLUGS) <= set(SLUGS_ELSEWHERE)


def test_the_acknowledgement_is_what_wechat_waits_for() -> None:
    assert wechat.acknowledge(True) == (200, "text/plain", b"success")


def tried(echo: str = "4375120948345356249", **query: str) -> Push:
    """The GET by which WeChat tries an address, signed with the token `weixin`."""
    signed = {"signature": "4dc368b6da4fc41740354a0d405cdd44abfafcdb", "timestamp": "1714036504", "nonce": "1514711492"}
    return Push(headers={}, query=signed | {"echostr": echo} | query, body=b"")


def test_the_get_by_which_wechat_tries_an_address_is_echoed_where_it_is_signed() -> None:
    assert wechat.greet(tried(), {"token": "weixin"}) == (200, "text/plain", b"4375120948345356249")


def test_a_get_that_is_not_signed_or_would_be_a_page_is_not_echoed() -> None:
    for wrong in (tried(nonce="1"), tried(signature=""), tried("<b>"), tried(""), tried("x" * 129)):
        assert wechat.greet(wrong, {"token": "weixin"}) is None
    assert wechat.greet(tried(), {}) is None
    assert wechat.greet(tried(), {"token": "another"}) is None
