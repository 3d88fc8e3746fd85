"""A body through an adapter, without a store and without a network: `milepost parse`, `milepost try`, the kit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from carriers.sdk import Carrier
from tracker.model import Document, Event, Report, Shipment
from tracker.normalise import reader
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge


def read_body(carrier: Carrier, body: bytes, content_type: str, *, now: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The waybills that a body speaks of, each with its events in timeline order; and what went wrong, in words.

    Args:
        now: ms; when the body counts as heard.

    Raises:
        ParseError: the body can't be read.
    """
    reports = carrier.parse(body, content_type)
    return [view(shipment) for shipment in shipments_of(carrier, reports, now=now)], problems_of(reports)


def shipments_of(carrier: Carrier, reports: Sequence[Report], *, now: int) -> list[Shipment]:
    """What the timeline makes of reports that were heard at `now` (ms), a shipment for each waybill."""
    told = _by_waybill(report for report in reports if report.waybill and not _empty_answer(report))
    return [shipment_of(carrier, waybill, _receipts(some, now)) for waybill, some in told.items()]


def problems_of(reports: Sequence[Report]) -> list[str]:
    """What went wrong, in words."""
    return [_words(report) for report in reports if report.problem]


def _receipts(reports: Iterable[Report], now: int) -> list[Receipt]:
    return [Receipt(source="body", heard_at=now, report=report) for report in reports]


def _words(report: Report) -> str:
    assert report.problem is not None
    return f"{report.waybill or 'answer'}: {report.problem.kind.value}: {report.problem.text}"


def _empty_answer(report: Report) -> bool:
    return report.problem is not None and not report.scans and not (report.summary and report.summary.status)


def _by_waybill(reports: Iterable[Report]) -> dict[str, list[Report]]:
    told: dict[str, list[Report]] = {}
    for report in reports:
        told.setdefault(report.waybill, []).append(report)
    return told


def shipment_of(carrier: Carrier, waybill: str, receipts: Iterable[Receipt]) -> Shipment:
    """What the timeline makes of receipts for one waybill, each scan given its milestone by the carrier's table."""
    read = reader(carrier.milestones)
    document = Document(id="", account="", waybill=waybill, carrier=carrier.slug, registered_at=0, updated_at=0)
    for receipt in receipts:
        document = merge(document, receipt, read)
    return derive(document)


def view(shipment: Shipment) -> dict[str, Any]:
    """A shipment as the command line prints it in JSON."""
    return {
        "waybill": shipment.document.waybill,
        "status": shipment.status.value,
        "events": [_event(event) for event in shipment.events],
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "occurred_at": event.time.iso(),
        "certainty": event.time.certainty.value,
        "milestone": event.milestone.value,
        "reason": event.reason and event.reason.value,
        "code": event.code or None,
        "description": event.text,
        "location": event.location or None,
        "source": "summary" if event.summary else "scan",
    }
