"""Bodies that could not be read."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Query


class QuarantineQuery(Query):
    """Whose bodies."""

    carrier: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None


class QuarantineEmptied(TypedDict):
    """How many bodies were dropped, and whether there may be more."""

    dropped: int
    more: bool


class QuarantineEntry(TypedDict, total=False):
    """A body that could not be read: `text` where it is UTF-8, `body` in base64 where it is not. `heard_at` in ms."""

    carrier: str
    source: str
    heard_at: int
    reason: str
    headers: dict[str, str]
    status: int
    text: str
    body: str


class QuarantineView(TypedDict):
    """A body in quarantine."""

    id: str
    entry: QuarantineEntry


class QuarantineList(TypedDict):
    quarantine: list[QuarantineView]
    cursor: str | None
