"""The test of an order store, which its delivery log has too."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from secrets import token_hex

from tracker.order_stores import OrderStore
from tracker.order_stores.order_store import Probe
from tracker.order_stores.sdk import Platform
from tracker.store import Store
from webhooks.logbook import keep_test, test_entry
from webhooks.subscription import TEST


class LoggedProbe:
    """Asks as `probe` does, and leaves what came back in the log of who was asked."""

    def __init__(self, probe: Callable[[OrderStore, Platform], Awaitable[Probe]], store: Store) -> None:
        self._probe = probe
        self._store = store

    async def ask(self, store: OrderStore, platform: Platform) -> Probe:
        """Ask it something that changes nothing."""
        at, began = self._store.clock(), time.perf_counter()
        probe = await self._probe(store, platform)
        entry = test_entry(
            id=f"msg_test_{token_hex(8)}",
            type=TEST,
            at=at,
            took_ms=round((time.perf_counter() - began) * 1000, 1),
            accepted=probe.reached,
            error="" if probe.reached else probe.detail,
            response=probe.detail if probe.reached else "",
        )
        await keep_test(self._store, store.account, store.destination, entry)
        return probe
