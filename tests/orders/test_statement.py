"""The body of `PUT /v1/orders/{number}`."""

from __future__ import annotations

from typing import Any

import pytest

from tracker.errors import BadInput
from tracker.orders import NamedWaybill, stated_from

BODY: dict[str, Any] = {
    "placed_at": "2026-11-11T00:00:01+08:00",
    "paid_at": "2026-11-11T00:01:00+08:00",
    "currency": "CNY",
    "total": "129.90",
    "shop": "tmall",
    "lines": [{"name": "保温杯", "spec": "白色 500ml", "quantity": 2, "price": "64.95"}],
    "waybills": ["SF1000000000001", {"waybill": "ZT2", "carrier": "zto"}, "SF1000000000001"],
}


def test_an_order_is_read_with_its_money_in_minor_units() -> None:
    order = stated_from("A-1", BODY)
    assert (order.total, order.lines[0].unit_price, order.lines[0].quantity) == (12_990, 6_495, 2)
    assert order.paid_at is not None and order.placed_at is not None
    assert order.paid_at - order.placed_at == 59_000


def test_waybills_are_named_once_each_with_or_without_their_carrier() -> None:
    assert stated_from("A-1", BODY).waybills == (NamedWaybill("SF1000000000001"), NamedWaybill("ZT2", "zto"))


@pytest.mark.parametrize(
    ("currency", "total", "minor"),
    [("JPY", "1980", 1980), ("KWD", "1.234", 1234), ("EUR", 5, 500)],
)
def test_each_currency_has_its_own_decimals(currency: str, total: object, minor: int) -> None:
    assert stated_from("A-1", {"currency": currency, "total": total}).total == minor


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"total": "1.999"}, "total"),
        ({"total": "NaN"}, "total"),
        ({"total": "-1"}, "total"),
        ({"total": "1E+999999"}, "total"),
        ({"currency": "yuan"}, "currency"),
        ({"placed_at": "2026-11-11T00:00:01"}, "placed_at"),
        ({"placed_at": "yesterday"}, "placed_at"),
        ({"lines": [{"name": "x"}, {"name": "x", "quantity": 0}]}, "lines[1].quantity"),
        ({"lines": [{"name": "x", "price": "0.001"}]}, "lines[0].price"),
        ({"waybills": ["SF1", 7]}, "waybills[1]"),
        ({"waybills": [""]}, "waybills[0].waybill"),
        ({"color": "red"}, "body"),
        ({"shop": 5}, "shop"),
        ({"shop": "north\0"}, "shop"),
        ({"lines": [{"name": "tea\0"}]}, "lines[0].name"),
    ],
)
def test_a_bad_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        stated_from("A-1", BODY | change)
    assert refused.value.field == field


@pytest.mark.parametrize("number", ["", " A", "A/1", "A\n1", "x" * 65])
def test_a_bad_number_is_refused(number: str) -> None:
    with pytest.raises(BadInput, match="number"):
        stated_from(number, BODY)


@pytest.mark.parametrize("body", [None, [], "x", 1])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(BadInput):
        stated_from("A-1", body)
