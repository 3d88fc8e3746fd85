"""`milepost parse`: one body through an adapter, without a store and without a network."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracker.cli import main

PUSH: dict[str, Any] = {
    "shipment": {
        "number": "SIMSTD000000010",
        "events": [
            {"time": "2026-11-23T09:00:00+08:00", "code": "PUP", "text": "已揽收", "location": "杭州市"},
            {"time": "2026-11-23T20:00:00+08:00", "code": "ZZZ", "text": "xyzzy 42"},
            {"time": "2026-11-24T08:00:00+08:00", "code": "FLD", "detail": "01", "text": "收件人不在"},
        ],
    }
}


class Ran:
    """What a run of the command answered."""

    def __init__(self, code: int, captured: pytest.CaptureFixture[str]) -> None:
        self.code = code
        self.out, self.err = captured.readouterr()

    @property
    def shipments(self) -> Any:
        return json.loads(self.out)


Parse = Callable[..., Ran]


@pytest.fixture
def parse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Parse:
    """Run `milepost parse SLUG FILE` on a body."""

    def run(slug: str, body: Any, *more: str) -> Ran:
        file = tmp_path / "body"
        file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        return Ran(main(["parse", slug, str(file), *more]), capsys)

    return run


def test_a_push_is_shown_as_shipments_with_their_events(parse: Parse) -> None:
    ran = parse("simulated", PUSH)
    assert (ran.code, ran.err) == (0, "")
    [shipment] = ran.shipments
    assert (shipment["waybill"], shipment["status"]) == ("SIMSTD000000010", "delivery_failed")
    assert [event["milestone"] for event in shipment["events"]] == ["picked_up", "unknown", "delivery_failed"]
    assert shipment["events"][2] == {
        "occurred_at": "2026-11-24T08:00:00+08:00",
        "certainty": "given",
        "milestone": "delivery_failed",
        "reason": "recipient_absent",
        "code": "FLD/01",
        "description": "收件人不在",
        "location": None,
        "source": "scan",
    }


def test_a_body_comes_from_standard_input_where_no_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(PUSH).encode())))
    ran = Ran(main(["parse", "simulated"]), capsys)
    assert (ran.code, len(ran.shipments)) == (0, 1)


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b"\xff\xfe\x00", b'{"shipment": 5}', b"<xml/>"])
def test_a_body_that_cant_be_read_is_exit_code_2_with_the_reason_on_standard_error(parse: Parse, body: bytes) -> None:
    ran = parse("simulated", body)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("milepost: simulated can't read this: ")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("slug", "body", "words"),
    [
        ("sf", {"apiResultCode": "A1006", "apiErrorMsg": "wrong signature"}, "refused: A1006 wrong signature"),
        ("kuaidi100", {"result": False, "returnCode": "503", "message": "bad"}, "refused: 503 bad"),
        ("dhl", {"status": 404, "title": "No result found", "instance": "/shipment/1"}, "not_found: 404"),
        ("seventeentrack", {"code": -18010002, "message": "bad key"}, "refused: -18010002: bad key"),
        ("fedex", {"errors": [{"code": "NOT.AUTHORIZED.ERROR", "message": "no"}]}, "refused: NOT.AUTHORIZED.ERROR"),
    ],
)
def test_an_error_body_is_an_empty_list_with_the_carriers_words_on_standard_error(
    parse: Parse, slug: str, body: Any, words: str
) -> None:
    ran = parse(slug, body)
    assert (ran.code, ran.shipments) == (0, [])
    assert words in ran.err


def test_a_carrier_that_we_dont_have_is_a_usage_error(parse: Parse) -> None:
    ran = parse("acne", {})
    assert (ran.code, ran.out) == (64, "")
    assert ran.err == "milepost: parse: 'acne' is no carrier; `milepost carriers` lists them\n"


def test_a_file_that_is_absent_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = tmp_path / "absent.json"
    ran = Ran(main(["parse", "simulated", str(absent)]), capsys)
    assert (ran.code, ran.out) == (64, "")
    assert ran.err == f"milepost: parse: {absent}: No such file or directory\n"


def test_the_content_type_can_be_told(parse: Parse) -> None:
    assert parse("simulated", PUSH, "--content-type", "application/json").code == 0


def test_each_waybill_of_a_body_is_one_shipment_however_often_it_is_told(parse: Parse) -> None:
    event = PUSH["shipment"]["events"][0]
    rows = [
        {"number": number, "events": [event]} for number in ("SIMSTD000000010", "SIMSTD000000011", "SIMSTD000000010")
    ]
    ran = parse("simulated", {"shipments": rows})
    assert [(one["waybill"], len(one["events"])) for one in ran.shipments] == [
        ("SIMSTD000000010", 1),
        ("SIMSTD000000011", 1),
    ]
