"""The store's time: the server's, wherever the host of a daemon believes to be."""

from __future__ import annotations

import time

from tracker.store import Store
from tracker.store.clock import Clock


def told(seconds: float) -> list[bytes]:
    """As `TIME` answers."""
    return [b"%d" % int(seconds), b"%d" % round(seconds % 1 * 1e6)]


async def test_an_open_store_tells_its_servers_time(store: Store) -> None:
    before = store.clock()
    seconds, micros = await store.wire.control().send(b"TIME")
    assert before - 0.5 < int(seconds) + int(micros) / 1e6 < store.clock() + 0.5


def test_it_is_the_servers_time_whatever_the_host_says() -> None:
    clock, now = Clock(), time.monotonic()
    clock.learn(told(1_000_000.25), now - 0.01, now + 0.01)
    assert abs(clock() - 1_000_000.25) < 0.5


def test_before_the_server_was_asked_it_is_the_hosts() -> None:
    assert abs(Clock()() - time.time()) < 0.5


def test_an_answer_that_was_long_on_its_way_does_not_shake_it() -> None:
    clock, now = Clock(), time.monotonic()
    clock.learn(told(1_000_000), now, now)
    before = clock() - time.monotonic()
    clock.learn(told(1_000_000), now - 5, now + 1)  # may have been said at any moment of six seconds
    assert abs(clock() - time.monotonic() - before) < 0.5


def test_a_server_whose_time_steps_is_followed() -> None:
    clock, now = Clock(), time.monotonic()
    clock.learn(told(1_000_000), now, now)
    clock.learn(told(1_000_600), now - 0.01, now + 0.01)
    assert abs(clock() - 1_000_600) < 0.5
