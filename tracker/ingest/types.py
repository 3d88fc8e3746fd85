"""What the door takes and answers, and what it needs of others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from carriers.sdk import Carrier
from tracker.buyer_links import no_link
from tracker.errors import BadInput, MilepostError
from tracker.model import ChangeKind, Details, Report, Shipment
from tracker.store.types import Indexed, NewChange, Shelved, Stored, Write


class Registration(Struct, frozen=True, kw_only=True):
    """A wish to follow a waybill."""

    waybill: str
    carrier: str
    details: Details = Details()


class Registered(Struct, frozen=True, kw_only=True):
    """What became of a registration: a shipment (new or already there), or the field that is wrong."""

    shipment: Shipment | None = None
    created: bool = False
    error: BadInput | None = None


class Received(Struct, frozen=True, kw_only=True):
    """What became of the reports of one body, by waybill."""

    changed: tuple[str, ...] = ()  # shipment ids with something new
    same: tuple[str, ...] = ()  # nothing new: nothing was written
    parked: tuple[str, ...] = ()  # waybills that nobody registered yet
    overfull: tuple[str, ...] = ()  # waybills with so many scans that nothing more was taken in
    shipments: Mapping[str, Shipment] = {}  # as they stand now, by id


class Parked(Struct, frozen=True):
    """A report kept for a waybill that is not registered yet."""

    source: str
    carrier: str
    heard_at: int
    fingerprint: str
    asked: bool
    report: Report


class Overfull(MilepostError):
    """So many scans that nothing of this is taken in; of this `shipment`, or of one that nobody registered."""

    def __init__(self, shipment: Shipment | None = None) -> None:
        super().__init__("so many scans that nothing more is taken in")
        self.shipment = shipment


class Hearing(Protocol):
    """The door, as those need it who bring what was said."""

    async def receive(
        self,
        account: str,
        source: str,
        carrier: Carrier,
        reports: Sequence[Report],
        *,
        fingerprint: str,
        now: int,
        heard_at: int | None = None,
        asked: bool = False,
        register: bool = False,
    ) -> Received: ...


class Carriers(Protocol):
    """The registry as the door needs it."""

    def get(self, slug: str) -> Carrier | None: ...
    def known(self) -> Collection[str]: ...


class Store(Protocol):
    """The store as the door needs it."""

    def new_id(self, account: str, waybill: str) -> str: ...
    async def read(self, ids: Sequence[str]) -> list[Stored | None]: ...
    async def find(self, account: str, waybills: Sequence[str]) -> list[str | None]: ...
    async def commit(self, write: Write) -> object: ...
    async def delete(
        self,
        account: str,
        id: str,
        expected: int,
        before: Indexed,
        waybills: Sequence[str],
        change: NewChange | None = None,
    ) -> None: ...
    async def park(
        self, account: str, waybill: str, item: bytes, *, now_ms: int, limit: int, ttl_ms: int, most: int
    ) -> Shelved: ...
    async def parked(self, account: str, waybill: str) -> list[bytes]: ...


class Counters(Protocol):
    """What the door tells the one who counts."""

    def committed(self, kinds: Sequence[ChangeKind]) -> None: ...


class IngestSettings(Struct, frozen=True, kw_only=True):
    """`tracking_url` makes a shipment's link for its buyer; parking is bounded by waybill, by account and in time."""

    tracking_url: Callable[[str], str] = no_link
    most_scans: int = 1_000  # of one shipment: all are read with each that comes
    parked_limit: int = 1_000  # bodies of one waybill
    parked_bytes: int = 0  # of an account; 0: any number
    parked_ttl_ms: int = 30 * 86_400_000
