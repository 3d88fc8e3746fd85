"""What was sent and what could not be, and sending it again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body, Query
from tracker.api.models.common import BATCH_MAX, Cursor, Limit


class Repeat(Body):
    """From where to send an account's changes again: a time, or a cursor of GET /v1/changes."""

    since: Annotated[str, Field(description="ISO 8601 with offset")] | None = None
    after: Annotated[Cursor, Field(description="a cursor; that of the answer before, to go on")] | None = None
    limit: Annotated[int, Field(ge=1, le=BATCH_MAX)] = 500


class DeliveryQuery(Query):
    """How many attempts to show."""

    limit: Limit = 50


class Replay(Body):
    """Which dead letters to send again."""

    ids: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=128)]], Len(1, BATCH_MAX)]


class DeadLetterView(TypedDict):
    """A change that could not be delivered; `body` is what would have been sent. `shipment_id` is null for a notice."""

    id: str
    destination: str
    shipment_id: str | None
    revision: int
    type: str
    attempts: int
    died_at: str
    detail: str
    body: Any


class DeadLetterList(TypedDict):
    dead_letters: list[DeadLetterView]
    cursor: str | None


class Replayed(TypedDict):
    """How many of the named dead letters went back into their lanes."""

    replayed: int


class Recovered(TypedDict):
    """How many dead letters went back into their lanes; `more`: ask again."""

    replayed: int
    more: bool


class Repeated(TypedDict):
    """What became of the changes: sent with the `kept` body or a `rendered` one, `waiting` anyway, or `lost`.

    Where there is `more`, go on with `after=cursor`.
    """

    kept: int
    rendered: int
    waiting: int
    lost: int
    cursor: str
    more: bool


class Resent(TypedDict):
    """What became of one message: `kept`, `rendered`, `waiting` or `lost`, as of a repetition."""

    result: Literal["kept", "rendered", "waiting", "lost"]


class DeliveryView(TypedDict):
    """One attempt to deliver a change. `id` is its `webhook-id`; `status` is null where no answer came.

    `response` is the beginning of the answer; `shipment_id` is null for a notice. `next_at`: where the `outcome` is
    `retry`, it is not tried again before. A `test` that was not accepted has `failed`: it is not tried again.
    """

    at: str
    id: str
    type: str
    shipment_id: str | None
    revision: int
    attempt: int
    outcome: Literal["done", "retry", "dead", "discard", "failed"]
    status: int | None
    latency_ms: float
    error: str | None
    response: str | None
    next_at: str | None
    test: bool


class DeliveryList(TypedDict):
    """The latest attempts of a subscription, newest first."""

    deliveries: list[DeliveryView]
