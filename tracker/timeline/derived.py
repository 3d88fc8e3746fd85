"""Document → shipment: events in order, each told once, status and leg."""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt

from msgspec import structs

from tracker.milestones import STAGE, STATUS_OF
from tracker.model import (
    Document,
    Event,
    Heard,
    Kept,
    Milestone,
    Moment,
    Shipment,
    Status,
    Summary,
)
from tracker.timeline.journey import Journey
from tracker.timeline.receipts import SURENESS, hearing

_CERTAIN_OF = (Milestone.NOTE, Milestone.UNKNOWN)
_VAGUE = frozenset({Milestone.IN_TRANSIT, Milestone.NOTE, Milestone.UNKNOWN})
_UNDER_WAY = frozenset(
    {Milestone.HUB_ARRIVED, Milestone.HUB_DEPARTED, Milestone.AT_DELIVERY_DEPOT, Milestone.HANDED_OVER}
)


def derive(document: Document) -> Shipment:
    """Read a document as a shipment."""
    events = _told_once(document)
    journey = Journey.of(events)
    extra = _ahead(document, journey)
    if extra:
        journey = Journey.of([*events, extra])
    status = Status.EXPIRED if _silent(document) and journey.status.open else journey.status
    summary = _latest_summary(document)
    return Shipment(
        document=document,
        status=status,
        events=tuple(journey.events),
        leg=journey.leg,
        status_at=journey.at,
        progress=journey.progress,
        delivered=journey.delivered,
        delayed=journey.delayed,
        expected_from=summary.expected_from if summary else None,
        expected_to=summary.expected_to if summary else None,
        signed_by=summary.signed_by if summary else "",
    )


def _silent(document: Document) -> bool:
    return bool(document.expired_at) and all(
        h.first_at <= document.expired_at for scan in document.scans for h in scan.heard
    )


def _latest_summary(document: Document) -> Summary | None:
    spoken = [source for source in document.sources if source.summary]
    return max(spoken, key=lambda s: (s.summary_at, s.name)).summary if spoken else None


def _event(scan: Kept, document: Document, *, summary: bool = False) -> Event:
    heard = scan.heard if len(scan.heard) == 1 else sorted(scan.heard, key=hearing)
    return Event(
        scan.time,
        scan.milestone,
        scan.reason,
        scan.code,
        scan.text,
        scan.location,
        tuple([document.sources[h.source].name for h in heard]),
        heard[0].first_at,
        scan.fingerprint,
        retracted=not summary and _retracted(scan, document),
        summary=summary,
    )


def _retracted(scan: Kept, document: Document) -> bool:
    # a loop, not `all`: done for every scan of a parcel at each of its changes
    for heard in scan.heard:
        source = document.sources[heard.source]
        if heard.last_at >= source.full_at or not source.span_from <= scan.time.instant <= source.span_to:
            return False
    return True


def _told_once(document: Document) -> list[Event]:
    """Events in order of happening, the same scan told by two sources as one."""
    scans = _in_order(document.scans)
    if len({source.name.partition("/")[0] for source in document.sources}) < 2:
        return [_event(scan, document) for scan in scans]
    return _without_doubles([_event(scan, document) for scan in scans])


def _in_order(scans: Sequence[Kept]) -> Sequence[Kept]:
    """The scans in order of happening. They are kept by the reading of the clock, which mostly is that order."""
    instants = [scan.time.instant for scan in scans]
    return scans if all(map(lt, instants, instants[1:])) else sorted(scans, key=_happened)


def _happened(scan: Kept) -> tuple[int, int, int, str, str]:
    seq = scan.heard[0].seq if len(scan.heard) == 1 else max(h.seq for h in scan.heard)
    return (scan.time.instant, seq, STAGE[scan.milestone], scan.code, scan.text)


def _without_doubles(events: list[Event]) -> list[Event]:
    told: list[Event] = []
    for event in events:
        place = next((i for i, known in enumerate(told) if _same_scan(known, event)), None)
        if place is None:
            told.append(event)
        else:
            told[place] = _united(told[place], event)
    return told


def _same_scan(a: Event, b: Event) -> bool:
    """Told by different connections, of the same minute, and meaning the same."""
    if a.retracted != b.retracted or _connections(a) & _connections(b) or not _same_time(a.time, b.time):
        return False
    if a.milestone is b.milestone:
        return a.milestone not in _CERTAIN_OF or a.text == b.text
    return _says_less(a, b) or _says_less(b, a)


def _says_less(vague: Event, other: Event) -> bool:
    """Whether one says only that it is on its way where the other says how, or the same words without understanding."""
    if vague.milestone in _CERTAIN_OF:
        return bool(vague.text) and vague.text == other.text
    return vague.milestone is Milestone.IN_TRANSIT and other.milestone in _UNDER_WAY


def _connections(event: Event) -> set[str]:
    return {source.partition("/")[0] for source in event.sources}


def _same_time(a: Moment, b: Moment) -> bool:
    left, right = (a.wall, b.wall) if a.offset is None or b.offset is None else (a.instant, b.instant)
    if left == right:
        return True
    # some write no seconds: the same minute is the same scan then
    return left // 60 == right // 60 and (left % 60 == 0 or right % 60 == 0)


def _united(a: Event, b: Event) -> Event:
    """One event of two tellings: the surer time and the earlier telling's words."""
    first, second = sorted((a, b), key=lambda e: (-SURENESS[e.time.certainty], e.heard_at, e.sources))
    means, other = (first, second) if first.milestone not in _VAGUE else (second, first)
    by_hearing = sorted((a, b), key=lambda e: (e.heard_at, e.sources))
    return structs.replace(
        first,
        milestone=means.milestone,
        reason=means.reason or other.reason,
        location=first.location or second.location,
        sources=by_hearing[0].sources + by_hearing[1].sources,
        heard_at=by_hearing[0].heard_at,
        fingerprint=by_hearing[0].fingerprint,
    )


def _ahead(document: Document, journey: Journey) -> Event | None:
    """The carrier's summary status, where it says more than its scans do."""
    spoken = [s for s in document.sources if s.status and s.status.milestone in STATUS_OF]
    for source in sorted(spoken, key=lambda s: (-s.summary_at, s.name)):
        status = source.status
        assert status is not None
        if _says_more(status, journey):
            index = document.sources.index(source)
            heard = Heard(index, source.summary_at, source.summary_at)
            return _event(structs.replace(status, heard=(heard,)), document, summary=True)
    return None


_AHEAD = {status: place for place, status in enumerate(Status)}


def _says_more(scan: Kept, journey: Journey) -> bool:
    status = STATUS_OF[scan.milestone]
    if status is journey.status or journey.told(scan.milestone, scan.time):
        return False
    last = journey.last_time
    if last is None or _after(scan.time, last):
        return True
    return not _after(last, scan.time) and _AHEAD[status] > _AHEAD[journey.status]


def _after(a: Moment, b: Moment) -> bool:
    if a.offset is None or b.offset is None:
        return a.wall > b.wall
    return a.instant > b.instant
