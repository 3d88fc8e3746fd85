"""The words of the domain as types. Imports nothing of ours and does no I/O.

Times are whole seconds or milliseconds since 1970-01-01T00:00:00Z, named `*_at` (ms, our clock) or held in a
`Moment` (a carrier's clock, with how sure we are of it).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

from msgspec import Struct


class Milestone(StrEnum):
    """What one scan says of a parcel. Labels and meanings: `tracker.milestones`."""

    INFO_RECEIVED = "info_received"
    PICKED_UP = "picked_up"
    HUB_ARRIVED = "hub_arrived"
    HUB_DEPARTED = "hub_departed"
    IN_TRANSIT = "in_transit"
    CUSTOMS_ENTERED = "customs_entered"
    CUSTOMS_CLEARED = "customs_cleared"
    HANDED_OVER = "handed_over"
    AT_DELIVERY_DEPOT = "at_delivery_depot"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERY_FAILED = "delivery_failed"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    DELIVERED = "delivered"
    DELAYED = "delayed"
    EXCEPTION = "exception"
    RETURNING = "returning"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    NOTE = "note"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why something is wrong, beside the milestone that says what."""

    RECIPIENT_ABSENT = "recipient_absent"
    RECIPIENT_REFUSED = "recipient_refused"
    RECIPIENT_UNREACHABLE = "recipient_unreachable"
    ADDRESS_PROBLEM = "address_problem"
    OUTSIDE_AREA = "outside_area"
    CLOSED = "closed"
    MISSED_PICKUP = "missed_pickup"
    DAMAGED = "damaged"
    LOST = "lost"
    WEATHER = "weather"
    CUSTOMS = "customs"
    PAYMENT_DUE = "payment_due"
    PROHIBITED = "prohibited"
    SECURITY = "security"
    MISSORTED = "missorted"
    OPERATIONAL = "operational"
    HOLIDAY = "holiday"
    ON_HOLD = "on_hold"
    PICKUP_FAILED = "pickup_failed"
    DISPOSED = "disposed"
    OTHER = "other"


class Status(StrEnum):
    """Where a shipment stands, derived from its timeline."""

    PENDING = "pending"
    INFO_RECEIVED = "info_received"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERY_FAILED = "delivery_failed"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    RETURNING = "returning"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def open(self) -> bool:
        """Whether more is expected of the parcel."""
        return self not in _CLOSED


_CLOSED = frozenset({Status.DELIVERED, Status.RETURNED, Status.CANCELLED, Status.EXPIRED})


class Certainty(StrEnum):
    """How we know the offset of a time."""

    GIVEN = "given"  # the carrier wrote the offset
    CARRIER_RULE = "carrier_rule"  # the carrier's documented zone
    ASSUMED = "assumed"  # nobody said; the offset stays unknown


class Moment(Struct, frozen=True, array_like=True):
    """A time as the carrier's clock showed it.

    `wall` is the reading, in seconds as if it were UTC; `offset` is minutes east of UTC, None where nobody said.
    """

    wall: int
    offset: int | None
    certainty: Certainty

    @property
    def instant(self) -> int:
        """Seconds since 1970 for ordering; an unknown offset counts as UTC."""
        return self.wall - (self.offset or 0) * 60

    @property
    def day(self) -> int:
        """The local calendar day, as days since 1970."""
        return self.wall // 86_400

    def iso(self) -> str:
        """ISO 8601 to the second, with the offset if it is known."""
        reading = datetime.fromtimestamp(self.wall, UTC)
        if self.offset is None:
            return reading.replace(tzinfo=None).isoformat()
        return reading.replace(tzinfo=timezone(timedelta(minutes=self.offset))).isoformat()


class Scan(Struct, frozen=True, kw_only=True):
    """What a carrier said, in its own code and words. `code` may be a path (`DE/08`): see `carriers.sdk`."""

    time: Moment | None
    code: str = ""
    text: str = ""
    location: str = ""


class Summary(Struct, frozen=True, kw_only=True):
    """A carrier's own idea of the whole shipment, beside its scans."""

    status: Scan | None = None  # its summary status; counts as a scan only where it is ahead of the scans
    expected_from: Moment | None = None
    expected_to: Moment | None = None
    signed_by: str = ""
    weight_g: int | None = None
    service: str = ""
    origin: str = ""
    destination: str = ""
    successor: str = ""  # the next carrier's number after a hand-over
    pieces: tuple[str, ...] = ()


class ProblemKind(StrEnum):
    """Why a carrier answered without a history."""

    NOT_FOUND = "not_found"  # no data for this number, now
    INVALID = "invalid"  # the number, the carrier or a needed detail (phone tail) is wrong
    REFUSED = "refused"  # credentials, signature, permission
    LIMITED = "limited"  # over quota or too often
    UNAVAILABLE = "unavailable"  # its own error


