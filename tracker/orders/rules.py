"""An order's status and whether a person must look at it: pure functions of its parcels."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from tracker.milestones import Word
from tracker.model import Status
from tracker.orders.protocol import OrderUpdate


class OrderStatus(StrEnum):
    """Where an order stands."""

    AWAITING_PAYMENT = "awaiting_payment"
    AWAITING_SHIPMENT = "awaiting_shipment"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Attention(StrEnum):
    """Why a person must look at an order."""

    LOST = "lost"
    RETURNED = "returned"
    RETURNING = "returning"
    OVERDUE = "overdue"


ORDER_STATUSES: dict[OrderStatus, Word] = {
    OrderStatus.AWAITING_PAYMENT: Word("待付款", "Awaiting payment", "Placed, not paid"),
    OrderStatus.AWAITING_SHIPMENT: Word("待发货", "Awaiting shipment", "Paid; no parcel has been picked up yet"),
    OrderStatus.SHIPPED: Word("已发货", "Shipped", "At least one parcel has been picked up"),
    OrderStatus.COMPLETED: Word("已完成", "Completed", "Every parcel is with the recipient"),
    OrderStatus.CANCELLED: Word("已取消", "Cancelled", "Called off"),
}

ATTENTION: dict[Attention, Word] = {
    Attention.LOST: Word("包裹遗失", "A parcel is lost", "The carrier lost or destroyed a parcel"),
    Attention.RETURNED: Word("包裹已退回", "A parcel was returned", "A parcel is back with the sender"),
    Attention.RETURNING: Word("包裹退回中", "A parcel is coming back", "A parcel is on its way back to the sender"),
    Attention.OVERDUE: Word("超时未发货", "Shipment overdue", "Paid, and waiting too long for its first pick-up"),
}


def status_of(parcels: Sequence[OrderUpdate], *, unpaid: bool, cancelled: bool) -> OrderStatus:
    """The status of an order with these parcels; `unpaid` where a shop said that it is not paid."""
    live = [parcel for parcel in parcels if parcel.status != Status.CANCELLED]
    if cancelled:
        return OrderStatus.CANCELLED
    if live and all(parcel.delivered for parcel in live):
        return OrderStatus.COMPLETED
    if any(parcel.picked_up for parcel in live):
        return OrderStatus.SHIPPED
    return OrderStatus.AWAITING_PAYMENT if unpaid else OrderStatus.AWAITING_SHIPMENT


def attention_of(parcels: Sequence[OrderUpdate]) -> Attention | None:
    """The gravest thing that became of a parcel."""
    if any(parcel.lost for parcel in parcels):
        return Attention.LOST
    if any(parcel.returned for parcel in parcels):
        return Attention.RETURNED
    if any(parcel.status == Status.RETURNING for parcel in parcels):
        return Attention.RETURNING
    return None
