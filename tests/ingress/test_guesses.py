"""Wrong secrets: who is made to wait, for how long, and who is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.ingress import guesses
from tracker.ingress.guesses import Guesses


def test_from_the_eighth_failure_on_the_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    some, waits, now = Guesses(), [], 0.0
    for _ in range(20):
        some.failed("a", now)
        waits.append(some.wait_s("a", now))
        now += waits[-1]
    assert waits == [0] * 7 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert some.wait_s("b", 0.0) == 0


def test_an_hour_makes_all_forgotten() -> None:
    some = Guesses()
    for _ in range(12):
        some.failed("a", 0.0)
    some.failed("a", 3_601.0)
    assert some.wait_s("a", 3_601.0) == 0


@given(st.lists(st.integers(0, 40), max_size=300))
def test_both_tables_are_bounded_and_keep_the_latest(names: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(guesses, "_MOST", 10)
        some = Guesses()
        for now, name in enumerate(names):
            some.failed(name, now)
            some.proved(name)
        assert max(len(some._failures), len(some._proved)) <= 10
        assert not names or names[-1] in some._failures
