"""The slots of a destination: fewer when it fails, none but a probe when it does nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.outlet import PROBE_S, TRIPS, Outlet


def failing(outlet: Outlet, times: int, at: float = 100.0) -> None:
    for _ in range(times):
        outlet.learn(False, 0.01, at)


def test_a_healthy_outlet_gives_all_its_slots_and_some_ahead() -> None:
    outlet = Outlet(16)
    assert outlet.free(0.0) == 16
    outlet.learn(True, 0.02, 0.0)
    assert outlet.free(0.0) == 16 * 11  # as much as it works off in a fifth of a second


def test_failures_halve_the_slots_and_successes_bring_them_back_one_by_one() -> None:
    outlet = Outlet(16)
    failing(outlet, 2)
    assert outlet.width == 4
    outlet.learn(True, 1.0, 100.0)
    assert outlet.width == 5


def test_failures_in_a_row_shut_it_until_a_probe() -> None:
    outlet = Outlet(16)
    failing(outlet, TRIPS - 1)
    assert outlet.free(100.0) == 1
    failing(outlet, 1)
    assert outlet.free(100.0) == 0
    assert outlet.free(100.0 + PROBE_S[0]) == 1


def test_what_was_under_way_when_it_was_shut_does_not_lengthen_the_wait() -> None:
    outlet = Outlet(16)
    failing(outlet, 16)
    assert outlet.shut_until == 100.0 + PROBE_S[0]


def test_each_probe_that_fails_doubles_the_wait_up_to_the_longest() -> None:
    outlet, now, waits = Outlet(4), 100.0, []
    failing(outlet, TRIPS - 1, now)
    for _ in range(9):
        failing(outlet, 1, now)
        waits.append(outlet.shut_until - now)
        now = outlet.shut_until
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_one_that_asks_for_quiet_gets_it_at_once_and_for_a_minute_at_most() -> None:
    outlet = Outlet(16)
    outlet.learn(False, 0.01, 100.0, 7.0)
    assert (outlet.free(106.9), outlet.free(107.0)) == (0, 8)
    outlet.learn(False, 0.01, 107.0, 86_400.0)
    assert outlet.shut_until == 107.0 + PROBE_S[1]
    outlet.learn(True, 0.01, 167.0)
    assert outlet.shut_until == 0.0


def test_quiet_that_is_shorter_than_the_wait_for_a_probe_does_not_shorten_it() -> None:
    outlet = Outlet(4)
    failing(outlet, TRIPS - 1)
    outlet.learn(False, 0.01, 100.0, 0.2)
    assert outlet.shut_until == 100.0 + PROBE_S[0]


def test_an_outlet_that_is_never_shut_is_not_shut_by_that_either() -> None:
    outlet = Outlet(4, patience=0.0)
    outlet.learn(False, 0.01, 100.0, 7.0)
    assert outlet.free(100.0) == 2


def test_a_probe_that_succeeds_opens_it() -> None:
    outlet = Outlet(4)
    failing(outlet, TRIPS)
    assert outlet.learn(True, 0.01, 101.0) is True
    assert outlet.free(101.0) > 0
    assert outlet.failures == 0


def test_a_suspect_is_shut_by_one_more_failure() -> None:
    outlet = Outlet(16, suspect=True)
    assert outlet.free(0.0) == 1
    failing(outlet, 1, 0.0)
    assert outlet.free(0.0) == 0


def test_one_of_ours_is_never_shut() -> None:
    outlet = Outlet(64, patience=0.0)
    failing(outlet, 50)
    assert outlet.free(100.0) == 1


def test_a_fresh_start_forgets_the_failures() -> None:
    outlet = Outlet(16)
    failing(outlet, TRIPS)
    outlet.begin_anew()
    assert outlet.free(100.0) == 16


@pytest.mark.parametrize(("rate", "claimed"), [(0.5, 1), (3.0, 3), (100.0, 16)])
def test_no_more_is_claimed_than_the_rate_allows_in_a_second(rate: float, claimed: int) -> None:
    assert Outlet(16, rate=rate).free(0.0) == claimed


def test_nothing_is_claimed_long_before_its_turn() -> None:
    outlet = Outlet(16, rate=0.1)
    outlet.turn(0.0)
    assert outlet.free(5.0) == 0
    assert outlet.free(9.5) == 1


@given(rate=st.floats(0.1, 1000), asked=st.lists(st.floats(0, 100), min_size=2, max_size=50).map(sorted))
def test_turns_are_never_closer_than_the_rate(rate: float, asked: Sequence[float]) -> None:
    outlet = Outlet(4, rate=rate)
    begun = [now + outlet.turn(now) for now in asked]
    assert all(later - earlier >= 1 / rate - 1e-9 for earlier, later in pairwise(begun))


def test_narrower_limits_hold_at_once_and_wider_ones_too() -> None:
    outlet = Outlet(16)
    outlet.limit(2, 0.0)
    assert outlet.free(0.0) == 2
    outlet.limit(16, 5.0)
    assert outlet.free(0.0) == 5
