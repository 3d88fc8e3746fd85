"""`milepost parse`: one body through an adapter, as JSON, without a store and without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from carriers.sdk import Carrier
from tracker import timeline
from tracker.model import Document, Event, Report, Shipment
from tracker.normalise import reader


def read_body(carrier: Carrier, body: bytes, content_type: str, *, now: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The waybills that a body speaks of, each with its events in timeline order; and what went wrong, in words.

    Args:
        now: ms; when the body counts as heard.

    Raises:
        ParseError: the body can't be read.
    """
    reports = carrier.parse(body, content_type)
    problems = [_words(report) for report in reports if report.problem]
    told = _by_waybill(report for report in reports if report.waybill and not _empty_answer(report))
    return [_view(_shipment(carrier, waybill, some, now)) for waybill, some in told.items()], problems


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


def _shipment(carrier: Carrier, waybill: str, reports: Sequence[Report], now: int) -> Shipment:
    read = reader(carrier.milestones)
    document = Document(id="", account="", waybill=waybill, carrier=carrier.slug, registered_at=now, updated_at=now)
    for report in reports:
        document = timeline.merge(document, timeline.Receipt(source="body", heard_at=now, report=report), read)
    return timeline.derive(document)


def _view(shipment: Shipment) -> dict[str, Any]:
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
