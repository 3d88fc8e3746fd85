"""The order store as a destination of changes, like any subscription."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from tracker.orders.protocol import OrderStore, update_from
from tracker.store.types import Delivery, Outcome, StoreDown

_RETRY_MS = (1_000, 5_000, 30_000, 300_000, 1_800_000)


class Answer(Struct, frozen=True):
    """What became of one delivery; `retry_after_ms` counts from now and is 0 unless it is to be retried."""

    outcome: Outcome
    detail: str = ""
    retry_after_ms: int = 0


class OrderDestination:
    """Feeds one order store from the lanes of `orders:<account>`. Call `handle` for many deliveries at once."""

    prefix = "orders:"

    def __init__(self, store: OrderStore) -> None:
        self._store = store

    async def handle(self, delivery: Delivery) -> Answer:
        """Apply one delivery; the store being away is retried, a body that can't be read is dead."""
        try:
            update = update_from(delivery.account, msgspec.json.decode(delivery.body))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Answer(Outcome.DEAD, f"unreadable change: {type(error).__name__}: {error}")
        try:
            if update is not None:
                await self._store.apply(update)
        except StoreDown as error:
            return Answer(Outcome.RETRY, str(error), _backoff(delivery.attempt))
        except SQLAlchemyError as error:
            return Answer(Outcome.RETRY, f"order book: {type(error).__name__}", _backoff(delivery.attempt))
        return Answer(Outcome.DONE)


def _backoff(attempt: int) -> int:
    return _RETRY_MS[min(attempt, len(_RETRY_MS)) - 1]
