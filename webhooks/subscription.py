"""What a subscription is: an address that wants changes, which ones, signed with what; and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from tracker.model import ChangeKind, Status
from webhooks.payload import Payload
from webhooks.standard import Scheme

log = structlog.get_logger()

KIND = "subscription"  # of the store's records
TYPE_PREFIX = "shipment."
NOTICE_PREFIX = "milepost."
TEST = "milepost.test"
DISABLED = "milepost.endpoint.disabled"
TYPES = (*[TYPE_PREFIX + kind for kind in ChangeKind], DISABLED)
STATUSES = frozenset(Status)


class Sealer(Protocol):
    """Encrypts what lies in the store."""

    def seal(self, plain: bytes, /) -> str: ...
    def unseal(self, sealed: str, /) -> bytes: ...


class Subscription(Struct, frozen=True, kw_only=True):
    """An address that wants changes: all, or those that pass its filters. Times in ms.

    `enabled` false: what happens is not kept for it. `paused`: it is kept, and delivered when the pause ends.
    """

    id: str
    account: str
    url: str
    types: tuple[str, ...] = ()
    shops: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    payload: Payload = Payload.FULL
    concurrency: int = 0  # deliveries at once; 0: as many as anybody
    rate: float = 0.0  # deliveries a second; 0: as fast as they go
    description: str = ""
    enabled: bool = True
    paused: bool = False
    paused_at: int = 0
    changed_at: int = 0  # when its address or a switch was last changed: what failed before says nothing any more
    created_at: int = 0
    disabled_at: int = 0
    disabled_why: str = ""
    gave_up: bool = False  # disabled for its failures: what waited for it dies instead of being dropped
    signature: Scheme = Scheme.HMAC
    secret: str = ""  # sealed
    overlap_until: int = 0  # when secrets other than the newest end; 0: with the next rotation
    public_keys: tuple[str, ...] = ()  # of the secrets that have one, newest first
    header_names: tuple[str, ...] = ()
    headers: str = ""  # sealed JSON

    @property
    def orders_only(self) -> bool:
        """Whether it hears only of what concerns an order."""
        return False

    @property
    def filters_labels(self) -> bool:
        """Whether `wants` depends on the shipment's shop or carrier."""
        return bool(self.shops or self.carriers)

    @property
    def held(self) -> bool:
        """Whether what happens waits for it. One that is off takes what waits, or it would never be dropped."""
        return self.enabled and self.paused

    @property
    def limited(self) -> bool:
        """Whether it gets fewer deliveries at once than others."""
        return self.held or bool(self.concurrency or self.rate)

    def slots(self, usual: int) -> int:
        """Deliveries at once, where others have `usual`."""
        most = min(self.concurrency or usual, usual)
        return min(most, max(1, int(self.rate))) if self.rate else most

    def wants(self, kind: str, shop: str | None, carrier: str | None, status: str | None = None) -> bool:
        """Whether a change of that kind (with or without `shipment.`) goes to it; None: not known, so it may.

        A kind that is a status says which one the shipment reached.
        """
        return (
            self.enabled
            and (not self.types or type_of(kind) in self.types)
            and (not self.shops or shop is None or shop in self.shops)
            and (not self.carriers or carrier is None or carrier in self.carriers)
            and (not self.statuses or self._wants_status(kind, status))
        )

    def _wants_status(self, kind: str, status: str | None) -> bool:
        reached = status or kind.removeprefix(TYPE_PREFIX)
        return reached in self.statuses or reached not in STATUSES


def type_of(kind: str) -> str:
    """The `type` of a message, from the kind of a change with or without its prefix, or of a notice of ours."""
    return kind if kind.startswith((TYPE_PREFIX, NOTICE_PREFIX)) else TYPE_PREFIX + kind


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


def headers_of(subscription: Subscription, sealer: Sealer) -> dict[str, str]:
    """The headers that it adds; raises what the sealer raises."""
    if not subscription.headers:
        return {}
    return msgspec.json.decode(sealer.unseal(subscription.headers), type=dict[str, str])
