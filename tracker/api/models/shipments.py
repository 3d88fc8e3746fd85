"""Shipments: to follow, to look up, and what came of each of a batch."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Len
from pydantic import Field, StringConstraints, field_validator
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body
from tracker.api.models.common import BATCH_MAX, FieldProblem, Label, Page, Tags, Words
from tracker.model import Certainty, Milestone, Reason, Status


class NewShipment(Body):
    """A waybill to follow."""

    waybill: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    carrier: Annotated[str, Field(max_length=64, description="a slug; left out, the number must tell clearly")] = ""
    order_number: Label = ""
    shop: Label = ""
    warehouse: Label = ""
    tags: Tags = Field(default_factory=list)
    phone_tail: Annotated[str, StringConstraints(pattern=r"^([0-9]{4})?$")] = ""
    postal_code: Annotated[str, StringConstraints(max_length=16, pattern=r"^[A-Za-z0-9 -]*$")] = ""
    ship_date: Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")] = ""
    connection: Annotated[str, StringConstraints(max_length=64)] = ""
    paused: bool = False

    @field_validator("ship_date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        if value:
            date.fromisoformat(value)
        return value


class NewShipments(Body):
    """Up to 1,000 waybills; each item is checked and answered by itself."""

    shipments: Annotated[list[Any], Len(1, BATCH_MAX)] = Field(
        json_schema_extra={"items": {"$ref": "#/components/schemas/NewShipment"}}
    )


class ShipmentPatch(Body):
    """What to change; what is left out stays."""

    order_number: Label | None = None
    shop: Label | None = None
    warehouse: Label | None = None
    tags: Tags | None = None
    paused: bool = False
    carrier: Annotated[str, StringConstraints(min_length=1, max_length=64)] = ""


class StalledQuery(Page):
    """Which stalled shipments."""

    carrier: Label | None = None
    shop: Label | None = None
    warehouse: Label | None = None
    tag: Label | None = None


class ShipmentQuery(StalledQuery):
    """Which shipments."""

    status: Status | None = None
    stalled: bool | None = None
    order_number: Annotated[Label, Field(min_length=1)] | None = None
    waybill: Annotated[Label, Field(min_length=1)] | None = None


class Stalled(TypedDict):
    """No progress `since`, for longer than `limit_s` allows at that milestone."""

    since: str
    for_s: int
    flagged_at: str
    milestone: Milestone | None
    limit_s: int


Expected = TypedDict("Expected", {"from": str | None, "to": str | None})


class Event(TypedDict):
    """One event of a timeline."""

    occurred_at: str
    certainty: Certainty
    milestone: Milestone
    label: Words
    reason: Reason | None
    reason_label: Words | None
    code: str | None
    description: str | None
    location: str | None
    sources: list[str]
    heard_at: str
    leg: int
    stray: bool
    retracted: bool
    summary: bool


class ShipmentView(TypedDict):
    """A shipment; with its events where one is asked for."""

    id: str
    waybill: str
    carrier: str
    status: Status
    status_label: Words
    status_at: str | None
    leg: int
    picked_up: bool
    revision: int
    registered_at: str
    updated_at: str
    order_number: str | None
    shop: str | None
    warehouse: str | None
    tags: list[str]
    paused: bool
    stalled: Stalled | None
    delayed: bool
    expected: Expected | None
    signed_by: str | None
    delivered_at: str | None
    aliases: list[str]
    tracking_url: str | None
    last_event: Event | None
    events: NotRequired[list[Event]]


class ItemResult(TypedDict):
    """What became of one item of a batch: `created`, `existing` or `failed`."""

    index: int
    result: Literal["created", "existing", "failed"]
    shipment: ShipmentView | None
    errors: list[FieldProblem]


class BatchResult(TypedDict):
    """What became of a batch, item by item."""

    created: int
    existing: int
    failed: int
    results: list[ItemResult]


class ShipmentList(TypedDict):
    """A page of shipments. It may hold fewer than `limit`, even none: only a null `cursor` is the end."""

    shipments: list[ShipmentView]
    cursor: str | None


class Timeline(TypedDict):
    """The events of a shipment in the order in which they happened."""

    id: str
    waybill: str
    carrier: str
    status: Status
    status_label: Words
    revision: int
    events: list[Event]


class Counts(TypedDict):
    """How many shipments stand where."""

    counts: dict[str, int]
