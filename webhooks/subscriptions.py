"""Subscriptions: which changes go to which address, signed with what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Any, Protocol

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from tracker.errors import BadInput, NotFound
from tracker.model import ChangeKind
from webhooks.standard import new_secret

log = structlog.get_logger()

KIND = "subscription"  # of the store's records
TYPE_PREFIX = "shipment."
TYPES = tuple(TYPE_PREFIX + kind for kind in ChangeKind)
MAX_PER_ACCOUNT = 100
_SECRETS_KEPT = 2  # while one is replaced, messages are signed with both


class Sealer(Protocol):
    """Encrypts what lies in the store."""

    def seal(self, plain: bytes, /) -> str: ...
    def unseal(self, sealed: str, /) -> bytes: ...


class Records(Protocol):
    """The part of the store that keeps subscriptions."""

    async def put_record(self, kind: str, account: str, id: str, value: bytes, *, create: bool = False) -> bool: ...
    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...
    async def drop_destination(self, account: str, destination: str) -> None: ...


class Subscription(Struct, frozen=True, kw_only=True):
    """An address that wants changes: all, or those of the named types, shops and carriers. Times in ms."""

    id: str
    account: str
    url: str
    types: tuple[str, ...] = ()
    shops: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()
    description: str = ""
    enabled: bool = True
    created_at: int = 0
    disabled_at: int = 0
    disabled_why: str = ""
    secret: str = ""  # sealed

    @property
    def orders_only(self) -> bool:
        """Whether it hears only of what concerns an order."""
        return False

    @property
    def filters_labels(self) -> bool:
        """Whether `wants` depends on the shipment's shop or carrier."""
        return bool(self.shops or self.carriers)

    def wants(self, kind: str, shop: str | None, carrier: str | None) -> bool:
        """Whether a change of that kind (with or without `shipment.`) goes to it; None: not known, so it may."""
        return (
            self.enabled
            and (not self.types or TYPE_PREFIX + kind.removeprefix(TYPE_PREFIX) in self.types)
            and (not self.shops or shop is None or shop in self.shops)
            and (not self.carriers or carrier is None or carrier in self.carriers)
        )


def wants(subscription: Subscription, kind: str, shop: str | None, carrier: str | None) -> bool:
    """`Subscription.wants` as a function."""
    return subscription.wants(kind, shop, carrier)


def to_record(subscription: Subscription) -> bytes:
    """The record of a subscription, JSON."""
    return msgspec.json.encode(subscription)


def from_record(account: str, record: bytes) -> Subscription:
    """A subscription from its record; raises msgspec.DecodeError."""
    return replace(msgspec.json.decode(record, type=Subscription), account=account)


def from_records(records: Mapping[tuple[str, str], bytes]) -> list[Subscription]:
    """Every subscription among the records; one that can't be read is logged and left out, the others go on."""
    found = []
    for (account, id), record in records.items():
        try:
            found.append(from_record(account, record))
        except msgspec.DecodeError as error:
            log.error("subscription_unreadable", account=account, subscription=id, error=str(error))
    return found


def sealed(secrets: Sequence[str], sealer: Sealer) -> str:
    """Signing secrets, newest first, as the record holds them."""
    return sealer.seal(" ".join(secrets).encode())


def secrets_of(subscription: Subscription, sealer: Sealer) -> tuple[str, ...]:
    """The signing secrets, newest first; raises what the sealer raises."""
    return tuple(sealer.unseal(subscription.secret).decode().split())


async def disable(store: Records, account: str, id: str, why: str, *, now: int) -> None:
    """Switch a subscription off for the reason `why`; one that is gone stays gone. `now` in ms."""
    record = await store.get_record(KIND, account, id)
    if record is not None:
        off = replace(from_record(account, record), enabled=False, disabled_at=now, disabled_why=why)
        await store.put_record(KIND, account, id, to_record(off))


class Probe(Struct, frozen=True):
    """What a receiver answered to a test event; `status` is 0 where it did not."""

    delivered: bool
    status: int
    detail: str


class Subscriptions:
    """The subscriptions of the accounts. `check_url` raises `BadInput`, `probe` sends one test event."""

    def __init__(
        self,
        store: Records,
        sealer: Sealer,
        *,
        check_url: Callable[[str], None],
        probe: Callable[[Subscription], Awaitable[Probe]],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._check_url = check_url
        self._probe = probe

    async def all(self, account: str) -> list[Subscription]:
        """The account's subscriptions, oldest first."""
        found = from_records(await self._store.records(KIND, account))
        return sorted(found, key=lambda one: (one.created_at, one.id))

    async def get(self, account: str, id: str) -> Subscription | None:
        """One subscription, None where the account has no such."""
        record = await self._store.get_record(KIND, account, id)
        return None if record is None else from_record(account, record)

    async def create(self, account: str, *, now: int, **said: Any) -> tuple[Subscription, str]:
        """A new subscription and its signing secret, which is not shown again. Raises `BadInput`; `now` in ms."""
        self._check(said)
        if len(await self._store.records(KIND, account)) >= MAX_PER_ACCOUNT:
            raise BadInput("", f"the account has {MAX_PER_ACCOUNT} subscriptions, the most there can be", code="limit")
        secret = new_secret()
        made = Subscription(
            id=f"sub_{token_hex(10)}",
            account=account,
            created_at=now,
            secret=sealed([secret], self._sealer),
            **_tuples(said),
        )
        await self._store.put_record(KIND, account, made.id, to_record(made), create=True)
        return made, secret

    async def amend(self, account: str, id: str, **said: Any) -> Subscription:
        """Change what is said, leave the rest; raises `BadInput` and `NotFound`."""
        self._check(said)
        changed = replace(await self._existing(account, id), **_tuples(said))
        if said.get("enabled"):
            changed = replace(changed, disabled_at=0, disabled_why="")
        await self._store.put_record(KIND, account, id, to_record(changed))
        return changed

    async def rotate(self, account: str, id: str) -> str:
        """A new signing secret; the one before it signs beside it until the next rotation. Raises `NotFound`."""
        before = await self._existing(account, id)
        secret = new_secret()
        kept = [secret, *secrets_of(before, self._sealer)][:_SECRETS_KEPT]
        await self._store.put_record(KIND, account, id, to_record(replace(before, secret=sealed(kept, self._sealer))))
        return secret

    async def remove(self, account: str, id: str) -> None:
        """Remove a subscription and drop what waits for it."""
        if await self._store.remove_record(KIND, account, id):
            await self._store.drop_destination(account, id)

    async def test(self, subscription: Subscription, *, now: int) -> Probe:
        """Send one `milepost.test` event at once."""
        return await self._probe(subscription)

    async def _existing(self, account: str, id: str) -> Subscription:
        found = await self.get(account, id)
        if found is None:
            raise NotFound(f"no subscription {id}")
        return found

    def _check(self, said: Mapping[str, Any]) -> None:
        if "url" in said:
            self._check_url(said["url"])
        check_types(said.get("types", ()))


def check_types(types: Iterable[str]) -> None:
    """Raise `BadInput` for the first that is no type of change."""
    for place, type in enumerate(types):
        if type not in TYPES:
            raise BadInput(f"types[{place}]", f"{type!r} is no type of change; there are {', '.join(TYPES)}")


def _tuples(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
