"""How a shipment looks to those who read it: one shape for the API, the webhooks and the pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from tracker.milestones import MILESTONES, REASONS, STATUSES, Word
from tracker.model import ChangeKind, Event, Milestone, Moment, Reason, Shipment, Stall, Status
from tracker.timeline.changes import events_added, events_corrected

View = dict[str, Any]

SCHEMA = 1  # of the bodies of changes: goes up when a field changes its meaning or goes, not when one is added


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC, to the second, of a time of ours."""
    return _second(at_ms // 1000)


@lru_cache(maxsize=4_096)  # one change names the same few times again and again
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_wall = lru_cache(maxsize=4_096)(Moment.iso)


def attempts_told(log: Iterable[bytes]) -> list[View]:
    """The attempts of a delivery log; what those did not say yet that were logged long ago is filled in."""
    return [{"next_at": None, "test": False} | msgspec.json.decode(entry, type=View) for entry in log]


def _label(word: Word) -> dict[str, str]:
    return {"zh": word.zh, "en": word.en}


_MILESTONE: dict[Milestone, dict[str, str]] = {m: _label(word) for m, word in MILESTONES.items()}
_STATUS: dict[Status, dict[str, str]] = {s: _label(word) for s, word in STATUSES.items()}
_REASON: dict[Reason | None, dict[str, str] | None] = {None: None, **{r: _label(word) for r, word in REASONS.items()}}


def event_view(event: Event) -> View:
    """One event of a timeline; empty strings of the carrier's are null."""
    return {
        "occurred_at": _wall(event.time),
        "certainty": event.time.certainty.value,
        "milestone": event.milestone.value,
        "label": _MILESTONE[event.milestone],
        "reason": event.reason and event.reason.value,
        "reason_label": _REASON[event.reason],
        "code": event.code or None,
        "description": event.text or None,
        "location": event.location or None,
        "sources": event.sources,
        "heard_at": iso(event.heard_at),
        "leg": event.leg,
        "stray": event.stray,
        "retracted": event.retracted,
        "summary": event.summary,
    }


def shipment_view(shipment: Shipment, *, now: int, tracking_url: str = "", events: bool = True) -> View:
    """A shipment as it stands at `now` (ms), with its timeline unless `events` is false."""
    doc, details = shipment.document, shipment.document.details
    view: View = {
        "id": doc.id,
        "waybill": doc.waybill,
        "carrier": doc.carrier,
        "status": shipment.status.value,
        "status_label": _STATUS[shipment.status],
        "status_at": shipment.status_at and _wall(shipment.status_at),
        "leg": shipment.leg,
        "picked_up": any(_moved(event) for event in shipment.events),
        "revision": doc.revision,
        "registered_at": iso(doc.registered_at),
        "updated_at": iso(doc.updated_at),
        "order_number": details.order_number or None,
        "shop": details.shop or None,
        "warehouse": details.warehouse or None,
        "tags": details.tags,
        "paused": details.paused,
        "stalled": doc.stall and _stall_view(doc.stall, now),
        "delayed": shipment.delayed,
        "expected": _expected_view(shipment),
        "signed_by": shipment.signed_by or None,
        "delivered_at": shipment.delivered and _wall(shipment.delivered.time),
        "aliases": doc.aliases,
        "tracking_url": tracking_url or None,
        "last_event": event_view(shipment.progress) if shipment.progress else None,
    }
    if events:
        view["events"] = [event_view(event) for event in shipment.events]
    return view


# what a parcel can be told of before the carrier has it
_BEFORE_PICK_UP = frozenset({Milestone.INFO_RECEIVED, Milestone.CANCELLED, Milestone.NOTE, Milestone.UNKNOWN})
_BEFORE_PICK_UP |= {Milestone.DELAYED, Milestone.EXCEPTION}


def _moved(event: Event) -> bool:
    """Whether the event shows that the carrier has, or had, the parcel."""
    return not (event.stray or event.retracted or event.milestone in _BEFORE_PICK_UP)


def _stall_view(stall: Stall, now: int) -> View:
    """What was computed from what: no progress since `since`, longer than `limit_s` allows at that milestone."""
    return {
        "since": iso(stall.since * 1000),
        "for_s": max(0, now // 1000 - stall.since),
        "flagged_at": iso(stall.flagged_at),
        "milestone": stall.milestone and stall.milestone.value,
        "limit_s": stall.limit,
    }


def _expected_view(shipment: Shipment) -> View | None:
    start, end = shipment.expected_from, shipment.expected_to
    if not (start or end):
        return None
    return {"from": start and _wall(start), "to": end and _wall(end)}


def change_body(
    kind: ChangeKind, before: Shipment | None, after: Shipment, *, revision: int, now: int, tracking_url: str = ""
) -> bytes:
    """The frozen body of a change: what every receiver gets, byte for byte."""
    view = shipment_view(after, now=now, tracking_url=tracking_url, events=False)
    view["revision"] = revision
    data: View = {
        "shipment": view,
        "revision": revision,
        "previous_status": before and before.status.value,
        "events_added": _views(events_added(before, after)),
        "tracking_url": tracking_url or None,
    }
    if kind is ChangeKind.CORRECTED:
        data["events_corrected"] = [_corrected_view(was, now_is) for was, now_is in events_corrected(before, after)]
    if kind is ChangeKind.MOVING_AGAIN and before and before.document.stall:
        data["was_stalled"] = _stall_view(before.document.stall, now)
    return _message(kind, now, data)


def rendered_anew(
    kind: ChangeKind, shipment: Shipment, *, revision: int, at: int, now: int, tracking_url: str = ""
) -> bytes:
    """The body of a change whose frozen one is gone: the shipment as it stands at `now`, and says so.

    `at` (ms) is when the change was committed. What the commit added is no longer known.
    """
    data: View = {
        "shipment": shipment_view(shipment, now=now, tracking_url=tracking_url, events=False),
        "revision": revision,
        "previous_status": None,
        "events_added": [],
        "tracking_url": tracking_url or None,
        "rendered_anew": True,
    }
    return _message(kind, at, data)


def _message(kind: ChangeKind, at: int, data: View) -> bytes:
    return msgspec.json.encode({"type": f"shipment.{kind.value}", "timestamp": iso(at), "schema": SCHEMA, "data": data})


def _corrected_view(was: Event, now_is: Event) -> View:
    """The event as it is told now, and the meaning that was announced."""
    told = event_view(was)
    return event_view(now_is) | {"was": {name: told[name] for name in _MEANING}}


_MEANING = ("milestone", "label", "reason", "reason_label")


def _views(events: Iterable[Event]) -> list[View]:
    return [event_view(event) for event in events]
