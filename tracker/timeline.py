"""The timeline: a pure function of the set of receipts.

`merge` joins a receipt into a document; it commutes with itself and does nothing the second time. `derive` reads a
document as a shipment: events in order, status, leg. `changes` names what differs between two readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import lt

import msgspec
from msgspec import Struct, structs

from tracker.journey import Journey
from tracker.milestones import STAGE, STATUS_OF
from tracker.model import (
    Certainty,
    ChangeKind,
    Document,
    Event,
    Heard,
    Kept,
    Milestone,
    Moment,
    Reason,
    Report,
    Scan,
    Shipment,
    Source,
    Status,
    Summary,
)

Classify = Callable[[str, str], tuple[Milestone, Reason | None]]
_Key = tuple[int | None, str, str]
_SURENESS = {Certainty.ASSUMED: 0, Certainty.CARRIER_RULE: 1, Certainty.GIVEN: 2}
_CERTAIN_OF = (Milestone.NOTE, Milestone.UNKNOWN)
_VAGUE = frozenset({Milestone.IN_TRANSIT, Milestone.NOTE, Milestone.UNKNOWN})
_UNDER_WAY = frozenset(
    {Milestone.HUB_ARRIVED, Milestone.HUB_DEPARTED, Milestone.AT_DELIVERY_DEPOT, Milestone.HANDED_OVER}
)


class Receipt(Struct, frozen=True, kw_only=True):
    """What one body said of one waybill, who said it and when we heard it."""

    source: str
    heard_at: int  # ms
    report: Report
    fingerprint: str = ""
    asked: bool = False  # an answer to our question speaks for all time up to now; a push for the span it holds


# ---------------------------------------------------------------- merge: document + receipt → document


def merge(document: Document, receipt: Receipt, classify: Classify) -> Document:
    """Join `receipt` into `document`. Order and repetition of receipts do not matter to what `derive` makes of it."""
    document, index = _with_source(document, receipt.source)
    kept = {_key(scan): scan for scan in document.scans}
    for scan in _keep(receipt, index, classify):
        known = kept.get(_key(scan))
        kept[_key(scan)] = scan if known is None else _join(known, scan)
    sources = list(document.sources)
    sources[index] = _join_source(sources[index], receipt, classify)
    return structs.replace(
        document,
        scans=tuple(sorted(kept.values(), key=_order)),
        sources=tuple(sources),
        checked_at=max(document.checked_at, receipt.heard_at),
    )


def reworded(document: Document, scan: Callable[[Kept], Kept], source: Callable[[Source], Source]) -> Document:
    """The document in other words; scans that read the same in them are one."""
    kept: dict[_Key, Kept] = {}
    for one in map(scan, document.scans):
        known = kept.get(_key(one))
        kept[_key(one)] = one if known is None else _join(known, one)
    scans = tuple(sorted(kept.values(), key=_order))
    return structs.replace(document, scans=scans, sources=tuple(map(source, document.sources)))


def _with_source(document: Document, name: str) -> tuple[Document, int]:
    """The document with `name` among its sources (kept in order of name, so that arrival does not show)."""
    names = [source.name for source in document.sources]
    if name in names:
        return document, names.index(name)
    index = sum(other < name for other in names)
    sources = (*document.sources[:index], Source(name), *document.sources[index:])
    scans = tuple(_shifted(scan, index) for scan in document.scans)
    return structs.replace(document, sources=sources, scans=scans), index


def _shifted(scan: Kept, index: int) -> Kept:
    heard = tuple(structs.replace(h, source=h.source + (h.source >= index)) for h in scan.heard)
    return structs.replace(scan, heard=heard)


def _keep(receipt: Receipt, source: int, classify: Classify) -> Iterable[Kept]:
    last: int | None = None
    seq = 0
    for scan in receipt.report.scans:
        wall = scan.time.wall if scan.time else None
        seq = seq + 1 if wall == last and wall is not None else 0
        last = wall
        yield _kept(scan, receipt, Heard(source, receipt.heard_at, receipt.heard_at, seq), classify)


def _kept(scan: Scan, receipt: Receipt, heard: Heard, classify: Classify) -> Kept:
    milestone, reason = classify(scan.code, scan.text)
    time = scan.time or Moment(receipt.heard_at // 1000, 0, Certainty.ASSUMED)
    return Kept(
        time,
        milestone,
        reason,
        scan.code,
        scan.text,
        scan.location,
        (heard,),
        receipt.fingerprint,
        scan.time is None,
    )


def _key(scan: Kept) -> _Key:
    return (None if scan.untimed else scan.time.wall, scan.code, scan.text)


def _order(scan: Kept) -> tuple[int, str, str]:
    return (scan.time.wall, scan.code, scan.text)


def _join(a: Kept, b: Kept) -> Kept:
    """Two tellings of one scan; symmetric, and nothing new where one holds the other."""
    heard = {h.source: h for h in a.heard}
    for h in b.heard:
        heard[h.source] = _join_heard(heard[h.source], h) if h.source in heard else h
    first, second = (a, b) if _telling(a) <= _telling(b) else (b, a)
    return Kept(
        _joined_time(a, b),
        a.milestone,
        a.reason,
        a.code,
        a.text,
        a.location if a.location == b.location else max(a.location, b.location, key=lambda place: (len(place), place)),
        tuple(heard[source] for source in sorted(heard)),
        first.fingerprint or second.fingerprint,
        a.untimed,
    )


def _telling(scan: Kept) -> tuple[int, str]:
    heard = scan.heard
    return (heard[0].first_at if len(heard) == 1 else min(h.first_at for h in heard), scan.fingerprint)


def _joined_time(a: Kept, b: Kept) -> Moment:
    if a.time == b.time:
        return a.time
    return min(a.time, b.time, key=lambda t: t.wall) if a.untimed else max(a.time, b.time, key=_sureness)


def _join_heard(a: Heard, b: Heard) -> Heard:
    return Heard(a.source, min(a.first_at, b.first_at), max(a.last_at, b.last_at), max(a.seq, b.seq))


def _sureness(time: Moment) -> tuple[int, int]:
    return (_SURENESS[time.certainty], -(time.offset or 0))


def _join_source(source: Source, receipt: Receipt, classify: Classify) -> Source:
    source = _join_span(source, receipt)
    report = receipt.report
    if report.summary and (receipt.heard_at, _blob(report.summary)) > (source.summary_at, _blob(source.summary)):
        status = report.summary.status and _kept(
            report.summary.status, receipt, Heard(0, receipt.heard_at, receipt.heard_at), classify
        )
        source = structs.replace(source, summary_at=receipt.heard_at, summary=report.summary, status=status)
    if (receipt.heard_at, _words(report)) > (source.problem_at, source.problem.text if source.problem else ""):
        source = structs.replace(source, problem_at=receipt.heard_at, problem=report.problem)
    return source


def _words(report: Report) -> str:
    return report.problem.text if report.problem else ""


def _blob(summary: Summary | None) -> bytes:
    return msgspec.msgpack.encode(summary) if summary else b""


def _join_span(source: Source, receipt: Receipt) -> Source:
    times = [scan.time.instant for scan in receipt.report.scans if scan.time]
    if not receipt.report.full or not times:
        return source
    newest = max(*times, receipt.heard_at // 1000 + 86_400) if receipt.asked else max(times)
    answer = (receipt.heard_at, -min(times), newest)
    if answer <= (source.full_at, -source.span_from, source.span_to):
        return source
    return structs.replace(source, full_at=receipt.heard_at, span_from=min(times), span_to=newest)


# ---------------------------------------------------------------- remapped: document × today's tables → document


def remapped(document: Document, classify: Callable[[str], Classify | None]) -> Document:
    """The document as it would be had today's tables been there from the beginning.

    `classify` gives the table of a source by its name; None: what it told keeps its reading. A scan that several
    sources tell of is read by the one that told it first.
    """
    tables = [classify(source.name) for source in document.sources]
    scans = tuple(_remapped(scan, _table_of(scan, tables)) for scan in document.scans)
    sources = tuple(_remapped_source(source, table) for source, table in zip(document.sources, tables, strict=True))
    return structs.replace(document, scans=scans, sources=sources)


def _table_of(scan: Kept, tables: Sequence[Classify | None]) -> Classify | None:
    return next((table for heard in sorted(scan.heard, key=_hearing) if (table := tables[heard.source])), None)


def _remapped(scan: Kept, table: Classify | None) -> Kept:
    if table is None:
        return scan
    milestone, reason = table(scan.code, scan.text)
    return structs.replace(scan, milestone=milestone, reason=reason)


def _remapped_source(source: Source, table: Classify | None) -> Source:
    return structs.replace(source, status=_remapped(source.status, table)) if source.status else source


# ---------------------------------------------------------------- derive: document → shipment


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
    heard = scan.heard if len(scan.heard) == 1 else sorted(scan.heard, key=_hearing)
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


def _hearing(heard: Heard) -> tuple[int, int]:
    return (heard.first_at, heard.source)


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
    first, second = sorted((a, b), key=lambda e: (-_SURENESS[e.time.certainty], e.heard_at, e.sources))
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


# ---------------------------------------------------------------- changes: shipment, shipment → what to announce


def changes(before: Shipment | None, after: Shipment) -> tuple[ChangeKind, ...]:
    """What to announce, in order; empty where nothing that a reader can see has changed."""
    if before is None:
        return (ChangeKind.REGISTERED, *_status_kind(Status.PENDING, after.status))
    kinds: list[ChangeKind] = []
    if _corrected(before, after):
        kinds.append(ChangeKind.CORRECTED)
    if before.document.stall and not after.document.stall and after.status is not Status.EXPIRED:
        kinds.append(ChangeKind.MOVING_AGAIN)
    kinds += _status_kind(before.status, after.status)
    if after.document.stall and not before.document.stall:
        kinds.append(ChangeKind.STALLED)
    if not kinds and differ(before, after):
        kinds.append(ChangeKind.UPDATED)
    return tuple(kinds)


def _status_kind(before: Status, after: Status) -> tuple[ChangeKind, ...]:
    return () if after is before else (ChangeKind(after.value),)


def _corrected(before: Shipment, after: Shipment) -> bool:
    """Whether something that was announced as a fact is no longer one."""
    undone = before.status in (Status.DELIVERED, Status.RETURNED) and after.status is not before.status
    return undone or bool(events_corrected(before, after))


def events_corrected(before: Shipment | None, after: Shipment) -> list[tuple[Event, Event]]:
    """The events that were announced and have since been withdrawn or given another meaning: as then and as now."""
    announced = [e for e in before.events if not (e.retracted or e.summary)] if before else []
    then = {event_key(event): event for event in announced}
    told_again = ((then.get(event_key(event)), event) for event in after.events)
    return [(was, event) for was, event in told_again if was and _undone(was, event)]


def _undone(then: Event, now: Event) -> bool:
    return now.retracted or (then.milestone, then.reason) != (now.milestone, now.reason)


def event_key(event: Event) -> tuple[int, str, str]:
    """What makes an event the same one in two readings of a shipment."""
    return (event.time.wall, event.code, event.text)


def events_added(before: Shipment | None, after: Shipment) -> list[Event]:
    """The events that were not there before, in order of happening."""
    known = {event_key(event) for event in before.events} if before else set()
    return [event for event in after.events if event_key(event) not in known]


def differ(before: Shipment, after: Shipment) -> bool:
    """Whether there is something to announce: all that is said of a parcel counts, by whom and how often does not."""
    if len(before.events) != len(after.events) or _spoken(before) != _spoken(after):
        return True
    return any(map(_reads_otherwise, before.events, after.events))


def _spoken(shipment: Shipment) -> tuple[object, ...]:
    doc = shipment.document
    return (
        shipment.status,
        shipment.leg,
        shipment.delayed,
        shipment.expected_from,
        shipment.expected_to,
        shipment.signed_by,
        doc.carrier,
        doc.details,
        doc.aliases,
        doc.stall,
        doc.expired_at,
    )


def _reads_otherwise(a: Event, b: Event) -> bool:
    return _said(a) != _said(b)


def _said(event: Event) -> tuple[object, ...]:
    return (
        event.time,
        event.milestone,
        event.reason,
        event.code,
        event.text,
        event.location,
        event.leg,
        event.stray,
        event.retracted,
    )


def told_by(shipment: Shipment) -> list[tuple[str, ...]]:
    """Who told of each event: kept, and not worth an announcement by itself."""
    return [event.sources for event in shipment.events]
