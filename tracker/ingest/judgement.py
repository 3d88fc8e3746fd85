"""What a new telling makes of a shipment: whether it is worth a write, ends a stall, moves it to another carrier."""

from __future__ import annotations

from msgspec import structs

from tracker.model import Document, Report, Shipment
from tracker.timeline.changes import differ, told_by
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt

_CLOCKS_DIFFER_MS = 1_000  # what two daemons over one store make of its time differs by less


def says_something(report: Report) -> bool:
    """Whether a report is worth keeping for a waybill that nobody registered; trouble with a number is not."""
    return bool(report.scans) or bool(report.summary and report.summary.status)


def unstalled(before: Shipment, after: Shipment) -> Shipment:
    """Progress since the stall clears it; so does the end of the journey."""
    stall = after.document.stall
    if stall is None or (after.status.open and not _progressed(before, after)):
        return after
    return derive(structs.replace(after.document, stall=None))


def moved_on(document: Document, seen: int | None) -> bool:
    """Whether somebody changed the shipment between the look that led here and now."""
    return seen is not None and document.revision != seen


def _progressed(before: Shipment, after: Shipment) -> bool:
    if after.progress is None or after.progress == before.progress:
        return False
    return before.progress is None or after.progress.time.instant >= before.progress.time.instant


def worth_writing(before: Shipment, after: Shipment) -> bool:
    """Whether a reader would see a difference, another source tells the same, or the carrier's trouble is a new one."""
    return differ(before, after) or told_by(before) != told_by(after) or _troubles(before) != _troubles(after)


def _troubles(shipment: Shipment) -> list[str]:
    return [s.problem.kind.value for s in shipment.document.sources if s.problem]


def not_before(document: Document, receipt: Receipt, *, clock_ms: float) -> Receipt:
    """What is heard now is heard after all that is there, also where the clock was set back since.

    Else an answer from before would seem to be the later one, and what is new in this one withdrawn by it.
    """
    latest = max(document.checked_at, document.expired_at)
    return receipt if latest <= clock_ms + _CLOCKS_DIFFER_MS else structs.replace(receipt, heard_at=latest + 1)


def with_successor(document: Document, report: Report) -> Document:
    """The next carrier's number and the pieces' numbers are aliases of the shipment."""
    if report.summary is None:
        return document
    told = ("".join(number.split()).upper() for number in (report.summary.successor, *report.summary.pieces))
    new = [number for number in dict.fromkeys(told) if number and number not in (document.waybill, *document.aliases)]
    return structs.replace(document, aliases=(*document.aliases, *new)[:50]) if new else document


def corrected(document: Document, receipt: Receipt, carrier: str) -> Document:
    """The shipment moved to the carrier (its slug) whose number an aggregator says it is, unless another connection has
    told of the parcel: that one knows it under the carrier that it has, and two that disagree move nothing."""
    if carrier in ("", document.carrier):
        return document
    teller = receipt.source.partition("/")[0]
    told = {document.sources[heard.source].name.partition("/")[0] for scan in document.scans for heard in scan.heard}
    return structs.replace(document, carrier=carrier) if told == {teller} else document
