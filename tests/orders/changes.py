"""Change bodies as the feed freezes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Change = dict[str, Any]


def change(
    status: str = "in_transit",
    revision: int = 1,
    *,
    kind: str = "",
    order: str = "A-1",
    shipment: str = "shp_01",
    events: Sequence[Mapping[str, Any]] = (),
    added: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> Change:
    """The body of one change of one shipment; `more` overrides fields of its view."""
    view = {
        "id": shipment,
        "waybill": f"SF{shipment[4:]}",
        "carrier": "sf",
        "status": status,
        "status_at": "2026-11-20T10:00:00+08:00",
        "revision": revision,
        "registered_at": "2026-11-19T00:00:00Z",
        "updated_at": f"2026-11-20T00:00:{revision % 60:02}Z",
        "order_number": order,
        "shop": "tmall",
        "warehouse": "HZ-1",
        "stalled": None,
        "expected": None,
        "delivered_at": None,
        "last_event": next((event for event in reversed(events) if not _is_void(event)), None),
    }
    data = {
        "shipment": view | more,
        "revision": revision,
        "previous_status": None,
        "events_added": list(added or events),
    }
    return {"type": f"shipment.{kind or status}", "timestamp": "2026-11-20T00:00:00Z", "data": data}


def _is_void(event: Mapping[str, Any]) -> bool:
    return bool(event["stray"] or event["retracted"])


def scan(milestone: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """One event of a view."""
    event = {
        "occurred_at": "2026-11-20T10:00:00+08:00",
        "milestone": milestone,
        "reason": reason,
        "description": "快件到达【杭州转运中心】",
        "location": "杭州市",
        "stray": False,
        "retracted": False,
    }
    return event | more
