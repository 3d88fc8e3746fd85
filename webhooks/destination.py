"""Webhooks as a destination: a change for a subscription becomes a signed POST."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from tracker.errors import MilepostError
from tracker.store.types import Delivery, Outcome
from webhooks.post import Answer, Endpoint, Poster
from webhooks.standard import Signer
from webhooks.subscriptions import KIND, Probe, Records, Sealer, Subscription, disable, from_records, secrets_of

log = structlog.get_logger()


class SubscriptionStore(Records, Protocol):
    """The part of the store that says who subscribed."""

    async def records_version(self, kind: str) -> int: ...


class Result(Struct, frozen=True, kw_only=True):
    """What a destination made of one delivery. A hint of 0 leaves the time of a retry to the schedule."""

    outcome: Outcome
    detail: str = ""
    retry_after_ms: int = 0
    status: int = 0
    head: bytes = b""


class _Labels(Struct):
    shop: str | None = None
    carrier: str | None = None


class _Data(Struct):
    shipment: _Labels


class _Body(Struct):
    data: _Data


_labels = msgspec.json.Decoder(_Body)


def message_id(delivery: Delivery) -> str:
    """The `webhook-id` of a change: the same for every attempt, replay and destination."""
    return f"msg_{delivery.id[4:]}_{delivery.revision}"


class Directory:
    """The endpoints of the subscriptions, read again only when one was written; those unchanged keep their keys."""

    def __init__(self, store: SubscriptionStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._version = -1
        self._found: dict[str, tuple[Subscription, Endpoint | None]] = {}

    async def refresh(self, destinations: Sequence[str]) -> None:
        """Be as new as the latest write that we can see, and certain about any of `destinations` we do not know."""
        if await self._store.records_version(KIND) != self._version or any(
            name not in self._found for name in destinations
        ):
            await self._reload()

    def get(self, destination: str) -> tuple[Subscription, Endpoint | None] | None:
        """The subscription and where it goes (None: its secret can't be opened), or None if there is none."""
        return self._found.get(destination)

    async def _reload(self) -> None:
        version = await self._store.records_version(KIND)
        records = await self._store.records(KIND)  # as new as the version, or newer
        self._found = {
            one.id: self._kept(one) or (one, endpoint_of(one, self._sealer)) for one in from_records(records)
        }
        self._version = version

    def _opened(self, subscription: Subscription) -> tuple[Subscription, Endpoint | None]:
        return subscription, endpoint_of(subscription, self._sealer)

    def _kept(self, subscription: Subscription) -> tuple[Subscription, Endpoint | None] | None:
        found = self._found.get(subscription.id)
        return found if found and found[0] == subscription else None


def endpoint_of(subscription: Subscription, sealer: Sealer) -> Endpoint | None:
    """Where a subscription's messages go and what signs them; None, and a log line, if that can't be opened."""
    try:
        return Endpoint(subscription.url, Signer(secrets_of(subscription, sealer)))
    except (MilepostError, ValueError) as error:
        log.error("subscription_unusable", subscription=subscription.id, error=str(error))
        return None


class Webhooks:
    """The destination `sub_…`: a delivery becomes a signed POST."""

    def __init__(
        self, store: SubscriptionStore, sealer: Sealer, poster: Poster, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.directory = Directory(store, sealer)
        self._store = store
        self._sealer = sealer
        self._poster = poster
        self._clock = clock

    async def deliver(self, delivery: Delivery) -> Result:
        """One attempt. What nobody wants any more is discarded; 410 switches the subscription off."""
        known = self.directory.get(delivery.destination)
        if known is None or not _still_wanted(known[0], delivery):
            return Result(outcome=Outcome.DISCARD, detail="not wanted any more")
        if known[1] is None:
            return Result(outcome=Outcome.RETRY, detail="the signing secret can't be opened: check secrets.key")
        answer = await self._poster.post(known[1], message_id(delivery), delivery.body)
        if answer.status == 410:
            await self._gone(known[0])
        return _result(answer)

    async def probe(self, subscription: Subscription) -> Probe:
        """Send one `milepost.test` event now, outside every lane."""
        endpoint = endpoint_of(subscription, self._sealer)
        if endpoint is None:
            return Probe(False, 0, "the signing secret can't be opened: check secrets.key")
        body = {
            "type": "milepost.test",
            "timestamp": iso_ms(self._clock()),
            "data": {"subscription_id": subscription.id},
        }
        answer = await self._poster.post(endpoint, f"msg_test_{token_hex(8)}", msgspec.json.encode(body))
        return Probe(answer.accepted, answer.status, _result(answer).detail)

    async def _gone(self, subscription: Subscription) -> None:
        why = "the receiver answered 410 Gone"
        log.warning("subscription_disabled", subscription=subscription.id, account=subscription.account, why=why)
        await disable(self._store, subscription.account, subscription.id, why, now=int(self._clock() * 1000))


def _still_wanted(subscription: Subscription, delivery: Delivery) -> bool:
    if not subscription.filters_labels:
        return subscription.wants(delivery.kind, None, None)
    try:
        said = _labels.decode(delivery.body).data.shipment
    except msgspec.DecodeError:
        said = _Labels()
    return subscription.wants(delivery.kind, said.shop, said.carrier)


def _result(answer: Answer) -> Result:
    if answer.accepted:
        return Result(outcome=Outcome.DONE, status=answer.status, head=answer.head)
    return Result(
        outcome=Outcome.DISCARD if answer.status == 410 else Outcome.RETRY,
        detail=answer.error or f"answered {answer.status}",
        retry_after_ms=int(answer.retry_after_s * 1000),
        status=answer.status,
        head=answer.head,
    )


def iso_ms(seconds: float) -> str:
    """ISO 8601 with milliseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
