"""The demo's orders are orders as the book takes them."""

from __future__ import annotations

from datetime import UTC, datetime

from tracker.demo.goods import SHOPS, sell
from tracker.orders import stated_from

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


def test_the_book_takes_every_order_and_its_lines_add_up() -> None:
    for place in range(60):
        sold = sell(f"D{place}", ("DLV",), now=NOW)
        order = stated_from(sold.number, {**sold.body, "waybills": [{"waybill": "SIMDLV", "carrier": "simulated"}]})
        assert order.total == sum((line.unit_price or 0) * line.quantity for line in order.lines)
        assert order.placed_at is not None
        assert order.paid_at is not None
        assert order.placed_at < order.paid_at < NOW.timestamp() * 1000
        assert order.shop in SHOPS


def test_an_unpaid_order_says_nothing_of_a_payment_and_a_cancelled_one_says_when() -> None:
    assert stated_from("D1", sell("D1", (), now=NOW, paid=False).body).paid_at is None
    assert stated_from("D1", sell("D1", (), now=NOW, cancelled=True).body).cancelled_at is not None
