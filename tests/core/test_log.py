"""A log line is for finding out what happened, and holds nobody's phone, key or address."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog

from tracker.log import configure, redact


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def redacted(**event: Any) -> dict[str, Any]:
    return dict(redact(None, "", event))


@pytest.mark.parametrize(
    "text",
    [
        "13800000000",
        "call 13800000000 now",
        "快件交给张**（联系电话：13800000000）",
        "+86 138 0000 0000",
        "0571-8888-0000",
    ],
)
def test_a_phone_number_in_a_text_is_masked(text: str) -> None:
    assert "***" in redacted(error=text)["error"]
    assert "0000" not in redacted(error=text)["error"]


@pytest.mark.parametrize(
    "text",
    [
        "shp_138000000001380",
        "SF1380000000013",
        "773800000000001",
        "2026-11-23T04:05:06Z",
        "attempt 3 of 10",
        "138****0000",
    ],
)
def test_a_number_that_is_no_phone_stays(text: str) -> None:
    assert redacted(waybill=text) == {"waybill": text}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("key mp_AbCd1234_s3cr3ts3cr3t refused", "key mp_AbCd… refused"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_…"),
        ("POST /hooks/con_1a2b/p4thsecret answered", "POST /hooks/con_1a2b/… answered"),
        ("GET /parcels/shp_0a1b2c/abcdefghijklmnopqrstuvwx failed", "GET /parcels/shp_0a1b2c/… failed"),
        ("Cookie: milepost_session=WyJkZWZhdWx0.c2ln; x=1", "Cookie: milepost_session=…; x=1"),
    ],
)
def test_a_key_and_a_secret_in_an_address_are_cut(text: str, left: str) -> None:
    assert redacted(event=text) == {"event": left}


@pytest.mark.parametrize(
    "name", ["body", "text", "description", "credentials", "secret", "key", "authorization", "token"]
)
def test_what_a_log_never_needs_is_dropped_whatever_it_holds(name: str) -> None:
    assert redacted(**{"event": "x", name: {"a": "b"}}) == {"event": "x"}


def test_numbers_and_ids_pass_untouched() -> None:
    event = {"event": "delivered", "shipment": "shp_1", "attempt": 2, "ok": True, "took": 0.5, "none": None}
    assert redacted(**event) == event


def lines(captured: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.splitlines()]


def test_json_lines_go_to_standard_error_one_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    structlog.get_logger().info("push_accepted", carrier="acme", text="张三 13800000000")
    out, err = capsys.readouterr()
    [line] = lines(err)
    assert out == ""
    assert (line["event"], line["level"], line["carrier"]) == ("push_accepted", "info", "acme")
    assert line["timestamp"].endswith("Z")
    assert "text" not in line


def test_what_an_exception_repeats_is_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        raise ValueError("recipient 13800000000")
    except ValueError:
        structlog.get_logger().exception("adapter_broken")
    [line] = lines(capsys.readouterr().err)
    assert "ValueError: recipient ***" in line["exception"]


def test_what_is_bound_to_the_running_task_is_on_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")
    assert [line.get("request_id") for line in lines(capsys.readouterr().err)] == ["r-1", None]


def test_a_level_hides_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "json")
    structlog.get_logger().info("hidden")
    structlog.get_logger().warning("shown")
    assert [line["event"] for line in lines(capsys.readouterr().err)] == ["shown"]


def test_away_from_a_terminal_auto_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "auto")
    structlog.get_logger().info("x")
    assert lines(capsys.readouterr().err)[0]["event"] == "x"


def test_for_people_a_line_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "console")
    structlog.get_logger().info("started")
    assert "started" in capsys.readouterr().err


def test_what_the_libraries_log_goes_to_the_same_stream(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("aiohttp.server").error("broken")
    [line] = lines(capsys.readouterr().err)
    assert (line["level"], line["logger"], line["event"]) == ("error", "aiohttp.server", "broken")


def test_what_the_libraries_log_is_masked_with_its_exceptions(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    try:
        raise ValueError("Authorization: Bearer mp_AbCd1234_s3cr3ts3cr3t of 13800000000")
    except ValueError:
        logging.getLogger("asyncio").exception("at %s", "redis://user:p4ssw0rd@store/0")
    said = capsys.readouterr().err
    [line] = lines(said)
    assert line["event"] == "at redis://user:…@store/0"
    assert "Traceback" in line["exception"]
    assert not [one for one in ("s3cr3t", "13800000000", "p4ssw0rd") if one in said]


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_is_masked_in_either_form(
    capsys: pytest.CaptureFixture[str], format: Literal["json", "console"]
) -> None:
    configure("info", format)
    try:
        raise ValueError("whsec_c2VjcmV0c2VjcmV0 and 13800000000")
    except ValueError:
        structlog.get_logger().exception("broken")
    said = capsys.readouterr().err
    assert "ValueError: whsec_" in said
    assert not [one for one in ("c2VjcmV0", "13800000000") if one in said]


def test_what_nobody_caught_is_a_line_and_masked(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.excepthook
    try:
        configure("info", "json")
        try:
            raise ValueError("token=s3cr3ts3cr3t")
        except ValueError as error:
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.excepthook = before
    [line] = lines(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("crashed", "critical")
    assert line["exception"].endswith("ValueError: token=…")


def test_the_settings_secrets_are_masked_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json", secrets=["a-secret-of-the-settings", "short"])
    structlog.get_logger().info("x", error="it was a-secret-of-the-settings, in short")
    assert lines(capsys.readouterr().err)[0]["error"] == "it was …, in short"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("GET https://x.example/q?access_token=abcdef&no=1", "GET https://x.example/q?access_token=…&no=1"),
        ('{"app_secret": "abcdef", "no": 1}', '{"app_secret": "…", "no": 1}'),
        ("{'X-Shopify-Access-Token': 'shpat_abc'}", "{'X-Shopify-Access-Token': '…'}"),
        ("postgresql+asyncpg://me:p%40ss@db/book", "postgresql+asyncpg://me:…@db/book"),
        ("redis://:p4ss@store:6379/0 refused", "redis://:…@store:6379/0 refused"),
        ("POST /order-stores/ost_1a2b/p4thsecret answered", "POST /order-stores/ost_1a2b/… answered"),
        ("/order-stores/ost_1a2b/deliveries?limit=5", "/order-stores/ost_1a2b/…?limit=5"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic …"),
        ("签收人：张三，电话13800000000", "签收人：**，电话***"),
        ("secrets.key: not base64", "secrets.key: not base64"),
        ("the signature does not fit the body", "the signature does not fit the body"),
        ("http://127.0.0.1:8040/v1/shipments", "http://127.0.0.1:8040/v1/shipments"),
    ],
)
def test_secrets_are_known_by_their_forms_and_names(text: str, left: str) -> None:
    assert redacted(error=text) == {"error": left}


def test_what_lies_deep_in_a_value_is_masked_and_what_is_no_text_is_made_one() -> None:
    deep = {
        "of": [{"phone": "13800000000", "token": "x"}],
        "raw": b"13800000000",
        "error": ValueError("mp_AbCd1234_abc"),
    }
    assert redacted(seen=deep) == {
        "seen": {"of": [{"phone": "***"}], "raw": "11 bytes", "error": "ValueError('mp_AbCd…')"}
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_line_that_cannot_be_written_ends_nobodys_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk that the log lies on is full."""
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        configure(format="json")
        for _ in range(1_000):
            structlog.get_logger().warning("said")
            logging.getLogger("aiohttp").error("said by a library")
        with pytest.raises(OSError, match="No space left"):
            full.flush()