class Problem(Struct, frozen=True):
    """An answer that is an error, in the carrier's own words."""

    kind: ProblemKind
    text: str


class Report(Struct, frozen=True, kw_only=True):
    """What one body says of one waybill; `scans` oldest first."""

    waybill: str  # "" where an error body names none
    scans: tuple[Scan, ...] = ()
    full: bool = False  # the whole history as the carrier knows it at this moment
    summary: Summary | None = None
    carrier: str = ""  # whose number it is, in the sender's own code, where the sender (an aggregator) says
    problem: Problem | None = None


class Event(Struct, frozen=True):
    """A scan given a milestone, at its place in the timeline."""

    time: Moment
    milestone: Milestone
    reason: Reason | None
    code: str
    text: str
    location: str
    sources: tuple[str, ...]  # `connection/push` or `connection/poll`, first heard first
    heard_at: int  # ms, when we first heard of it
    fingerprint: str = ""  # of the body that it came from
    leg: int = 1
    stray: bool = False  # kept, and changes nothing: it contradicts what is known for certain
    retracted: bool = False  # the carrier took it back
    summary: bool = False  # counted from the carrier's summary status


class Details(Struct, frozen=True, kw_only=True, array_like=True):
    """What the registration said beside the waybill; changed by a patch, never by a carrier."""

    order_number: str = ""
    shop: str = ""
    warehouse: str = ""
    tags: tuple[str, ...] = ()
    phone_tail: str = ""  # last four digits of the recipient's (or sender's) phone
    postal_code: str = ""
    ship_date: str = ""  # YYYY-MM-DD
    connection: str = ""  # the route asked for; "" lets Milepost choose
    paused: bool = False  # no polls and no stall while true


class Heard(Struct, frozen=True, array_like=True):
    """One source's telling of a scan: which source, first and last heard (ms), place among the scans of its second."""

    source: int  # index into `Document.sources`
    first_at: int
    last_at: int
    seq: int = 0


class Kept(Struct, frozen=True, array_like=True):
    """A scan as the document keeps it, already given its milestone."""

    time: Moment
    milestone: Milestone
    reason: Reason | None
    code: str
    text: str
    location: str
    heard: tuple[Heard, ...]
    fingerprint: str = ""
    untimed: bool = False  # the carrier gave no time; `time` is when we first heard


class Source(Struct, frozen=True, array_like=True):
    """One way in which we hear of a shipment, and the span that its latest full answer covered (ms; s)."""

    name: str  # `con_…/push`, `con_…/poll`, `manual`
    full_at: int = 0  # ms, when its latest full answer was heard; 0 = never
    span_from: int = 0  # instants (s) that this answer speaks for: any scan between them that it lacks was withdrawn
    span_to: int = 0
    summary_at: int = 0  # ms, when its latest summary was heard
    summary: Summary | None = None
    status: Kept | None = None  # the summary's status, given its milestone
    problem_at: int = 0  # ms
    problem: Problem | None = None


class Stall(Struct, frozen=True, array_like=True):
    """A stall that was flagged and not yet cleared."""

    flagged_at: int  # ms
    since: int  # s, the instant of the last progress
    milestone: Milestone | None  # the last progress; None: nothing heard at all
    limit: int  # s, what the policy allowed


class Document(Struct, frozen=True, kw_only=True, array_like=True):
    """All that is stored of one shipment. The timeline and the status are derived from it (`tracker.timeline`)."""

    id: str
    account: str
    waybill: str
    carrier: str  # slug
    registered_at: int  # ms
    updated_at: int  # ms
    revision: int = 0
    details: Details = Details()
    aliases: tuple[str, ...] = ()  # successor and piece numbers
    sources: tuple[Source, ...] = ()
    scans: tuple[Kept, ...] = ()
    stall: Stall | None = None
    expired_at: int = 0  # ms, when silence was declared; 0 = not
    checked_at: int = 0  # ms, the latest answer that was written


class Shipment(Struct, frozen=True, kw_only=True):
    """A document with what follows from it: made by `tracker.timeline.derived`, never stored."""

    document: Document
    status: Status
    events: tuple[Event, ...]  # in the order in which they happened; retracted and stray ones included, marked
    leg: int
    status_at: Moment | None  # the event that brought the status
    progress: Event | None  # the last event that moved the parcel
    delivered: Event | None
    delayed: bool  # the last word on the way was a delay
    expected_from: Moment | None
    expected_to: Moment | None
    signed_by: str = ""


class ChangeKind(StrEnum):
    """What one commit did to one shipment; the type of a webhook is `shipment.` + this."""

    REGISTERED = "registered"
    UPDATED = "updated"
    PENDING = "pending"
    INFO_RECEIVED = "info_received"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERY_FAILED = "delivery_failed"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    RETURNING = "returning"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    STALLED = "stalled"
    MOVING_AGAIN = "moving_again"
    CORRECTED = "corrected"
    DELETED = "deleted"
