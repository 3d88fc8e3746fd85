"""Attempts: when the next one is made, and how one stands in the delivery log."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tracker.store.types import Delivery, Outcome
from webhooks.destination import Result, message_id
from webhooks.logbook import Attempt, iso_ms
from webhooks.subscription import TYPE_PREFIX, type_of

SCHEDULE_S = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)  # before attempt 1, 2, …
JITTER = 0.1  # of each wait, to either side
_OVERLOADED = (429, 503)


def wait_before(attempt: int, *, factor: float, hint_s: float = 0.0, jitter: Callable[[], float]) -> float | None:
    """Seconds until `attempt` (from 1), the larger of schedule and hint; None: there is no such attempt, it is dead."""
    if attempt > len(SCHEDULE_S):
        return None
    return max(SCHEDULE_S[attempt - 1] * factor * (1 + JITTER * (2 * jitter() - 1)), hint_s)


def attempted(result: Result) -> bool:
    """Whether the destination was asked: what nobody wants, and what dies with its endpoint, says nothing of it."""
    return result.outcome is Outcome.DONE or result.outcome is Outcome.RETRY or result.status != 0


def rest_s(result: Result) -> float:
    """For how long the destination as a whole asks for quiet: other statuses speak of the one message alone."""
    return result.retry_after_ms / 1000 if result.status in _OVERLOADED else 0.0


def entry_of(delivery: Delivery, result: Result, outcome: Outcome, retry_at: int, *, at: float, took: float) -> bytes:
    """The attempt for the delivery log, JSON."""
    return msgspec.json.encode(
        Attempt(
            at=iso_ms(at),
            id=message_id(delivery),
            type=(type := type_of(delivery.kind)),
            shipment_id=delivery.id if type.startswith(TYPE_PREFIX) else None,
            revision=delivery.revision,
            attempt=delivery.attempt,
            outcome=outcome.value,
            status=result.status or None,
            latency_ms=round(took * 1000, 1),
            error=result.detail or None,
            response=result.head.decode(errors="replace") or None,
            next_at=iso_ms(retry_at / 1000) if outcome is Outcome.RETRY else None,
        )
    )
