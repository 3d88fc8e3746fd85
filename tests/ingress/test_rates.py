"""Quotas, and who has used them up."""

from __future__ import annotations

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.ingress import rates
from tracker.ingress.rates import Rates


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_quota_comes_at_once_and_grows_back_at_its_rate() -> None:
    clock = Clock()
    some = Rates(2.0, 5.0, policy="key", clock=clock)
    assert [some.take("a").left for _ in range(10)] == list(range(9, -1, -1))
    refused = some.take("a")
    assert (refused.wait_s, refused.left, refused.whole_in_s) == (1, 0, 5)
    assert some.wait_s("a") == 1
    clock.now += 0.5
    assert some.wait_s("a") == 0
    assert some.take("a").wait_s == 0
    assert some.take("a").wait_s == 1
    clock.now += 5.0
    assert some.take("a").left == 9


def test_a_name_has_its_own_quota() -> None:
    some = Rates(1.0, 1.0)
    assert some.take("a").wait_s == 0
    assert some.take("a").wait_s == 1
    assert some.take("b").wait_s == 0


def test_without_a_rate_nothing_is_bounded_or_told() -> None:
    none = Rates(0.0)
    assert all(none.take("a").wait_s == 0 for _ in range(1_000))
    assert none.headers(none.take("a")) == {}


def test_the_headers_say_policy_quota_and_what_is_left() -> None:
    some = Rates(2.0, 5.0, policy="key", clock=Clock())
    told = some.headers(some.take("a"))
    assert told == {"RateLimit-Policy": '"key";q=10;w=5', "RateLimit": '"key";r=9;t=1'}
    for _ in range(10):
        refused = some.take("a")
    assert some.headers(refused)["Retry-After"] == "1"


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 30)), max_size=30), st.floats(0.5, 50), st.floats(1, 10))
def test_no_order_of_requests_gets_more_than_quota_and_rate(
    comings: list[tuple[float, int]], rate: float, window: float
) -> None:
    clock = Clock()
    some, taken, began = Rates(rate, window, clock=clock), 0, clock.now
    for pause, number in comings:
        clock.now += pause
        for _ in range(number):
            standing = some.take("a")
            taken += standing.wait_s == 0
            assert 0 <= standing.left < some.quota
    assert taken <= some.quota + (clock.now - began) * rate + 1


def test_after_the_wait_that_was_told_a_request_is_taken() -> None:
    clock = Clock()
    some = Rates(0.3, 7.0, clock=clock)
    for _ in range(50):
        clock.now += some.take("a").wait_s
    assert some.take("a").wait_s <= 4
    clock.now += some.wait_s("a")
    assert some.take("a").wait_s == 0


def test_names_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_MOST", 100)
    some = Rates(1.0, 10.0)
    for place in range(1_000):
        some.take(str(place))
    assert len(some._whole_at) <= 101


def test_a_look_costs_microseconds() -> None:
    some = Rates(1e6, 1e3)
    assert min(timeit.repeat(lambda: some.take("con_1"), number=1_000, repeat=5)) < 0.02


def test_what_weighs_more_counts_for_more_and_is_never_refused_for_good() -> None:
    clock = Clock()
    some = Rates(2.0, 5.0, clock=clock)
    assert some.take("a", 4).left == 6
    assert some.take("a", 8).wait_s == 1
    assert some.take("a", 6).left == 0
    clock.now += 5.0
    assert some.take("a", 1_000).left == 0
    assert some.take("a").wait_s == 1
