"""The strip 已揽收 → 转运中心 → 派件中 → 已签收: how far a shipment has come, from its view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from tracker.milestones import STATUSES
from tracker.model import Milestone, Status

M, S = Milestone, Status

_STEPS = ("picked_up", "hub", "out", "delivered")
_STEP_OF = {
    M.PICKED_UP: 0,
    M.HUB_ARRIVED: 1,
    M.HUB_DEPARTED: 1,
    M.IN_TRANSIT: 1,
    M.CUSTOMS_ENTERED: 1,
    M.CUSTOMS_CLEARED: 1,
    M.HANDED_OVER: 1,
    M.AT_DELIVERY_DEPOT: 1,
    M.OUT_FOR_DELIVERY: 2,
    M.DELIVERY_FAILED: 2,
    M.AVAILABLE_FOR_PICKUP: 2,
    M.DELIVERED: 3,
}
_REACHED = {
    S.PENDING: -1,
    S.INFO_RECEIVED: -1,
    S.PICKED_UP: 0,
    S.IN_TRANSIT: 1,
    S.OUT_FOR_DELIVERY: 2,
    S.DELIVERY_FAILED: 2,
    S.AVAILABLE_FOR_PICKUP: 2,
    S.DELIVERED: 3,
    S.RETURNING: 3,
    S.RETURNED: 3,
}
_OWN_WORDS = frozenset({S.DELIVERY_FAILED, S.AVAILABLE_FOR_PICKUP, S.RETURNING, S.RETURNED, S.EXCEPTION})
TONES: dict[str, str] = {
    S.PENDING: "quiet",
    S.INFO_RECEIVED: "quiet",
    S.PICKED_UP: "moving",
    S.IN_TRANSIT: "moving",
    S.OUT_FOR_DELIVERY: "near",
    S.DELIVERY_FAILED: "warn",
    S.AVAILABLE_FOR_PICKUP: "near",
    S.DELIVERED: "good",
    S.EXCEPTION: "bad",
    S.RETURNING: "bad",
    S.RETURNED: "bad",
    S.CANCELLED: "quiet",
    S.EXPIRED: "quiet",
    "stalled": "warn",
    "shop_active": "good",
    "shop_failed": "warn",
    "shop_off": "quiet",
    "shop_unasked": "warn",
    "sub_active": "good",
    "sub_failing": "warn",
    "sub_failed": "warn",
    "sub_paused": "quiet",
    "sub_disabled": "bad",
    "out_done": "good",
    "out_retry": "warn",
    "out_dead": "bad",
    "out_discard": "quiet",
    "out_failed": "warn",
    "out_held": "quiet",
    "awaiting_payment": "quiet",
    "awaiting_shipment": "near",
    "shipped": "moving",
    "completed": "good",
    M.DELAYED: "warn",
    M.NOTE: "quiet",
    M.UNKNOWN: "quiet",
}


class Step(Struct, frozen=True):
    """One node of the strip. `state`: done, current or ahead; `words` replace its usual name, by language."""

    name: str
    state: str
    tone: str
    at: str = ""  # ISO 8601, when it was first reached
    certainty: str = ""
    words: Mapping[str, str] | None = None


def progress(view: Mapping[str, Any]) -> Sequence[Step]:
    """The four steps of a shipment view, or of an order's parcel, which carries no events."""
    status = Status(view["status"])
    events = [event for event in view.get("events", ()) if _counts(event, view)]
    first = _first_reached(events)
    reached = _REACHED.get(status, max(first, default=_without_events(view)))
    return [_step(place, name, reached, status, first.get(place)) for place, name in enumerate(_STEPS)]


def tone(word: str) -> str:
    """The colour in which a status or milestone is shown."""
    return TONES.get(word, "moving")


def _counts(event: Mapping[str, Any], view: Mapping[str, Any]) -> bool:
    leg = view.get("leg", 1)
    # The way back is a leg of its own; the strip shows how far the parcel had come before it turned.
    shown = leg - 1 if leg > 1 and view["status"] in (S.RETURNING, S.RETURNED) else leg
    return not event["stray"] and not event["retracted"] and event["leg"] == shown


def _first_reached(events: Iterable[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    first: dict[int, Mapping[str, Any]] = {}
    for event in events:
        place = _STEP_OF.get(event["milestone"])
        if place is not None:
            first.setdefault(place, event)
    return first


def _without_events(view: Mapping[str, Any]) -> int:
    return 1 if view.get("picked_up") else -1


def _step(place: int, name: str, reached: int, status: Status, event: Mapping[str, Any] | None) -> Step:
    state = "ahead" if place > reached else "current" if place == reached else "done"
    own = state == "current" and status in _OWN_WORDS
    word = STATUSES[status]
    shown = event if state != "ahead" and not own else None  # a step that went wrong has no time of arrival
    return Step(
        name=name,
        state=state,
        tone=tone(status) if state == "current" else "",
        at=shown["occurred_at"] if shown else "",
        certainty=shown["certainty"] if shown else "",
        words={"zh": word.zh, "en": word.en} if own else None,
    )
