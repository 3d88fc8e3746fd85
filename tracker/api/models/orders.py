"""Orders as their shops state them, and with their parcels."""

from __future__ import annotations

from typing import Annotated, NotRequired

from annotated_types import Len
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body
from tracker.api.models.common import Label, Page, Words
from tracker.api.models.shipments import Event, ItemResult
from tracker.model import Milestone, Status
from tracker.orders import OrderStatus


class OrdersQuery(Page):
    """Which orders."""

    status: OrderStatus | None = None
    paid: bool | None = None
    placed_from: Annotated[str, Field(description="ISO 8601 with offset")] | None = None
    placed_to: Annotated[str, Field(description="ISO 8601 with offset, excluded")] | None = None
    number: Annotated[Label, Field(description="the beginning of the order number")] = ""
    needs_attention: bool | None = None


Money = Annotated[str | float, Field(description="a decimal string, `129.90`, or a number")]


class WaybillBody(Body):
    """A waybill that an order names, with what its carrier wants to be told besides; as in a registration."""

    waybill: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    carrier: Annotated[str, StringConstraints(max_length=64)] = ""
    phone_tail: Annotated[str, StringConstraints(max_length=4)] = ""
    postal_code: Annotated[str, StringConstraints(max_length=16)] = ""
    ship_date: Annotated[str, StringConstraints(max_length=10)] = ""


class LineBody(Body):
    """One line of an order; `price` is that of one piece."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    spec: Annotated[str, StringConstraints(max_length=256)] = ""
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    price: Money | None = None


class OrderBody(Body):
    """An order as its shop states it. Times are ISO 8601 with an offset; a waybill may stand with its carrier."""

    placed_at: str | None = None
    paid_at: str | None = None
    cancelled_at: str | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "CNY"
    total: Money | None = None
    shop: Label = ""
    warehouse: Label = ""
    lines: Annotated[list[LineBody], Len(0, 500)] = Field(default_factory=list)
    waybills: Annotated[list[str | WaybillBody], Len(0, 100)] = Field(default_factory=list)


class Attention(TypedDict):
    """Why a person must look at an order."""

    reason: str
    label: Words


class OrderLine(TypedDict):
    name: str
    spec: str
    quantity: int
    price: str | None


class ParcelEvent(TypedDict):
    occurred_at: str
    milestone: Milestone
    label: Words
    description: str
    location: str


class Parcel(TypedDict):
    """A parcel of an order; its timeline where one order is asked for."""

    shipment_id: str
    waybill: str
    carrier: str
    status: Status
    status_label: Words
    status_at: str | None
    revision: int
    picked_up: bool
    stalled: bool
    delivered_at: str | None
    expected: str | None
    last_event: ParcelEvent | None
    events: NotRequired[list[Event]]


class OrderView(TypedDict):
    """An order with its lines and parcels. Money is a decimal string of `currency`."""

    number: str
    status: OrderStatus
    status_label: Words
    needs_attention: Attention | None
    placed_at: str | None
    paid_at: str | None
    cancelled_at: str | None
    created_at: str
    updated_at: str
    currency: str
    total: str | None
    shop: str
    warehouse: str
    lines: list[OrderLine]
    parcels: list[Parcel]


class OrderPut(TypedDict):
    """The order as it now is, and what became of the waybills that it names."""

    order: OrderView
    shipments: list[ItemResult]


class OrderList(TypedDict):
    orders: list[OrderView]
    cursor: str | None
