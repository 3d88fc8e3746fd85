"""Shipment, shipment → what to announce."""

from __future__ import annotations

from tracker.model import (
    ChangeKind,
    Event,
    Shipment,
    Status,
)


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
