"""Switching an endpoint off, and telling the account's others of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from tracker.store.types import Gone, Letter, Relayed
from webhooks.health import Failing
from webhooks.logbook import iso_ms
from webhooks.notices import disabled_notice
from webhooks.subscription import DISABLED, KIND, Subscription, from_record, from_records
from webhooks.subscriptions import Records, disable

log = structlog.get_logger()


class NoticeStore(Records, Protocol):
    """The part of the store that keeps subscriptions and takes notices."""

    async def relay(self, account: str, destination: str, letters: Sequence[Letter]) -> list[Relayed]: ...
    def notice_id(self, account: str, name: str) -> str: ...


class Retiring:
    """Retires an endpoint once, however many deliveries say that it must be. `clock` in seconds."""

    def __init__(self, store: NoticeStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._under_way: set[str] = set()

    async def gone(self, subscription: Subscription, message: str) -> None:
        """The receiver answered 410 to that message."""
        why, since = "the receiver answered 410 Gone", int(self._clock() * 1000)
        await self._retire(subscription.account, subscription.id, why, name=message, since=since)

    async def give_up(self, account: str, id: str, failing: Failing) -> None:
        """It has done nothing but fail for long enough."""
        why = f"nothing but failures since {iso_ms(failing.since / 1000)}: {failing.why}"
        await self._retire(account, id, why, name=str(failing.since), since=failing.since, gave_up=True)

    async def end_pauses(self, longest_s: float) -> None:
        """Switch off what has been paused for longer than that, so that no store fills with what waits for it.

        What waits is dropped. The feed has it still, from where it can be sent again.
        """
        latest = int((self._clock() - longest_s) * 1000)
        for one in from_records(await self._store.records(KIND)):
            if one.held and 0 < one.paused_at < latest:
                why = f"paused since {iso_ms(one.paused_at / 1000)}, the longest that what happens is kept"
                await self._retire(one.account, one.id, why, name=str(one.paused_at), since=one.paused_at)

    async def _retire(self, account: str, id: str, why: str, *, name: str, since: int, gave_up: bool = False) -> None:
        if id in self._under_way:
            return
        self._under_way.add(id)
        try:
            record = await self._store.get_record(KIND, account, id)
            found = record and from_record(account, record)
            if found and found.enabled:
                log.warning("subscription_disabled", subscription=id, account=account, why=why)
                now = int(self._clock() * 1000)
                # first the notice: cut off in between, both are done again, under the same name
                await self._tell(found, disabled_notice(found, why=why, since=since, now=now), name)
                await disable(self._store, account, id, why, now=now, gave_up=gave_up)
        finally:
            self._under_way.discard(id)

    async def _tell(self, subscription: Subscription, body: bytes, name: str) -> None:
        """Put a notice into the lane of every other endpoint that wants it."""
        account = subscription.account
        id = self._store.notice_id(account, f"{subscription.id} {name}")
        notice = Letter(id=id, revision=1, kind=DISABLED, body=body)
        for other in from_records(await self._store.records(KIND, account)):
            if other.id != subscription.id and other.wants(DISABLED, None, None):
                with suppress(Gone):  # it was deleted just now
                    await self._store.relay(account, other.id, [notice])
