"""How patient we are with a carrier: what breaks off, and what spreads questions out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from msgspec import Struct

from tracker.carrier_http.errors import CarrierUnavailable


class Policy(Struct, frozen=True, kw_only=True):
    """How patient we are with a carrier. Seconds, bytes, counts."""

    attempt_s: float = 15.0  # one request, its body included
    deadline_s: float = 30.0  # a whole question: budget, retries and tokens included
    attempts: int = 3
    retry_wait_s: float = 0.3  # doubled at each retry, jittered
    failures: int = 5  # in a row open the breaker
    open_s: float = 30.0  # doubled each time that the breaker opens again
    open_max_s: float = 600.0
    limited_s: float = 30.0  # after a 429 that does not say how long
    retry_after_max_s: float = 3_600.0
    body_max: int = 8 * 1024 * 1024


class State(StrEnum):
    """Of a breaker: questions pass; none passes; one passes, on trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens after `failures` in a row, lets one question try after a while, closes when it is answered."""

    def __init__(
        self, policy: Policy, clock: Callable[[], float], told: Callable[[bool], None] = lambda open: None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._told = told
        self._failures = 0
        self._openings = 0
        self._trial: object | None = None  # the question that is on trial
        self.retry_at = 0.0

    @property
    def state(self) -> State:
        if not self._openings:
            return State.CLOSED
        return State.OPEN if self._clock() < self.retry_at else State.HALF_OPEN

    @property
    def closed(self) -> bool:
        return not self._openings

    @contextmanager
    def question(self) -> Iterator[None]:
        """One question, or CarrierUnavailable with the time of the next trial; who ends it says what came of it.

        One on trial that ends with no verdict leaves the trial to the next; nobody else ends it.
        """
        mine = self._admit()
        try:
            yield
        finally:
            if mine is not None and self._trial is mine:
                self._trial = None

    def _admit(self) -> object | None:
        if self.state is State.CLOSED:
            return None
        if self.state is State.OPEN or self._trial:
            at = max(self.retry_at, self._clock() + 1.0)
            raise CarrierUnavailable("not asked: its last answers all failed", retry_at=at)
        self._trial = object()
        return self._trial

    def succeeded(self) -> None:
        """The carrier answered sensibly."""
        was_open = self._openings > 0
        self._failures, self._openings, self._trial = 0, 0, None
        if was_open:
            self._told(False)

    def failed(self) -> None:
        """The carrier did not, or with something that nobody can read."""
        self._failures += 1
        if self._trial or (self._failures >= self._policy.failures and self.state is not State.OPEN):
            self._open()

    def _open(self) -> None:
        pause = min(self._policy.open_s * 2**self._openings, self._policy.open_max_s)
        self._openings, self._trial = self._openings + 1, None
        self.retry_at = self._clock() + pause * random.uniform(0.9, 1.1)
        if self._openings == 1:
            self._told(True)


class Budget:
    """At most `rate` requests a second, evenly spaced, a tenth of a second's worth at once."""

    def __init__(self, rate: float) -> None:
        self._gap = 1.0 / rate if rate > 0 else 0.0
        self._tolerance = max(0.0, 0.1 - self._gap)
        self._next = 0.0  # loop time at which the budget is even again

    async def spend(self) -> None:
        """Wait for our turn; turns are given in the order of asking."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + self._gap
        wait = self._next - self._gap - now - self._tolerance
        if wait > 0:
            await asyncio.sleep(wait)
