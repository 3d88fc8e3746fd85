"""The console: server-rendered pages for the support desk and the buyer, in 中文 and English."""

from __future__ import annotations

from tracker.console.app import ConsoleSettings, console_app, mount
from tracker.console.services import Found, OrderList, Services, ShipmentList, View

__all__ = ["ConsoleSettings", "Found", "OrderList", "Services", "ShipmentList", "View", "console_app", "mount"]
