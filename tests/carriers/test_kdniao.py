"""KDNiao: the conformance kit, and what only KDNiao does."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import md5
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from carriers import conformance, kdniao, quality
from carriers.kdniao.codes import OUR_SLUGS
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, Push, R
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.carrier_wire import Peer, connected

FOLDER = Path(kdniao.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(kdniao.carrier)
CREDENTIALS = {"business_id": "1234567", "app_key": "hush"}
ASKED = kdniao.ASK_PATH
read, means = reader(kdniao.carrier), meaning(kdniao.carrier)


def signature(text: str, key: str) -> str:
    return b64encode(md5((text + key).encode()).hexdigest().encode()).decode()


def test_the_kdniao_adapter_conforms() -> None:
    conformance.check(kdniao.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(kdniao.carrier, FOLDER)


def test_a_locker_and_a_delivery_are_told_apart_by_the_rows_own_code() -> None:
    [report] = read("query-8001-locker.json")
    assert [means(scan)[0] for scan in report.scans] == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_DEPARTED,
        M.HUB_ARRIVED,
        M.HUB_ARRIVED,
        M.AT_DELIVERY_DEPOT,
        M.OUT_FOR_DELIVERY,
        M.AVAILABLE_FOR_PICKUP,
    ]
    assert report.summary
    assert report.summary.status is None  # the newest row says it


def test_rows_without_a_code_are_left_to_the_phrases() -> None:
    [report] = read("query-1002-delivered.json")
    assert {scan.code for scan in report.scans} == {""}
    assert [means(scan)[0] for scan in report.scans][-2:] == [M.OUT_FOR_DELIVERY, M.DELIVERED]


def test_a_state_that_says_signed_of_a_parcel_in_a_locker_is_overruled_by_the_words() -> None:
    _, locker = read("push-101.form")
    assert locker.summary and locker.summary.status
    assert locker.summary.status.code == "3"
    assert means(locker.summary.status)[0] is M.AVAILABLE_FOR_PICKUP


def test_what_kdniao_concludes_from_the_time_passed_is_its_summary_and_no_scan() -> None:
    [report] = read("query-8001-overdue.json")
    assert len(report.scans) == 2
    assert report.summary and report.summary.status
    assert means(report.summary.status) == (M.EXCEPTION, R.MISSED_PICKUP)
    assert report.summary.status.time == report.scans[-1].time


def test_a_courier_who_takes_a_parcel_out_of_a_locker_has_not_delivered_it() -> None:
    [report] = read("query-8001-returned.json")
    assert [means(scan)[0] for scan in report.scans if scan.code == "418"] == [M.DELIVERY_FAILED]


def test_no_offset_is_invented() -> None:
    for name in ("query-1002-moving.json", "query-8001-abroad.json"):
        [report] = read(name)
        assert {scan.time.certainty for scan in report.scans if scan.time} == {Certainty.ASSUMED}


def test_an_expected_day_is_read_where_it_is_one() -> None:
    [day], [words] = read("query-8001-locker.json"), read("query-8001-overdue.json")
    assert day.summary and day.summary.expected_to
    assert day.summary.expected_to.iso() == "2026-05-07T00:00:00"
    assert words.summary
    assert words.summary.expected_to is None


def test_keys_in_lower_case_are_read_as_well() -> None:
    [report] = read("query-resold.json")
    assert (report.waybill, report.carrier, len(report.scans)) == ("SF0000000000024", "SF", 2)


def test_a_watch_that_was_ended_says_why_and_keeps_its_scans() -> None:
    [report] = read("push-ended.form")
    assert report.problem
    assert (report.problem.text, len(report.scans)) == ("30天无轨迹更新", 1)


def test_an_accepted_subscription_reports_nothing() -> None:
    accepted = b'{"EBusinessID":"1234567","UpdateTime":"2026-05-06 10:00:00","Success":true,"Reason":""}'
    assert kdniao.parse(accepted, "application/json") == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-no-trace.json", ProblemKind.NOT_FOUND),
        ("error-push-no-trace.form", ProblemKind.NOT_FOUND),
        ("error-phone.json", ProblemKind.INVALID),
        ("error-parameter.json", ProblemKind.INVALID),
        ("error-subscription.json", ProblemKind.INVALID),
        ("error-quota.json", ProblemKind.LIMITED),
        ("error-signature.json", ProblemKind.REFUSED),
        ("error-unavailable.json", ProblemKind.UNAVAILABLE),
    ],
)
def test_a_reason_in_words_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(name)
    assert report.problem
    assert report.problem.kind is kind


def test_traces_without_a_number_are_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        kdniao.parse(b'{"Success": true, "Traces": [{"AcceptStation": "x"}]}', "application/json")
    assert caught.value.path == "$.LogisticCode"


async def test_a_query_is_signed_and_sends_a_phone_tail_only_where_it_may() -> None:
    peer = Peer({ASKED: lambda _: b'{"Success":true}'})
    asks = [Ask(number="SF1", carrier="sf", phone_tail="0000"), Ask(number="YT1", carrier="yto", phone_tail="0000")]
    async with connected(peer, CREDENTIALS) as http:
        assert len(await kdniao.fetch(http, asks)) == 2
    fields = [fields for _, fields in peer.asked]
    assert fields[0]["DataSign"] == signature(fields[0]["RequestData"], "hush")
    assert {(one["EBusinessID"], one["RequestType"], one["DataType"]) for one in fields} == {("1234567", "1002", "2")}
    assert json.loads(fields[0]["RequestData"]) == {"ShipperCode": "SF", "LogisticCode": "SF1", "CustomerName": "0000"}
    assert json.loads(fields[1]["RequestData"]) == {"ShipperCode": "YTO", "LogisticCode": "YT1"}


@pytest.mark.parametrize(
    ("guesses", "code"), [(b'{"Success":true,"Shippers":[{"ShipperCode":"YD"}]}', "YD"), (b'{"Success":false}', "")]
)
async def test_a_number_without_a_known_carrier_is_recognised_first(guesses: bytes, code: str) -> None:
    peer = Peer({ASKED: lambda fields: guesses if fields["RequestType"] == "2002" else b"{}"})
    async with connected(peer, CREDENTIALS) as http:
        await kdniao.fetch(http, [Ask(number="4300000000000018")])
    assert [fields["RequestType"] for _, fields in peer.asked] == ["2002", "1002"]
    assert json.loads(peer.asked[1][1]["RequestData"])["ShipperCode"] == code


async def test_the_express_query_recognises_a_number_itself() -> None:
    peer = Peer({ASKED: lambda _: b"{}"})
    async with connected(peer, CREDENTIALS | {"query": "8002"}) as http:
        await kdniao.fetch(http, [Ask(number="4300000000000018")])
    assert [fields["RequestType"] for _, fields in peer.asked] == ["8002"]


async def test_a_query_that_kdniao_does_not_have_is_an_error_that_names_it() -> None:
    async with connected(Peer({}), CREDENTIALS | {"query": "9999"}) as http:
        with pytest.raises(ParseError, match=r"credentials\.query: '9999'.*1002, 8001, 8002"):
            await kdniao.fetch(http, [Ask(number="1", carrier="zto")])


async def test_a_subscription_is_one_call_a_number_and_names_the_refused_ones() -> None:
    def watched(fields: object) -> bytes:
        refused = "YT2" in str(fields)
        return json.dumps({"Success": not refused, "Reason": "快递公司编码不正确" if refused else ""}).encode()

    peer = Peer({kdniao.SUBSCRIBE_PATH: watched})
    asks = [Ask(number="YT1", carrier="yto"), Ask(number="YT2", carrier="yto")]
    async with connected(peer, CREDENTIALS | {"subscription": "8008"}) as http:
        refused = await kdniao.subscribe(http, asks, "https://milepost.example/in")
    assert refused == {"YT2": "快递公司编码不正确"}
    assert [fields["RequestType"] for _, fields in peer.asked] == ["8008", "8008"]


def test_only_a_push_with_its_own_type_and_signature_is_genuine() -> None:
    data = '{"Data":[],"PushTime":"张 +%"}'
    signed = quote_plus(signature(data, "hush"))
    for kind, genuine in (("101", True), ("102", True), ("1002", False), ("", False)):
        body = f"RequestData={quote_plus(data)}&RequestType={kind}&DataSign={signed}".encode()
        assert kdniao.verify(Push(headers={}, query={}, body=body), CREDENTIALS) is genuine


def test_the_acknowledgement_is_what_kdniao_waits_for() -> None:
    """It names whose push it answers, and when, on the clock of Beijing."""
    data = quote_plus('{"EBusinessID":"1237100","Data":[]}')
    push = Push(headers={}, query={}, body=f"RequestData={data}".encode())
    status, _, body = kdniao.respond(push, True, 1_795_400_000_000)
    told = {"EBusinessID": "1237100", "UpdateTime": "2026-11-23 10:13:20", "Success": True, "Reason": ""}
    assert (status, json.loads(body)) == (200, told)
    assert json.loads(kdniao.respond(push, False, 0)[2])["Success"] is False


def test_a_push_that_names_nobody_is_answered_all_the_same() -> None:
    for body in (b"", b"RequestData=x", b"RequestData=[]", b"\xff", b'{"EBusinessID": 7}'):
        _, _, told = kdniao.respond(Push(headers={}, query={}, body=body), True, 0)
        assert json.loads(told)["EBusinessID"] in ("", "7")


def test_sf_needs_the_tail_of_a_phone_number_and_others_do_not() -> None:
    assert kdniao.needs(Ask(number="SF1", carrier="sf")) == "phone_tail"
    assert kdniao.needs(Ask(number="SF1", carrier="sf", phone_tail="0000")) == ""
    assert kdniao.needs(Ask(number="1", carrier="zto")) == ""


def test_each_carrier_is_asked_by_its_first_code() -> None:
    assert (OUR_SLUGS["fedex"], OUR_SLUGS["ane"], OUR_SLUGS["cainiao"]) == ("FEDEX", "ANEKY", "DNWL")


@with_samples
def test_the_recorded_body_is_read_whole_and_every_row_gets_a_milestone() -> None:
    [report] = kdniao.parse((SAMPLES / "01.json").read_bytes(), "application/json")
    assert (report.carrier, len(report.scans), report.full) == ("HTKY", 10, True)
    assert all(means(scan)[0] is not M.UNKNOWN for scan in report.scans)
    assert means(report.scans[-1])[0] is M.DELIVERED
