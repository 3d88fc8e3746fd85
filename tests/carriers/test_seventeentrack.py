"""17TRACK: the conformance kit, and what only 17TRACK does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, seventeentrack
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, Push
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback

FIXTURES = Path(seventeentrack.__file__).parent / "fixtures"
SAMPLES, with_samples = recorded(seventeentrack.carrier)
DONE = b'{"code": 0, "data": {"accepted": [], "rejected": []}}'
read, means = reader(seventeentrack.carrier), meaning(seventeentrack.carrier)


def test_the_seventeentrack_adapter_conforms() -> None:
    conformance.check(seventeentrack.carrier, FIXTURES)


def test_the_first_mile_and_the_last_make_one_history_oldest_first() -> None:
    report = read("query-mixed.json")[0]
    assert len(report.scans) == 9
    assert [scan.code for scan in report.scans if "Customs" in scan.code] == [
        "InTransit_CustomsProcessing",
        "InTransit_CustomsReleased",
    ]


def test_a_raw_time_keeps_the_carrier_s_offset_and_lacks_one_where_the_carrier_gave_none() -> None:
    scans = {scan.text: scan.time for scan in read("query-mixed.json")[0].scans}
    facility, preparing = scans["Processed Through Facility"], scans["Origin Post is Preparing Shipment"]
    assert facility and preparing
    assert facility.iso() == "2026-03-05T13:00:00-08:00"
    assert (preparing.offset, preparing.certainty) == (None, Certainty.ASSUMED)


def test_a_utc_time_is_used_where_there_is_nothing_else() -> None:
    event = {"time_iso": None, "time_utc": "2026-03-05T21:00:00Z", "description": "x"}
    body = {"number": "1", "track_info": {"tracking": {"providers": [{"events": [event]}]}}}
    [report] = seventeentrack.parse(json.dumps({"event": "TRACKING_UPDATED", "data": body}).encode(), "")
    time = report.scans[0].time
    assert time
    assert time.iso() == "2026-03-05T21:00:00+00:00"


def test_an_event_without_a_stage_is_judged_by_its_words() -> None:
    first, second, *_ = read("push-delivered.json")[0].scans
    assert (first.code, means(first)[0]) == ("", M.PICKED_UP)
    assert means(second)[0] is M.HUB_ARRIVED


def test_in_transit_other_leaves_it_to_the_words() -> None:
    told = {scan.text: means(scan)[0] for scan in read("query-mixed.json")[0].scans}
    assert told["离开【深圳处理中心】,下一站【广州互换局】"] is M.HUB_DEPARTED


def test_expired_is_17track_s_silence_and_moves_nothing() -> None:
    summary = read("query-exception.json")[2].summary
    assert summary and summary.status
    assert means(summary.status)[0] is M.NOTE


def test_a_history_that_a_provider_could_not_refresh_is_not_whole() -> None:
    assert [report.full for report in read("query-exception.json")] == [True, True, False]


def test_the_local_number_is_the_successor_and_the_key_names_the_carrier() -> None:
    post, parcel, rejected = read("query-mixed.json")
    assert post.summary
    assert post.summary.successor == "9200000000000000000001"
    assert seventeentrack.carrier.carriers.get(parcel.carrier) == "ups"
    assert rejected.problem
    assert rejected.problem.kind is ProblemKind.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-key", ProblemKind.REFUSED),
        ("error-quota", ProblemKind.LIMITED),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-invalid-number", ProblemKind.INVALID),
        ("error-not-registered", ProblemKind.NOT_FOUND),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_a_push_signed_with_another_key_is_refused() -> None:
    body = (FIXTURES / "push-delivered.json").read_bytes()
    sign = (FIXTURES / "push-delivered.headers").read_text().split("sign: ")[1].strip()
    push = Push(headers={"sign": sign}, query={}, body=body)
    assert seventeentrack.verify(push, {"token": "invented-key"})
    assert not seventeentrack.verify(push, {"token": "another"})
    assert not seventeentrack.verify(push, {})


def test_a_push_that_was_not_taken_in_is_not_answered_200() -> None:
    assert seventeentrack.acknowledge(True)[0] == 200
    assert seventeentrack.acknowledge(False)[0] >= 500


def test_a_report_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        seventeentrack.parse(b'{"event": "TRACKING_UPDATED", "data": {}}', "application/json")
    assert caught.value.path == "$.data.number"


async def test_registering_sends_forty_at_a_time_and_names_the_refused() -> None:
    refusal = {
        "rejected": [
            {"number": "1", "error": {"code": -18019901, "message": "already registered"}},
            {"number": "2", "error": {"code": -18019903, "message": "carrier not detected"}},
        ]
    }
    answers = {"/track/v2.2/register": json.dumps({"code": 0, "data": refusal}).encode()}
    asks = [Ask(number=str(place), carrier="fedex" if place == 0 else "", phone_tail="0000") for place in range(41)]
    async with loopback(answers, {"token": "key"}) as (http, asked):
        refused = await seventeentrack.subscribe(http, asks, "https://example.org/hook")
    assert refused == {"2": "-18019903: carrier not detected"}
    sent = [json.loads(one.body) for one in asked]
    assert [len(some) for some in sent] == [40, 1]
    assert sent[0][0] == {"number": "0", "carrier": 100003, "auto_detection": True, "param": "0000"}
    assert asked[0].headers["17token"] == "key"


async def test_a_refused_key_refuses_every_number() -> None:
    answers = {"/track/v2.2/register": (FIXTURES / "error-key.json").read_bytes()}
    async with loopback(answers, {"token": "key"}) as (http, _):
        refused = await seventeentrack.subscribe(http, [Ask(number="1"), Ask(number="2")], "")
    assert set(refused) == {"1", "2"}


async def test_asking_and_stopping_name_the_carrier_where_it_is_known() -> None:
    answers = {"/track/v2.2/gettrackinfo": DONE, "/track/v2.2/stoptrack": DONE}
    async with loopback(answers, {"token": "key"}) as (http, asked):
        await seventeentrack.fetch(http, [Ask(number="1", carrier="dhl"), Ask(number="2", carrier="unheard_of")])
        await seventeentrack.unsubscribe(http, [Ask(number="1", carrier="ups")])
    assert [json.loads(one.body) for one in asked] == [
        [{"number": "1", "carrier": 100001}, {"number": "2"}],
        [{"number": "1", "carrier": 100002}],
    ]


@with_samples
def test_the_recorded_push_is_read_whole() -> None:
    [report] = seventeentrack.parse((SAMPLES / "01-webhook.json").read_bytes(), "application/json")
    told = [means(scan)[0] for scan in report.scans]
    assert told == [M.INFO_RECEIVED, M.PICKED_UP, M.HUB_ARRIVED, M.OUT_FOR_DELIVERY, M.DELIVERED]
    assert report.summary
    assert (report.summary.weight_g, report.summary.service) == (22320, "UPS Ground")
