"""What became of deliveries, on its way to the store: in order, many at once, and again until the store answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from tracker.store.lookout import Lookout
from tracker.store.types import Delivery, Outcome, Settlement, StoreDown

log = structlog.get_logger()

PAUSE_S = 0.5  # after the store did not answer
_GIVE_UP_AFTER = 4  # settles of a drain that the store did not answer
_AT_ONCE = 1_000


class SettlementStore(Protocol):
    """The part of the store that takes settlements."""

    async def settle_lanes(self, settlements: Sequence[Settlement], *, lookout: Lookout) -> int: ...


class Settling:
    """Settles until drained; calls `settled` after each batch, and `down` where the store did not answer."""

    def __init__(
        self,
        store: SettlementStore,
        clock: Callable[[], float],
        settled: Callable[[], object],
        down: Callable[[StoreDown], object],
    ) -> None:
        self._store = store
        self._clock = clock
        self._settled = settled
        self._down = down
        self._waiting: list[Settlement] = []
        self._some = asyncio.Event()
        self._drained = False

    def add(self, settlement: Settlement) -> None:
        """Settle it with the others of this turn of the loop."""
        self._waiting.append(settlement)
        self._some.set()

    def give_back(self, delivery: Delivery, *, after_s: float = 0.0) -> None:
        """Let go of a delivery that was not attempted."""
        at = int((self._clock() + after_s) * 1000)
        self.add(Settlement(delivery=delivery, outcome=Outcome.HELD, retry_at=at))

    def drain(self) -> None:
        """Nothing more will come."""
        self._drained = True
        self._some.set()

    async def run(self, lookout: Lookout) -> None:
        """Settle all that comes until it is drained; then for as long as the store is there to take it."""
        tried = 0
        while not (self._drained and (not self._waiting or tried >= _GIVE_UP_AFTER)):
            await self._some.wait()
            await asyncio.sleep(0)
            if not self._drained:
                self._some.clear()
            tried = 0 if await self._settle(lookout) else tried + 1

    async def _settle(self, lookout: Lookout) -> bool:
        """Settle in order; what the store did not answer stays, and is settled again: its claim fences it."""
        while batch := self._waiting[:_AT_ONCE]:
            try:
                late = await self._store.settle_lanes(batch, lookout=lookout)
            except StoreDown as error:
                self._down(error)
                await asyncio.sleep(PAUSE_S)
                self._some.set()
                return False
            del self._waiting[: len(batch)]
            if late:  # we stood still, or were too slow: others have them by now, or this was settled and nobody heard
                log.info("settled_too_late", deliveries=late)
            self._settled()
        return True
