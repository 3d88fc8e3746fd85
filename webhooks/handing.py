"""One attempt: a delivery handed to what takes it, the settlement that comes of it, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from tracker.store.types import Delivery, Outcome, Settlement, StoreDown
from webhooks.attempts import attempted, entry_of, wait_before
from webhooks.destination import Result, Webhooks

log = structlog.get_logger()


class Handled(Protocol):
    """What a handler answers; with a hint it alone says when to retry, and for how long."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def detail(self) -> str: ...
    @property
    def retry_after_ms(self) -> int: ...


Handler = Callable[[Delivery], Awaitable[Handled]]


class Handing:
    """Hands deliveries on: `handlers` maps the prefix of a destination to what takes them, all others are webhooks."""

    def __init__(
        self,
        webhooks: Webhooks,
        handlers: Mapping[str, Handler],
        *,
        timeout_s: float,
        schedule_factor: float,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._webhooks = webhooks
        self._handlers = dict(handlers)
        self._timeout_s = timeout_s
        self._schedule_factor = schedule_factor
        self._clock = clock
        self._jitter = jitter

    def is_webhook(self, destination: str) -> bool:
        """Whether no handler of ours takes its deliveries."""
        return prefix_of(destination) not in self._handlers

    async def hand(self, delivery: Delivery) -> Result:
        """Make the attempt; what goes wrong with it is a result too."""
        handler = self._handlers.get(prefix_of(delivery.destination))
        try:
            if handler is None:
                return await self._webhooks.deliver(delivery)
            async with asyncio.timeout(self._timeout_s):
                said = await handler(delivery)
            return Result(outcome=said.outcome, detail=said.detail, retry_after_ms=said.retry_after_ms)
        except TimeoutError:
            return Result(outcome=Outcome.RETRY, detail=f"not done within {self._timeout_s:g} s")
        except StoreDown as error:
            return Result(outcome=Outcome.RETRY, detail=str(error))
        except Exception as error:  # a destination's bug must not end the deliveries of all others
            log.exception("delivery_crashed", destination=delivery.destination, shipment=delivery.id)
            return Result(outcome=Outcome.RETRY, detail=type(error).__name__)

    def settlement(self, delivery: Delivery, result: Result, took: float) -> Settlement:
        """What an attempt that took so long (s) means for its lane: done, again and when, or dead."""
        outcome, retry_at, now = result.outcome, 0, self._clock()
        if outcome is Outcome.RETRY:
            wait = self._wait(delivery, result)
            outcome = Outcome.DEAD if wait is None else outcome
            retry_at = int((now + (wait or 0)) * 1000)
        return Settlement(
            delivery=delivery,
            outcome=outcome,
            retry_at=retry_at,
            detail=result.detail,
            log=entry_of(delivery, result, outcome, retry_at, at=now - took, took=took) if attempted(result) else b"",
        )

    def _wait(self, delivery: Delivery, result: Result) -> float | None:
        hint_s = result.retry_after_ms / 1000
        if hint_s and not self.is_webhook(delivery.destination):
            return hint_s
        return wait_before(delivery.attempt + 1, factor=self._schedule_factor, hint_s=hint_s, jitter=self._jitter)


def report(settlement: Settlement, result: Result, turned: bool) -> None:
    """Log a destination once when it begins to fail and once when it works again, and every attempt too many."""
    if result.outcome is Outcome.DEAD or (not turned and settlement.outcome is not Outcome.DEAD):
        return
    delivery = settlement.delivery
    bound = log.bind(destination=delivery.destination, account=delivery.account, shipment=delivery.id)
    if settlement.outcome is Outcome.DEAD:
        bound.error("delivery_dead", revision=delivery.revision, attempts=delivery.attempt, error=result.detail)
    elif settlement.outcome is Outcome.RETRY:
        bound.warning("destination_failing", attempt=delivery.attempt, error=result.detail)
    else:
        bound.info("destination_recovered")


def prefix_of(destination: str) -> str:
    """`store:` of `store:ost_1`; "" of a webhook."""
    head, colon, _ = destination.partition(":")
    return head + colon


def kind_of(destination: str) -> str:
    """What sort of destination it is, never which one."""
    head, colon, _ = destination.partition(":")
    return head if colon else "webhook"
