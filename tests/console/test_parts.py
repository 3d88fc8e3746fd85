"""The pure parts of the console."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.console.formats import clock, day, duration, latency, seconds_since
from tracker.console.language import choose
from tracker.console.messages import MESSAGES
from tracker.console.progress import progress
from tracker.console.rendering import web_address
from tracker.console.session import Session, Signer
from tracker.model import Milestone, Status


def event(milestone: str, **more: Any) -> dict[str, Any]:
    told = {"milestone": milestone, "occurred_at": "2026-11-20T10:00:00", "certainty": "assumed", "leg": 1}
    return told | {"stray": False, "retracted": False} | more


def states(status: str, *milestones: str, **more: Any) -> list[str]:
    view = {"status": status, "leg": 1, "events": [event(milestone) for milestone in milestones]} | more
    return [step.state for step in progress(view)]


@pytest.mark.parametrize(
    ("ms", "english", "chinese"),
    [
        (0.3, "< 1 ms", "< 1 毫秒"),
        (12.4, "12 ms", "12 毫秒"),
        (999.6, "1.0 s", "1.0 秒"),
        (15_001, "15.0 s", "15.0 秒"),
    ],
)
def test_a_latency_is_told_in_the_unit_that_fits(ms: float, english: str, chinese: str) -> None:
    assert (latency(ms, "en"), latency(ms, "zh")) == (english, chinese)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", "ahead ahead ahead ahead"),
        ("picked_up", "current ahead ahead ahead"),
        ("in_transit", "done current ahead ahead"),
        ("out_for_delivery", "done done current ahead"),
        ("delivered", "done done done current"),
    ],
)
def test_the_strip_moves_with_the_status(status: str, expected: str) -> None:
    assert states(status) == expected.split()


def test_an_exception_stands_where_the_parcel_had_come() -> None:
    assert states("exception", "picked_up", "hub_arrived", "exception") == ["done", "current", "ahead", "ahead"]
    assert states("exception", "info_received", "exception") == ["ahead"] * 4


def test_a_step_that_went_wrong_bears_its_own_name() -> None:
    steps = progress({"status": "delivery_failed", "events": []})
    assert steps[2].words == {"zh": "派送未成功", "en": "Delivery attempt failed"}


def test_a_parcel_on_its_way_back_still_shows_how_far_it_had_come() -> None:
    events = [event("picked_up"), event("out_for_delivery"), event("returning", leg=2)]
    steps = progress({"status": "returning", "leg": 2, "events": events})
    assert [bool(step.at) for step in steps] == [True, False, True, False]
    assert steps[3].words == {"zh": "退回中", "en": "Returning to sender"}


def test_a_retracted_scan_dates_no_step() -> None:
    view = {"status": "in_transit", "leg": 1, "events": [event("picked_up", retracted=True), event("hub_arrived")]}
    assert [bool(step.at) for step in progress(view)] == [False, True, False, False]


@given(st.sampled_from(Status), st.lists(st.sampled_from(Milestone)))
def test_every_shipment_has_four_steps_of_which_one_at_most_is_current(
    status: Status, milestones: list[Milestone]
) -> None:
    seen = states(status, *milestones)
    assert len(seen) == 4
    assert seen.count("current") <= 1


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "0 秒", "0 s"),
        (59, "59 秒", "59 s"),
        (3_600, "1 小时", "1 h"),
        (90_000, "1 天 1 小时", "1 d 1 h"),
        (86_460, "1 天", "1 d"),
        (-5, "0 秒", "0 s"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds: int, zh: str, en: str) -> None:
    assert (duration(seconds, "zh"), duration(seconds, "en")) == (zh, en)


def test_a_carriers_time_stays_on_its_own_clock() -> None:
    now = 1_795_400_000
    given_, unknown, ours = (
        clock(iso, now) for iso in ("2026-11-20T10:00:00-05:00", "2026-11-20T10:00:00", "2025-11-20T10:00:00Z")
    )
    assert (given_.text, given_.zone, given_.ours) == ("11-20 10:00", "-05:00", False)
    assert (unknown.zone, unknown.ours) == ("", False)
    assert (ours.text, ours.zone, ours.ours) == ("2025-11-20 10:00", "UTC", True)
    assert (day("2026-11-20T23:00:00+08:00", "zh"), day("2026-11-20T23:00:00+08:00", "en")) == (
        "11月20日 周五",
        "Fri 20 Nov",
    )
    assert seconds_since("2026-11-20T10:00:00", 1_795_168_800 + 60) == 60


@pytest.mark.parametrize(
    ("asked", "kept", "accept", "language"),
    [
        ("zh", "en", "en", "zh"),
        ("fr", "zh", "en", "zh"),
        (None, None, "zh-TW,en;q=0.5", "zh"),
        (None, None, "fr, en;q=0.3, zh;q=0.8", "zh"),
        (None, None, "zh;q=0, en;q=0.1", "en"),
        (None, None, "", "en"),
        (None, None, ";;q=,=,q;q=x", "en"),
    ],
)
def test_the_language_is_chosen(asked: str | None, kept: str | None, accept: str, language: str) -> None:
    assert choose(asked, kept, accept) == language


def test_every_message_has_both_languages_with_the_same_gaps() -> None:
    for zh, en in MESSAGES.values():
        assert zh
        assert en
        assert set(re.findall(r"\{\w+\}", zh)) == set(re.findall(r"\{\w+\}", en))


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "", None, "//x"])
def test_only_a_web_address_is_a_link(url: str | None) -> None:
    assert web_address(url) == ""


def test_a_session_ends_in_time_and_belongs_to_its_secret() -> None:
    signer = Signer(b"0" * 16)
    cookie = signer.seal(Session("default", "k", 100, "one"))
    assert signer.open(cookie, 99) == Session("default", "k", 100, "one")
    assert signer.open(cookie, 100) is None
    assert Signer(b"1" * 16).open(cookie, 99) is None
    with pytest.raises(ValueError, match="16 bytes"):
        Signer(b"short")


@given(st.text())
def test_any_cookie_is_read_without_harm(cookie: str) -> None:
    assert Signer(b"0" * 16).open(cookie, 0) is None
