"""An order as its shop states it: the body of `PUT /v1/orders/{number}`, checked and made ready for the book."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from tracker.errors import BadInput

# https://www.iso.org/iso-4217-currency-codes.html: the currencies whose minor unit is not a hundredth
_EXPONENTS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0) | dict.fromkeys(
    ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3
)
_NUMBER = re.compile(r"[^\x00-\x1f\x7f/\\]{1,64}")
_LARGEST = 10**12
_ERROR_AT = re.compile(r" - at `\$\.?(.*)`$")

T = TypeVar("T")

_NO_NUL = "^[^\\x00]*$"  # PostgreSQL's text holds none

Label = Annotated[str, Meta(max_length=128, pattern=_NO_NUL)]
Instant = Annotated[datetime, Meta(tz=True)]


class NamedWaybill(Struct, frozen=True, forbid_unknown_fields=True):
    """A waybill that an order names; `carrier` is a slug, "" lets Milepost tell. The rest is for those that want it."""

    waybill: Annotated[str, Meta(min_length=1, max_length=64)]
    carrier: Annotated[str, Meta(max_length=64)] = ""
    phone_tail: Annotated[str, Meta(max_length=4)] = ""
    postal_code: Annotated[str, Meta(max_length=16)] = ""
    ship_date: Annotated[str, Meta(max_length=10)] = ""


class Line(Struct, frozen=True, kw_only=True):
    """One line of an order; `unit_price` in minor units of the order's currency, None unknown."""

    name: str
    spec: str = ""
    quantity: int = 1
    unit_price: int | None = None


class StatedOrder(Struct, frozen=True, kw_only=True):
    """An order as its shop states it. Times in ms, money in minor units of `currency`."""

    number: str
    placed_at: int | None = None
    paid_at: int | None = None
    cancelled_at: int | None = None
    currency: str = "CNY"
    total: int | None = None
    shop: str = ""
    warehouse: str = ""
    lines: tuple[Line, ...] = ()
    waybills: tuple[NamedWaybill, ...] = ()


class _LineBody(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=512, pattern=_NO_NUL)]
    spec: Annotated[str, Meta(max_length=256, pattern=_NO_NUL)] = ""
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    price: Decimal | None = None


class _OrderBody(Struct, forbid_unknown_fields=True, kw_only=True):
    placed_at: Instant | None = None
    paid_at: Instant | None = None
    cancelled_at: Instant | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "CNY"
    total: Decimal | None = None
    shop: Label = ""
    warehouse: Label = ""
    lines: Annotated[list[_LineBody], Meta(max_length=500)] = []
    waybills: Annotated[list[Any], Meta(max_length=100)] = []


def stated_from(number: str, body: object) -> StatedOrder:
    """Check a decoded JSON body and the number of its URL; raises BadInput that names the field."""
    if not _NUMBER.fullmatch(number) or number != number.strip():
        raise BadInput("number", "1 to 64 characters, no control characters, slashes or spaces around it")
    read = _convert(body, _OrderBody, "")
    return StatedOrder(
        number=number,
        placed_at=_ms(read.placed_at),
        paid_at=_ms(read.paid_at),
        cancelled_at=_ms(read.cancelled_at),
        currency=read.currency,
        total=_minor(read.total, read.currency, "total"),
        shop=read.shop,
        warehouse=read.warehouse,
        lines=_lines(read.lines, read.currency),
        waybills=_waybills(read.waybills),
    )


def exponent(currency: str) -> int:
    """How many decimals an amount of that currency has."""
    return _EXPONENTS.get(currency, 2)


def decimal_text(minor: int | None, currency: str) -> str | None:
    """An amount of minor units as a decimal string: `12990`, `CNY` → `129.90`."""
    return None if minor is None else str(Decimal(minor).scaleb(-exponent(currency)))


def _convert(value: object, kind: type[T], at: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _bad_input(str(error), at) from None


def _bad_input(message: str, at: str) -> BadInput:
    path = _ERROR_AT.search(message)
    inner = path[1] if path else ""
    return BadInput(".".join(filter(None, (at, inner))) or "body", _ERROR_AT.sub("", message))


def _lines(lines: Sequence[_LineBody], currency: str) -> tuple[Line, ...]:
    return tuple(
        Line(
            name=line.name,
            spec=line.spec,
            quantity=line.quantity,
            unit_price=_minor(line.price, currency, f"lines[{place}].price"),
        )
        for place, line in enumerate(lines)
    )


def _waybills(named: Sequence[Any]) -> tuple[NamedWaybill, ...]:
    wanted = ({"waybill": value} if isinstance(value, str) else value for value in named)
    read = (_convert(value, NamedWaybill, f"waybills[{place}]") for place, value in enumerate(wanted))
    return tuple(dict.fromkeys(read))


def _minor(amount: Decimal | None, currency: str, field: str) -> int | None:
    if amount is None:
        return None
    if not amount.is_finite() or not 0 <= amount < _LARGEST:
        raise BadInput(field, f"{amount} is no amount: 0 or more, as a decimal string such as 129.90")
    minor = amount.scaleb(exponent(currency))
    if minor != int(minor):
        raise BadInput(field, f"{amount} has more than the {exponent(currency)} decimals of {currency}")
    return int(minor)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
