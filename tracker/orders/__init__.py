"""The order store: what became of an order, told from all its parcels."""

from __future__ import annotations

from tracker.orders.destination import Answer, OrderDestination
from tracker.orders.protocol import OrderStore, OrderUpdate, update_from
from tracker.orders.rules import ATTENTION, ORDER_STATUSES, Attention, OrderStatus
from tracker.orders.sql import OrderBook, OrderSettings, open_book
from tracker.orders.statement import Line, NamedWaybill, StatedOrder, stated_from
from tracker.orders.views import Order, OrderPage, OrderQuery, Placed, order_view

__all__ = [
    "ATTENTION",
    "ORDER_STATUSES",
    "Answer",
    "Attention",
    "Line",
    "NamedWaybill",
    "Order",
    "OrderBook",
    "OrderDestination",
    "OrderPage",
    "OrderQuery",
    "OrderSettings",
    "OrderStatus",
    "OrderStore",
    "OrderUpdate",
    "Placed",
    "StatedOrder",
    "open_book",
    "order_view",
    "stated_from",
    "update_from",
]
