"""What a carrier answered, for whoever reads it: its scans, what each means and why, and the timeline of it all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from carriers.conformance.timelines import line
from carriers.sdk import Carrier, Scan
from tracker.authoring.trying import Tried
from tracker.milestones import STATUSES
from tracker.model import Shipment
from tracker.normalise import classify
from tracker.reading import problems_of, shipments_of, view


def lines(carrier: Carrier, tried: Tried, *, lang: str, now: int) -> Iterator[str]:
    """For a terminal; `now` in ms."""
    for reply in tried.replies:
        yield f"answer    {reply.status} {reply.content_type}, {len(reply.body)} bytes"
    for scan in tried.scans:
        yield f"scan      {_scan(carrier, scan)}"
    for shipment in shipments_of(carrier, tried.reports, now=now):
        yield from _timeline(shipment, lang)
    yield from (f"problem   {problem}" for problem in problems_of(tried.reports))


def _scan(carrier: Carrier, scan: Scan) -> str:
    meaning = classify(carrier.milestones, scan.code, scan.text)
    time = f"{scan.time.iso()} {scan.time.certainty}" if scan.time else "no time"
    means = "/".join(filter(None, (meaning.milestone, meaning.reason)))
    return f"{time}  {scan.code or 'no code'} → {means} by {meaning.rule}  {scan.text}  {scan.location}".rstrip()


def _timeline(shipment: Shipment, lang: str) -> Iterator[str]:
    yield f"parcel    {shipment.document.waybill}: {STATUSES[shipment.status].label(lang)} ({shipment.status})"
    yield from (f"timeline  {line(event)}" for event in shipment.events)
    if shipment.expected_to:
        yield f"expected  {shipment.expected_to.iso()}"


def plain(carrier: Carrier, tried: Tried, *, now: int) -> dict[str, Any]:
    """For a machine."""
    return {
        "answers": [
            {"status": reply.status, "content_type": reply.content_type, "bytes": len(reply.body)}
            for reply in tried.replies
        ],
        "scans": [_scan(carrier, scan) for scan in tried.scans],
        "shipments": [view(shipment) for shipment in shipments_of(carrier, tried.reports, now=now)],
        "problems": problems_of(tried.reports),
    }
