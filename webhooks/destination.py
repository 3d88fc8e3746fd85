"""Webhooks as a destination: a change for a subscription becomes a signed POST."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from tracker.errors import MilepostError
from tracker.examples import example
from tracker.model import ChangeKind
from tracker.store.types import Delivery, Outcome
from webhooks.health import ENOUGH_S, Ledger
from webhooks.logbook import iso_ms
from webhooks.notices import disabled_notice, trial_notice
from webhooks.payload import Payload, labels_of, thin
from webhooks.post import Answer, Endpoint, Poster
from webhooks.retiring import NoticeStore, Retiring
from webhooks.subscription import (
    DISABLED,
    KIND,
    TEST,
    TYPE_PREFIX,
    Sealer,
    Subscription,
    from_records,
    headers_of,
    secrets_of,
)
from webhooks.subscriptions import Probe

log = structlog.get_logger()


class SubscriptionStore(NoticeStore, Protocol):
    """The part of the store that says who subscribed, and takes notices."""

    async def records_version(self, kind: str) -> int: ...


class Result(Struct, frozen=True, kw_only=True):
    """What a destination made of one delivery. A hint of 0 leaves the time of a retry to the schedule."""

    outcome: Outcome
    detail: str = ""
    retry_after_ms: int = 0
    status: int = 0
    head: bytes = b""


def message_id(delivery: Delivery) -> str:
    """The `webhook-id` of a change: the same for every attempt, replay and destination."""
    return f"msg_{delivery.id[4:]}_{delivery.revision}"


Known = tuple[Subscription, Endpoint | None]


class Directory:
    """The endpoints of the subscriptions, read again only when one was written; those unchanged keep their keys."""

    def __init__(self, store: SubscriptionStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._version = -1
        self._reading = asyncio.Lock()
        self._found: dict[str, Known] = {}
        self.limited: Sequence[Subscription] = ()  # those that get fewer deliveries at once than others

    async def refresh(self, destinations: Sequence[str]) -> Mapping[str, Known] | None:
        """Be as new as the latest write that we can see, and certain about any of `destinations` we do not know.

        Those that are new or changed; None where nothing was read again.
        """
        if not await self._lacks(destinations):
            return None
        async with self._reading:  # who waited for another's reading has what it read: what is new is new once
            return await self._reload() if await self._lacks(destinations) else None

    def get(self, destination: str) -> Known | None:
        """The subscription and where it goes (None: its secret can't be opened), or None if there is none."""
        return self._found.get(destination)

    async def _lacks(self, destinations: Sequence[str]) -> bool:
        newest = await self._store.records_version(KIND)
        return newest != self._version or any(name not in self._found for name in destinations)

    async def _reload(self) -> Mapping[str, Known]:
        version = await self._store.records_version(KIND)
        before, records = self._found, await self._store.records(KIND)  # as new as the version, or newer
        self._found = {
            one.id: self._kept(one) or (one, endpoint_of(one, self._sealer)) for one in from_records(records)
        }
        self._version = version
        self.limited = [one for one, _ in self._found.values() if one.limited]
        return {id: known for id, known in self._found.items() if before.get(id) is not known}

    def _kept(self, subscription: Subscription) -> Known | None:
        found = self._found.get(subscription.id)
        return found if found and found[0] == subscription else None


def endpoint_of(subscription: Subscription, sealer: Sealer) -> Endpoint | None:
    """Where a subscription's messages go and what signs them; None, and a log line, if that can't be opened."""
    try:
        return Endpoint(
            subscription.url,
            secrets_of(subscription, sealer),
            overlap_until=subscription.overlap_until / 1000,
            headers=headers_of(subscription, sealer),
            thin=subscription.payload is Payload.THIN,
        )
    except (MilepostError, ValueError) as error:
        log.error("subscription_unusable", subscription=subscription.id, error=str(error))
        return None


class Webhooks:
    """The destination `sub_…`: a delivery becomes a signed POST. `enough_s`: of failures alone disable one."""

    def __init__(
        self,
        store: SubscriptionStore,
        sealer: Sealer,
        poster: Poster,
        *,
        enough_s: float = ENOUGH_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = Directory(store, sealer)
        self._retiring = Retiring(store, clock)
        self.ledger = Ledger(store, self._retiring.give_up, enough_s=enough_s, clock=clock)
        self._sealer = sealer
        self._poster = poster
        self._clock = clock

    async def deliver(self, delivery: Delivery) -> Result:
        """One attempt. What nobody wants any more is discarded; 410 switches the subscription off."""
        known = self.directory.get(delivery.destination)
        if known is None or not _still_wanted(known[0], delivery):
            return _unwanted(known, delivery)
        subscription, endpoint = known
        if subscription.paused:
            return Result(outcome=Outcome.HELD)
        if endpoint is None:
            return Result(outcome=Outcome.RETRY, detail="the signing secret can't be opened: check secrets.key")
        body = thin(delivery.body) if endpoint.thin else delivery.body
        answer = await self._poster.post(endpoint, message_id(delivery), body)
        if answer.accepted:
            self.ledger.worked(subscription.account, subscription.id)
        elif answer.status == 410:
            await self._retiring.gone(subscription, message_id(delivery))
        else:
            self.ledger.failed(subscription.account, subscription.id, _why(answer))
        return _result(answer)

    async def end_pauses(self, longest_s: float) -> None:
        """Switch off what has been paused for longer than that. Raises `StoreDown`."""
        await self._retiring.end_pauses(longest_s)

    async def probe(self, subscription: Subscription, type: str = TEST) -> Probe:
        """Send one event of that type now, outside every lane: an example, marked by `test`."""
        endpoint, id = endpoint_of(subscription, self._sealer), f"msg_test_{token_hex(8)}"
        if endpoint is None:
            return Probe(False, 0, "the signing secret can't be opened: check secrets.key", id)
        body, began = self._sample(subscription, type), time.perf_counter()
        answer = await self._poster.post(endpoint, id, thin(body) if endpoint.thin else body)
        took_ms = round((time.perf_counter() - began) * 1000, 1)
        return Probe(answer.accepted, answer.status, _result(answer).detail, id, took_ms, answer.head)

    def _sample(self, subscription: Subscription, type: str) -> bytes:
        if type == DISABLED:
            at = int(self._clock() * 1000)
            body = disabled_notice(subscription, why="an example", since=at, now=at)
        elif type.startswith(TYPE_PREFIX):
            body = example(ChangeKind(type.removeprefix(TYPE_PREFIX)))
        else:
            body = trial_notice(subscription)
        return msgspec.json.encode(msgspec.json.decode(body) | {"timestamp": iso_ms(self._clock()), "test": True})


def _still_wanted(subscription: Subscription, delivery: Delivery) -> bool:
    if not subscription.filters_labels and not subscription.statuses:
        return subscription.wants(delivery.kind, None, None)
    said = labels_of(delivery.body)
    return subscription.wants(delivery.kind, said.shop, said.carrier, said.status)


def _unwanted(known: Known | None, delivery: Delivery) -> Result:
    """What becomes of a delivery that is not made: a letter to keep, where we gave the subscription up."""
    if known and known[0].gave_up and _still_wanted(replace(known[0], enabled=True), delivery):
        return Result(outcome=Outcome.DEAD, detail=known[0].disabled_why)
    return Result(outcome=Outcome.DISCARD, detail="not wanted")


def _why(answer: Answer) -> str:
    """Why a message was not taken."""
    if answer.error:
        return answer.error
    redirect = ", and no redirect is followed: give the address that it leads to"
    return f"answered {answer.status}{redirect if 300 <= answer.status < 400 else ''}"


def _result(answer: Answer) -> Result:
    if answer.accepted:
        return Result(outcome=Outcome.DONE, status=answer.status, head=answer.head)
    return Result(
        outcome=Outcome.DISCARD if answer.status == 410 else Outcome.RETRY,
        detail=_why(answer),
        retry_after_ms=int(answer.retry_after_s * 1000),
        status=answer.status,
        head=answer.head,
    )
