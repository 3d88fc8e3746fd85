"""What goes into the store and comes out of it: opaque bytes with the few facts that the store itself must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from tracker.errors import MilepostError


class Conflict(MilepostError):
    """Somebody wrote the shipment since it was read: read again, merge again."""


class Gone(MilepostError):
    """The account, the destination or the shipment was deleted."""


class StoreDown(MilepostError):
    """The store does not answer; nothing is known of what was sent to it."""


class Full(StoreDown):
    """There is no room for it: nothing was taken in."""


class CursorTooOld(MilepostError):
    """The feed was trimmed past the cursor: list the shipments, then follow from the new cursor."""


class Stored(Struct, frozen=True):
    """A document as it lies there. `version` counts every write, `revision` the changes that were announced."""

    version: int
    revision: int
    document: bytes


class Indexed(Struct, frozen=True, kw_only=True):
    """What a shipment is listed under."""

    status: str
    stalled: int | None  # since when it stands still, ms; None: it does not
    open: bool
    order_number: str
    registered_at: int  # ms


class NewChange(Struct, frozen=True):
    """One change to announce: its kind and the body that every receiver will get, frozen."""

    kind: str
    body: bytes


class Write(Struct, frozen=True, kw_only=True):
    """One commit of one shipment: all of it or nothing."""

    account: str
    id: str
    expected: int  # the version that was read; 0 creates
    document: bytes
    before: Indexed | None  # as read; None on creation
    after: Indexed
    changes: tuple[NewChange, ...] = ()  # revision goes up by one for each
    waybills: tuple[str, ...] = ()  # numbers to add to the waybill index (on creation the waybill itself is among them)
    due: int | None = None  # ms, when to look again (poll or stall); None: never
    parked: int = 0  # on creation: how many parked bodies were merged in; they are removed


class Committed(Struct, frozen=True):
    version: int
    revision: int


class Shelved(Struct, frozen=True):
    """What became of a scan that was to be parked: `holder` has it, or it is parked and so many made room."""

    holder: str | None = None
    made_room: int = 0


class DueItem(Struct, frozen=True):
    """A shipment whose hour has come, claimed under `claim`."""

    id: str
    due: int  # ms
    claim: str


class FeedEntry(Struct, frozen=True):
    """One change in the feed of a shard. `revision` is the one it made."""

    position: str  # stream id within its shard
    account: str
    id: str
    revision: int
    kind: str
    at: int  # ms
    ordered: bool = True  # the shipment belongs to an order, or belonged to one until this change


class FeedPage(Struct, frozen=True):
    entries: tuple[FeedEntry, ...]
    cursor: str
    more: bool
    tally: int  # changes that the account ever had up to the cursor
    tally_before: int  # the same, up to the cursor that was asked from


class LaneRef(Struct, frozen=True):
    """A change to put into a destination's lane."""

    destination: str
    account: str
    id: str
    revision: int
    kind: str


class Delivery(Struct, frozen=True):
    """The head of a lane, claimed. `attempt` counts from 1; `body` is the frozen change."""

    destination: str
    account: str
    id: str
    revision: int
    kind: str
    attempt: int
    first_at: int  # ms, when it was put into the lane
    claim: str
    lease_until: int  # ms, server time
    body: bytes


class Claim(Struct, frozen=True, kw_only=True):
    """A wish to claim heads of lanes while they are filled: under which id, for how long, how many by destination."""

    id: str
    lease_ms: int
    free: Mapping[str, int]


class Fanned(Struct, frozen=True):
    """What became of a fan-out: whether it was this worker's, and the heads of lanes that were claimed with it."""

    moved: bool
    claimed: Sequence[Delivery] = ()


class Outcome(StrEnum):
    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    DISCARD = "discard"  # the destination is gone or does not want it
    HELD = "held"  # given back, and not counted as an attempt


class Settlement(Struct, frozen=True, kw_only=True):
    delivery: Delivery
    outcome: Outcome
    retry_at: int = 0  # ms
    detail: str = ""  # why it died
    log: bytes = b""  # one attempt for the destination's delivery log


class Letter(Struct, frozen=True, kw_only=True):
    """A change, or a notice of ours, for the lane of a destination, past the feed."""

    id: str
    revision: int
    kind: str
    body: bytes = b""  # what is sent where the frozen one is gone; empty: nothing then
    position: str = "0-0"  # in the feed


class Relayed(StrEnum):
    """What became of a letter."""

    KEPT = "kept"  # it goes with the body that was frozen
    PUT = "put"  # it goes with the body that was given
    LOST = "lost"  # there is neither
    WAITS = "waits"  # the lane has it already, or will get it by fan-out


class DeadLetter(Struct, frozen=True):
    id: str
    destination: str
    account: str
    shipment: str
    revision: int
    kind: str
    attempts: int
    died_at: int  # ms
    detail: str
    body: bytes


class Sighting(Struct, frozen=True):
    """Something that a carrier said and nothing covers, how often and when. `key` "": the rest, beyond the limit."""

    carrier: str
    kind: str
    key: str
    count: int
    first_at: int  # ms
    last_at: int  # ms
    text: str = ""  # an example; "" keeps the one before
    shipment: str = ""  # where it was said; "" keeps the one before


class StoreStats(Struct, frozen=True, kw_only=True):
    """How the store stands. Bytes, milliseconds and counts over all shards; -1 where the server does not say."""

    used_memory: int
    rss: int
    feed_length: int
    unfanned_age_ms: int  # age of the oldest change that fan-out has not seen
    agenda_lag_ms: int  # how long the longest waiting due shipment is overdue
    lanes: int  # shipment queues that still hold changes for a destination
    aof_bytes: int
    durable: bool  # every acknowledged write is on disk
