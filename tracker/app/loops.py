"""What runs in a daemon: the workers, and what measures, trims and keeps house beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from tracker import order_stores
from tracker.accounts import OPERATOR
from tracker.app.parts import Parts
from tracker.config.settings import Settings
from tracker.feeds import Audience, FanOut
from tracker.store.types import StoreDown
from webhooks import subscription as subs

_STATS_EVERY_S = 5.0
_HOUSEKEEPING_EVERY_S = 60.0
_TRIMMED = 1_000  # changes that one call takes of a shard at most: there may be more then
_DEPARTURES_EVERY_S = 5.0
_TIME_EVERY_S = 0.5
_TRAILS_EVERY_S = 3_600.0
_RETIRING_EVERY_S = 6 * 3_600.0
_USE_EVERY_S = 30.0
_ACCOUNTS_MEASURED = 100  # accounts whose shipments are counted for the metrics
_OTHERS = "(others)"  # how an open metrics page calls every account but the operator's

Loop = Coroutine[Any, Any, None]


class Loops:
    """What runs over the parts of one daemon."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def workers(self, settings: Settings) -> list[Loop]:
        """What runs in this process, by its roles, until `stop`, and then ends what it began."""
        workers: list[Loop] = []
        if "poller" in settings.roles:
            workers.append(self._parts.agenda.run())
        if "delivery" in settings.roles:
            workers.append(self._parts.outbound.run())
        return workers

    def beside(self, settings: Settings) -> list[Loop]:
        """What runs beside them and can be cut off at any point."""
        loops: list[Loop] = [self._measure(), self._keep_house(), _regularly(1.0, self._parts.connections.refresh)]
        loops.append(_regularly(_TIME_EVERY_S, self._parts.store.learn_time))
        loops += [self._parts.drift.run(), self._parts.disk.run()]
        loops += [self._see_off(), self._parts.audit.run(), self._keep_trails(), self._note_use()]
        loops.append(_regularly(_RETIRING_EVERY_S, self._parts.retirement.sweep))
        if "delivery" in settings.roles:
            audience = Audience(
                self._parts.store, {subs.KIND: subs.from_records, order_stores.KIND: order_stores.listeners}
            )
            loops.append(FanOut(self._parts.store, audience, self._labels, courier=self._parts.outbound).run())
            loops.append(self._parts.backfill.run())  # where platforms are told: both keep to one rate
        return loops

    def stop(self) -> None:
        """Take no more work; what is under way ends by itself."""
        self._parts.outbound.stop()
        self._parts.agenda.stop()

    async def _labels(self, ids: Sequence[str]) -> list[tuple[str, str] | None]:
        found = await self._parts.ingest.peek(ids)
        return [(doc.details.shop, doc.carrier) if doc else None for doc in found]

    async def _measure(self) -> None:
        await _regularly(_STATS_EVERY_S, self._measure_once)

    async def _measure_once(self) -> None:
        metrics = self._parts.metrics
        try:
            stats = await self._parts.store.stats()
        except StoreDown:
            metrics.store_up.set(0)
            raise
        metrics.store_up.set(1)
        metrics.feed_age.set(stats.unfanned_age_ms / 1000)
        metrics.agenda_lag.set(stats.agenda_lag_ms / 1000)
        metrics.lanes.set(stats.lanes)
        metrics.store_bytes.set(stats.used_memory)
        metrics.log_bytes.set(stats.aof_bytes)
        await self._count_shipments()

    async def _count_shipments(self) -> None:
        """Shipments by account and status; a page that asks for no token does not tell which accounts there are."""
        metrics, found = self._parts.metrics, Counter[tuple[str, str]]()
        for account in (await self._parts.accounts.all())[:_ACCOUNTS_MEASURED]:
            told = bool(self._parts.settings.http.metrics_token) or account.name == OPERATOR
            for status, number in (await self._parts.store.counts(account.name)).items():
                found[account.name if told else _OTHERS, status] += number
        metrics.forget_accounts()  # those that left are named no more
        for (name, status), number in found.items():
            gauge = metrics.stalled.labels(name) if status == "stalled" else metrics.open.labels(name, status)
            gauge.set(number)

    async def _see_off(self) -> None:
        try:
            await _regularly(_DEPARTURES_EVERY_S, lambda: self._parts.departures.go_on(now=self._parts.now()))
        finally:
            await self._parts.departures.stop()

    async def _keep_trails(self) -> None:
        await _regularly(_TRAILS_EVERY_S, self._trim_trails)

    async def _trim_trails(self) -> None:
        for account in await self._parts.accounts.all():
            await self._parts.audit.trim(account.name)

    async def _note_use(self) -> None:
        try:
            await _regularly(_USE_EVERY_S, self._parts.accounts.write_use)
        finally:
            with contextlib.suppress(StoreDown):
                await self._parts.accounts.write_use()

    async def _keep_house(self) -> None:
        await _regularly(_HOUSEKEEPING_EVERY_S, self._keep_house_once)

    async def _keep_house_once(self) -> None:
        feed = self._parts.settings.feed
        keep_ms = int(feed.keep_days * 86_400_000)
        more = True
        while more:
            more = await self._parts.store.trim_feed(keep_ms=keep_ms, keep_entries=feed.keep_entries) >= _TRIMMED
        await self._parts.store.finish_deletions()
        await self._parts.book.sweep(self._parts.now())
        longest = min(self._parts.settings.delivery.pause_days, feed.keep_days)
        await self._parts.webhooks.end_pauses(longest * 86_400)


async def _regularly(every_s: float, once: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again; a store that is away is nothing that this could help."""
    while True:
        with contextlib.suppress(StoreDown):
            await once()
        await asyncio.sleep(every_s)
