"""Invented shops, goods and orders for the demo."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

SHOPS = ("山茶小铺", "远岸户外", "纸鸢文具")
WAREHOUSES = ("杭州一号仓", "东莞二号仓")
_GOODS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "山茶小铺": (
        ("明前龙井茶", "250g 罐装", "168.00"),
        ("手工桂花糕", "12枚礼盒", "58.80"),
        ("青瓷盖碗", "150ml 天青", "129.00"),
        ("茉莉花茶包", "30袋", "39.90"),
    ),
    "远岸户外": (
        ("轻量三季帐篷", "双人 苔绿", "899.00"),
        ("折叠月亮椅", "沙色", "159.00"),
        ("防水登山背包", "38L 石墨灰", "429.50"),
        ("钛合金水杯", "450ml", "98.00"),
    ),
    "纸鸢文具": (
        ("方格活页本", "A5 3本装", "36.50"),
        ("矿物颜料套装", "24色", "218.00"),
        ("黄铜自动铅笔", "0.5mm", "75.00"),
        ("牛皮纸收纳盒", "大号 2只", "49.90"),
    ),
}


class Sold(Struct, frozen=True):
    """An order of the demo: its number, what the shop states of it, and the plans that its parcels follow."""

    number: str
    body: dict[str, Any]
    plans: tuple[str, ...]


def sell(number: str, plans: tuple[str, ...], *, now: datetime, paid: bool = True, cancelled: bool = False) -> Sold:
    """An order placed some hours before `now` (with an offset); the same number always buys the same goods."""
    dice = random.Random(number)
    shop = dice.choice(SHOPS)
    lines = [_line(dice, *goods) for goods in dice.sample(_GOODS[shop], dice.randint(1, 3))]
    placed = now - timedelta(minutes=dice.randint(90, 1200))
    body: dict[str, Any] = {
        "placed_at": placed.isoformat(timespec="seconds"),
        "lines": lines,
        "total": str(sum((Decimal(line["price"]) * line["quantity"] for line in lines), Decimal())),
        "currency": "CNY",
        "shop": shop,
        "warehouse": dice.choice(WAREHOUSES),
    }
    if paid:
        body["paid_at"] = (placed + timedelta(minutes=dice.randint(1, 20))).isoformat(timespec="seconds")
    if cancelled:
        body["cancelled_at"] = (placed + timedelta(minutes=30)).isoformat(timespec="seconds")
    return Sold(number, body, plans)


def _line(dice: random.Random, name: str, spec: str, price: str) -> dict[str, Any]:
    return {"name": name, "spec": spec, "quantity": dice.randint(1, 3), "price": price}
