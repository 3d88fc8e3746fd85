"""Orders as they come out of the book, and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from tracker.milestones import MILESTONES, STATUSES, Word
from tracker.model import Milestone, Status
from tracker.orders.protocol import OrderUpdate
from tracker.orders.rules import ATTENTION, ORDER_STATUSES, Attention, OrderStatus
from tracker.orders.statement import Line, NamedWaybill, decimal_text


class Order(Struct, frozen=True, kw_only=True):
    """An order with its lines and the latest update of each of its parcels. Times in ms, money in minor units."""

    account: str
    number: str
    status: OrderStatus
    attention: Attention | None
    stated: bool  # a shop stated it; otherwise it is known from registrations alone
    created_at: int
    updated_at: int
    placed_at: int | None = None
    paid_at: int | None = None
    cancelled_at: int | None = None
    currency: str = "CNY"
    total: int | None = None
    shop: str = ""
    warehouse: str = ""
    lines: tuple[Line, ...] = ()
    parcels: tuple[OrderUpdate, ...] = ()  # first registered first


class Placed(Struct, frozen=True):
    """What a put did: the order as it now is, whether it was new, and the waybills that it names, to be registered."""

    order: Order
    created: bool
    waybills: tuple[NamedWaybill, ...]


class OrderQuery(Struct, frozen=True, kw_only=True):
    """Which orders to list. Times in ms, `placed_to` excluded; None or "" asks for everything."""

    status: str | None = None
    paid: bool | None = None
    placed_from: int | None = None
    placed_to: int | None = None
    prefix: str = ""  # of the order number
    needs_attention: bool | None = None
    cursor: str | None = None
    limit: int = 50


class OrderPage(Struct, frozen=True):
    """Orders, newest first; `cursor` leads to the next page, None at the end."""

    orders: tuple[Order, ...]
    cursor: str | None


def order_view(order: Order) -> dict[str, Any]:
    """The order as JSON-ready values: ISO 8601 times, decimal strings for money."""
    return {
        "number": order.number,
        "status": order.status.value,
        "status_label": _label(ORDER_STATUSES[order.status]),
        "needs_attention": _attention(order.attention),
        "placed_at": _iso(order.placed_at),
        "paid_at": _iso(order.paid_at),
        "cancelled_at": _iso(order.cancelled_at),
        "created_at": _iso(order.created_at),
        "updated_at": _iso(order.updated_at),
        "currency": order.currency,
        "total": decimal_text(order.total, order.currency),
        "shop": order.shop,
        "warehouse": order.warehouse,
        "lines": [_line(line, order.currency) for line in order.lines],
        "parcels": [_parcel(parcel) for parcel in order.parcels],
    }


def _label(word: Word) -> dict[str, str]:
    return {"zh": word.zh, "en": word.en}


def _attention(reason: Attention | None) -> dict[str, Any] | None:
    return None if reason is None else {"reason": reason.value, "label": _label(ATTENTION[reason])}


def _line(line: Line, currency: str) -> dict[str, Any]:
    price = decimal_text(line.unit_price, currency)
    return {"name": line.name, "spec": line.spec, "quantity": line.quantity, "price": price}


def _parcel(parcel: OrderUpdate) -> dict[str, Any]:
    return {
        "shipment_id": parcel.shipment,
        "waybill": parcel.waybill,
        "carrier": parcel.carrier,
        "status": parcel.status,
        "status_label": _label(STATUSES[Status(parcel.status)]),
        "status_at": parcel.status_at or None,
        "revision": parcel.revision,
        "picked_up": parcel.picked_up,
        "stalled": parcel.stalled,
        "delivered_at": parcel.delivered_at or None,
        "expected": parcel.expected or None,
        "last_event": _last_event(parcel),
    }


def _last_event(parcel: OrderUpdate) -> dict[str, Any] | None:
    if not parcel.last_milestone:
        return None
    return {
        "occurred_at": parcel.last_at,
        "milestone": parcel.last_milestone,
        "label": _label(MILESTONES[Milestone(parcel.last_milestone)]),
        "description": parcel.last_text,
        "location": parcel.last_location,
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")
