"""Order stores: shops and ERPs that are told what became of their orders, each through the adapter of its platform."""

from __future__ import annotations

from tracker.order_stores.destination import OrderStoreDestination
from tracker.order_stores.exit import Exits
from tracker.order_stores.registry import Platforms, load
from tracker.order_stores.stores import KIND, OrderStore, OrderStores, listeners

__all__ = [
    "KIND",
    "Exits",
    "OrderStore",
    "OrderStoreDestination",
    "OrderStores",
    "Platforms",
    "listeners",
    "load",
]
