"""The subscriptions of the accounts: made, changed, tried, and how each does."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from secrets import token_hex
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tracker.connections.checks import check_moved
from tracker.errors import BadInput, NotFound
from tracker.model import Status
from tracker.store.changing import Shelf, change_record
from webhooks import health
from webhooks.headers import check_headers
from webhooks.logbook import LATELY, Lately, keep_test, lately, test_entry
from webhooks.payload import Payload
from webhooks.standard import Scheme, new_secret, public_key
from webhooks.subscription import (
    KIND,
    STATUSES,
    TEST,
    TYPE_PREFIX,
    TYPES,
    Sealer,
    Subscription,
    from_record,
    from_records,
    sealed,
    secrets_of,
    to_record,
)

MAX_PER_ACCOUNT = 100
OVERLAP_S = 86_400  # how long a replaced secret signs beside the new one
_SECRETS_KEPT = 2
_NOTHING = Lately()


class Records(Shelf, Protocol):
    """The part of the store that keeps subscriptions."""

    async def put_record(
        self, kind: str, account: str, id: str, value: bytes, *, create: bool = False, most: int = 0
    ) -> bool: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...
    async def drop_destination(self, account: str, destination: str) -> None: ...
    async def log_attempt(self, account: str, destination: str, entry: bytes) -> None: ...
    async def delivery_log(self, account: str, destination: str, limit: int = 50) -> list[bytes]: ...


async def disable(store: Records, account: str, id: str, why: str, *, now: int, gave_up: bool = False) -> None:
    """Switch a subscription off for the reason `why`; one that is gone stays gone. `now` in ms."""
    said = {"paused": False, "paused_at": 0, "disabled_at": now, "disabled_why": why, "gave_up": gave_up}
    await _change(store, account, id, lambda found: replace(found, enabled=False, **said))


async def _change(
    store: Records, account: str, id: str, change: Callable[[Subscription], Subscription]
) -> Subscription | None:
    """What it became; None where there is none such any more."""
    return await change_record(
        store, KIND, account, id, opened=partial(from_record, account), change=change, sealed=to_record
    )


class Probe(Struct, frozen=True):
    """What a receiver answered to a test event of that `id`: `status` (0: nothing), and how the answer begins."""

    delivered: bool
    status: int
    detail: str
    id: str = ""
    latency_ms: float = 0.0
    head: bytes = b""


class Standing(Struct, frozen=True):
    """How a subscription does: `active`, `failing`, `paused` or `disabled`, since when (ms; 0: not known) and why.

    `failed` of its latest attempts failed in a row: of one that is `active`, that is since when and why.
    """

    state: str
    since: int = 0
    why: str = ""
    failed: int = 0


def standing(subscription: Subscription, failing: health.Failing | None, lately: Lately = _NOTHING) -> Standing:
    """How it does, from its record, what is noted of its failures, and what its log says."""
    if not subscription.enabled:
        return Standing("disabled", subscription.disabled_at, subscription.disabled_why, lately.failed)
    if subscription.paused:
        return Standing("paused", subscription.paused_at, failed=lately.failed)
    if failing:
        return Standing("failing", failing.since, failing.why, lately.failed)
    return Standing("active", lately.since, lately.why, lately.failed)


class Subscriptions:
    """The subscriptions of the accounts. `check_url` raises `BadInput`, `probe` sends an example of a type."""

    def __init__(
        self,
        store: Records,
        sealer: Sealer,
        *,
        check_url: Callable[[str], None],
        probe: Callable[[Subscription, str], Awaitable[Probe]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._check_url = check_url
        self._probe = probe
        self._clock = clock

    async def all(self, account: str) -> list[Subscription]:
        """The account's subscriptions, oldest first."""
        found = from_records(await self._store.records(KIND, account))
        return sorted(found, key=lambda one: (one.created_at, one.id))

    async def get(self, account: str, id: str) -> Subscription | None:
        """One subscription, None where the account has no such."""
        record = await self._store.get_record(KIND, account, id)
        return None if record is None else from_record(account, record)

    async def standings(self, account: str, some: Iterable[Subscription]) -> list[Standing]:
        """How each of the account's subscriptions does."""
        notes = health.read_notes(await self._store.records(health.KIND, account))
        listed = list(some)
        logs = await asyncio.gather(*[self._store.delivery_log(account, one.id, LATELY) for one in listed])
        return [
            standing(one, notes.get((account, one.id)), lately(log, after=one.changed_at))
            for one, log in zip(listed, logs, strict=True)
        ]

    async def create(
        self, account: str, *, now: int, signature: str = Scheme.HMAC, **said: Any
    ) -> tuple[Subscription, str]:
        """A new subscription and its signing secret, which is not shown again. Raises `BadInput`; `now` in ms."""
        self._check(said)
        secret = new_secret(Scheme(signature))
        fields = self._fields(said, now) | self._signed_by([secret])
        made = Subscription(id=f"sub_{token_hex(10)}", account=account, created_at=now, **fields)
        await self._store.put_record(KIND, account, made.id, to_record(made), create=True, most=MAX_PER_ACCOUNT)
        return made, secret

    async def amend(self, account: str, id: str, **said: Any) -> Subscription:
        """Change what is said, leave the rest; raises `BadInput` and `NotFound`."""
        self._check(said)
        now, moved = self._now(), said.keys() & {"url", "enabled", "paused"}  # what it failed at says nothing any more
        fields = self._fields(said, now) | ({"changed_at": now} if moved else {})

        def change(before: Subscription) -> Subscription:
            after = replace(before, **fields)
            check_moved("headers", before.headers, before.url, after.url, said)
            waits_anew = after.held and not before.held  # from here on something waits
            return replace(after, paused_at=now) if waits_anew else after

        changed = await self._changed(account, id, change)
        if moved:
            await self._store.remove_record(health.KIND, account, id)
        return changed

    async def rotate(
        self, account: str, id: str, *, overlap_s: int = OVERLAP_S, signature: str | None = None
    ) -> tuple[Subscription, str]:
        """A new signing secret; the one before it signs beside it for `overlap_s`. Raises `NotFound`.

        `signature` changes the scheme.
        """
        until = self._now() + overlap_s * 1000 if overlap_s else 0

        def change(before: Subscription) -> Subscription:
            secret = new_secret(Scheme(signature or before.signature))
            kept = [secret, *secrets_of(before, self._sealer)][:_SECRETS_KEPT] if overlap_s else [secret]
            return replace(before, overlap_until=until, **self._signed_by(kept))

        after = await self._changed(account, id, change)
        return after, secrets_of(after, self._sealer)[0]

    async def remove(self, account: str, id: str) -> None:
        """Remove a subscription and drop what waits for it."""
        if await self._store.remove_record(KIND, account, id):
            await self._store.remove_record(health.KIND, account, id)
            await self._store.drop_destination(account, id)

    async def test(self, subscription: Subscription, type: str, *, now: int) -> Probe:
        """Send one event of that type at once, outside every lane; its delivery log has it too. Raises `BadInput`."""
        if type not in (TEST, *TYPES):
            raise BadInput("type", f"{type!r} is no type of event; {_instead(type, (TEST, *TYPES))}")
        began, probe = self._clock(), await self._probe(subscription, type)
        entry = test_entry(
            id=probe.id,
            type=type,
            at=began,
            took_ms=probe.latency_ms,
            accepted=probe.delivered,
            status=probe.status,
            error=probe.detail,
            response=probe.head.decode(errors="replace"),
        )
        await keep_test(self._store, subscription.account, subscription.id, entry)
        return probe

    def _now(self) -> int:
        return int(self._clock() * 1000)

    async def _changed(self, account: str, id: str, change: Callable[[Subscription], Subscription]) -> Subscription:
        changed = await _change(self._store, account, id, change)
        if changed is None:
            raise NotFound(f"no subscription {id}")
        return changed

    def _check(self, said: Mapping[str, Any]) -> None:
        if "url" in said:
            self._check_url(said["url"])
        check_types(said.get("types", ()))
        check_statuses(said.get("statuses", ()))
        check_headers(said.get("headers", {}))

    def _signed_by(self, secrets: Sequence[str]) -> dict[str, Any]:
        """The fields that follow from the signing secrets, newest first."""
        public = [public_key(secret) for secret in secrets]
        return {
            "secret": sealed(secrets, self._sealer),
            "signature": Scheme.ED25519 if public[0] else Scheme.HMAC,
            "public_keys": tuple(one for one in public if one),
        }

    def _fields(self, said: Mapping[str, Any], now: int) -> dict[str, Any]:
        """The fields of the record, from those of a request."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        for name in fields.keys() & {"concurrency", "rate"}:
            fields[name] = fields[name] or 0
        if "payload" in fields:
            fields["payload"] = Payload(fields["payload"])
        if "headers" in fields:
            headers = fields.pop("headers")
            fields["header_names"] = tuple(headers)
            fields["headers"] = self._sealer.seal(msgspec.json.encode(headers)) if headers else ""
        if "enabled" in fields:
            off = not fields["enabled"]
            fields |= {"disabled_at": now if off else 0, "disabled_why": "", "gave_up": False}
        if "paused" in fields:
            fields["paused_at"] = now if fields["paused"] else 0
        return fields


def check_statuses(statuses: Iterable[str]) -> None:
    """Raise `BadInput` for the first that is no status of a shipment."""
    for place, status in enumerate(statuses):
        if status not in STATUSES:
            raise BadInput(f"statuses[{place}]", f"{status!r} is no status; {_instead(status, tuple(Status))}")


def check_types(types: Iterable[str]) -> None:
    """Raise `BadInput` for the first that is no type of change."""
    for place, type in enumerate(types):
        if type not in TYPES:
            raise BadInput(f"types[{place}]", f"{type!r} is no type of change; {_instead(type, TYPES)}")


def _instead(given: str, known: Sequence[str]) -> str:
    """The one that was meant, or all that there are."""
    short = {name.removeprefix(TYPE_PREFIX): name for name in known}
    near = difflib.get_close_matches(given.removeprefix(TYPE_PREFIX), short, n=1)
    return f"did you mean {str(short[near[0]])!r}?" if near else f"there are {', '.join(known)}"
