"""J&T Express China: the conformance kit, and what only J&T does."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import md5
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from carriers import conformance, jtexpress, quality
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, R
from tests.carriers.adapter import meaning, reader
from tests.carriers.loopback_http import loopback

FOLDER = Path(jtexpress.__file__).parent
FIXTURES = FOLDER / "fixtures"
CREDENTIALS = {"api_account": "178", "private_key": "hush"}
read, means = reader(jtexpress.carrier), meaning(jtexpress.carrier)


def test_the_jtexpress_adapter_conforms() -> None:
    conformance.check(jtexpress.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(jtexpress.carrier, FOLDER)


def test_a_delivered_parcel_goes_from_node_to_node() -> None:
    [report] = read("query-delivered.json")
    assert [means(scan)[0] for scan in report.scans] == [
        M.PICKED_UP,
        M.IN_TRANSIT,
        M.HUB_ARRIVED,
        M.HUB_DEPARTED,
        M.AT_DELIVERY_DEPOT,  # by its words: 网点
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
    ]
    assert report.full


def test_signed_by_a_pickup_point_is_not_delivered() -> None:
    signed, _ = read("push-several.form")
    assert means(signed.scans[0])[0] is M.AVAILABLE_FOR_PICKUP


def test_taken_out_or_away_says_not_by_whom() -> None:
    collected, failed, _ = read("query-several.json")
    assert means(collected.scans[-1])[0] is M.NOTE
    assert [means(scan)[0] for scan in failed.scans if scan.code == "快件取出扫描"] == [M.NOTE]


def test_a_problem_is_read_by_its_words() -> None:
    _, failed, _ = read("query-several.json")
    assert means(failed.scans[0]) == (M.DELIVERY_FAILED, R.RECIPIENT_UNREACHABLE)


def test_nodes_by_number_mean_what_they_mean_by_name() -> None:
    assert all(jtexpress.MILESTONES[name] == jtexpress.NODES[node] for name, node in jtexpress.NAMES.items())
    [report] = read("query-numbers.json")
    assert [scan.code for scan in report.scans] == ["1", "3"]


def test_an_offset_is_the_one_that_stands_beside_the_time_or_none() -> None:
    [report] = read("query-numbers.json")
    times = {scan.code: scan.time for scan in report.scans if scan.time}
    assert (times["1"].offset, times["1"].certainty) == (480, Certainty.GIVEN)
    assert (times["3"].offset, times["3"].certainty) == (None, Certainty.ASSUMED)


def test_a_push_is_never_the_whole_history() -> None:
    assert not any(report.full for name in ("push-one.form", "push-several.form") for report in read(name))


def test_a_number_without_traces_does_not_spoil_the_answer_for_the_others() -> None:
    *_, missing = read("query-several.json")
    assert missing.problem
    assert (missing.waybill, missing.problem.kind) == ("JT0000000000014", ProblemKind.NOT_FOUND)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-no-data", ProblemKind.NOT_FOUND),
        ("error-no-details", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-signature", ProblemKind.REFUSED),
        ("error-permission", ProblemKind.REFUSED),
        ("error-parameter", ProblemKind.INVALID),
        ("error-too-often", ProblemKind.LIMITED),
        ("error-system", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_traces_without_a_number_are_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        jtexpress.parse(b'{"code": "1", "data": [{"details": []}]}', "application/json")
    assert caught.value.path == "$.data[0].billCode"


async def test_a_query_takes_ten_numbers_and_is_signed() -> None:
    asks = [Ask(number=f"JT{place:013}") for place in range(11)]
    async with loopback({jtexpress.TRACE: b"{}"}, CREDENTIALS) as (http, asked):
        assert len(await jtexpress.fetch(http, asks)) == 2
    contents = [parse_qs(one.body.decode())["bizContent"][0] for one in asked]
    assert [len(json.loads(content)["billCodes"].split(",")) for content in contents] == [10, 1]
    headers = asked[0].headers
    assert headers["digest"] == b64encode(md5(f"{contents[0]}hush".encode()).digest()).decode()
    assert (headers["apiaccount"], headers["timestamp"]) == ("178", "1778000000000")


async def test_a_subscription_asks_for_every_node_in_use_and_names_the_refused_numbers() -> None:
    results = [{"waybillCode": "JT1", "isSuccess": True}, {"waybillCode": "JT2", "isSuccess": False}]
    answer = json.dumps({"code": "1", "msg": "部分失败", "data": {"list": results}}).encode()
    async with loopback({jtexpress.SUBSCRIBE: answer}, CREDENTIALS) as (http, asked):
        refused = await jtexpress.subscribe(http, [Ask(number="JT1"), Ask(number="JT2")], "https://example.com/in")
    assert refused == {"JT2": "1 部分失败"}
    content = json.loads(parse_qs(asked[0].body.decode())["bizContent"][0])
    assert content["id"] == "178"
    assert content["list"][0] == {
        "traceNode": "1&3&4&5&6&7&8&9&10&11&12&13&14",
        "waybillCode": "JT1",
        "backUrl": "https://example.com/in",
    }
    assert jtexpress.parse(answer, "application/json") == []


async def test_a_subscription_refused_as_a_whole_refuses_each_number() -> None:
    answers = {jtexpress.SUBSCRIBE: (FIXTURES / "error-permission.json").read_bytes()}
    async with loopback(answers, CREDENTIALS) as (http, _):
        refused = await jtexpress.subscribe(http, [Ask(number="JT1"), Ask(number="JT2")], "")
    assert refused == dict.fromkeys(("JT1", "JT2"), "145003012 API账户没有接口权限")


def test_the_acknowledgement_is_what_jtexpress_waits_for() -> None:
    status, _, body = jtexpress.acknowledge(True)
    assert (status, json.loads(body)) == (200, {"code": "1", "msg": "success", "data": "SUCCESS"})
    assert json.loads(jtexpress.acknowledge(False)[2])["code"] == "0"
