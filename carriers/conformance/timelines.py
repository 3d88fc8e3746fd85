"""What the timeline makes of an adapter's reports, and that their order and repetition do not matter to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from carriers.sdk import Carrier, Report
from tracker.model import Event, Shipment
from tracker.reading import shipment_of
from tracker.timeline.receipts import Receipt

_HEARD_AT = 4_000_000_000_000  # ms; later than any scan, so that one without a time comes last


def timeline_of(carrier: Carrier, report: Report) -> Shipment:
    """The shipment of one report, heard at a time that is always the same."""
    return shipment_of(carrier, report.waybill, [Receipt(source="body", heard_at=_HEARD_AT, report=report)])


def line(event: Event) -> str:
    """An event on one line: when, what, in which code, and what is special about it."""
    time = "heard" if event.time.wall == _HEARD_AT // 1000 else event.time.iso()
    meaning = "/".join(filter(None, (event.milestone.value, event.reason and event.reason.value)))
    code = f" ({event.code})" if event.code else ""
    return f"{time} {meaning}{code}" + "".join(f", {mark}" for mark in _marks(event))


def _marks(event: Event) -> Iterator[str]:
    if event.leg > 1:
        yield f"leg {event.leg}"
    yield from (mark for mark in ("stray", "retracted", "summary") if getattr(event, mark))


def any_order(carrier: Carrier, told: Sequence[tuple[str, Report]]) -> Iterator[str]:
    """Reports, each with the name of its fixture, that give another timeline when they arrive in another order."""
    for waybill, receipts in _by_waybill(told).items():
        expected = _seen(carrier, waybill, receipts)
        for order in (receipts[::-1], [*receipts, *receipts], [*receipts[1::2], *receipts[::2], receipts[0]]):
            if _seen(carrier, waybill, order) != expected:
                yield f"{waybill}: the order of its reports matters: {', '.join(one.fingerprint for one in order)}"
                break


def _by_waybill(told: Sequence[tuple[str, Report]]) -> dict[str, list[Receipt]]:
    receipts: dict[str, list[Receipt]] = {}
    for place, (name, report) in enumerate(told):
        heard_at = _HEARD_AT + place * 1000
        receipt = Receipt(source=_source(name), heard_at=heard_at, report=report, fingerprint=name)
        receipts.setdefault(report.waybill, []).append(receipt)
    return receipts


def _source(name: str) -> str:
    return "connection/push" if name.startswith("push") else "connection/poll"


def _seen(carrier: Carrier, waybill: str, receipts: Iterable[Receipt]) -> object:
    shipment = shipment_of(carrier, waybill, receipts)
    return shipment.status, shipment.events, shipment.expected_from, shipment.expected_to, shipment.signed_by
