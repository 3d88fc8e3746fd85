"""The feed, page by page."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Query
from tracker.api.models.common import Cursor
from tracker.api.models.shipments import ShipmentView


class ChangesQuery(Query):
    """Where to go on reading the feed."""

    after: Annotated[Cursor, Field(description="a cursor, `now`, or nothing: from the oldest kept change")] | None = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    wait: Annotated[float, Field(ge=0, le=60, description="seconds to wait for a change")] = 0
    shipments: Annotated[bool, Field(description="add the shipments as they stand now")] = False


class Change(TypedDict):
    """One change, in the feed."""

    type: str
    shipment_id: str
    revision: int
    at: str


class Changes(TypedDict):
    """What happened after the cursor; go on with `cursor`.

    `tally`: how many changes the account has ever had up to the cursor; `tally_before`: up to where the page begins.
    The one less the other is how many changes the page must hold, and a page begins where the last one ended.
    """

    changes: list[Change]
    cursor: str
    more: bool
    tally: int
    tally_before: int
    shipments: NotRequired[list[ShipmentView]]
