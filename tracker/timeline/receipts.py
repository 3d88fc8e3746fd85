"""Document + receipt → document: a join of sets, and the same read by the tables of today."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct, structs

from tracker.model import (
    Certainty,
    Document,
    Heard,
    Kept,
    Milestone,
    Moment,
    Reason,
    Report,
    Scan,
    Source,
    Summary,
)

Classify = Callable[[str, str], tuple[Milestone, Reason | None]]
_Key = tuple[int | None, str, str]
SURENESS = {Certainty.ASSUMED: 0, Certainty.CARRIER_RULE: 1, Certainty.GIVEN: 2}


class Receipt(Struct, frozen=True, kw_only=True):
    """What one body said of one waybill, who said it and when we heard it."""

    source: str
    heard_at: int  # ms
    report: Report
    fingerprint: str = ""
    asked: bool = False  # an answer to our question speaks for all time up to now; a push for the span it holds


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
    return (SURENESS[time.certainty], -(time.offset or 0))


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
    return next((table for heard in sorted(scan.heard, key=hearing) if (table := tables[heard.source])), None)


def _remapped(scan: Kept, table: Classify | None) -> Kept:
    if table is None:
        return scan
    milestone, reason = table(scan.code, scan.text)
    return structs.replace(scan, milestone=milestone, reason=reason)


def _remapped_source(source: Source, table: Classify | None) -> Source:
    return structs.replace(source, status=_remapped(source.status, table)) if source.status else source


def hearing(heard: Heard) -> tuple[int, int]:
    """By when it was heard first."""
    return (heard.first_at, heard.source)
