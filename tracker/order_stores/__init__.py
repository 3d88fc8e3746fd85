"""Order stores: shops and ERPs that are told what became of their orders, each through the adapter of its platform."""

from __future__ import annotations

from tracker.order_stores.backfill import Backfill, BackfillSettings
from tracker.order_stores.destination import OrderStoreDestination
from tracker.order_stores.exit import Exits
from tracker.order_stores.order_store import OrderStore
from tracker.order_stores.registry import Platforms, load
from tracker.order_stores.sealing import listeners
from tracker.order_stores.stores import KIND, OrderStores
from tracker.order_stores.watermarks import Watermark, Watermarks

__all__ = [
    "KIND",
    "Backfill",
    "BackfillSettings",
    "Exits",
    "OrderStore",
    "OrderStoreDestination",
    "OrderStores",
    "Platforms",
    "Watermark",
    "Watermarks",
    "listeners",
    "load",
]
