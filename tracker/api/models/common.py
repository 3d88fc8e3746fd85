"""What the bodies and answers of several resources are made of."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body, Query

LIMIT_MAX = 200
BATCH_MAX = 1_000

Label = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Tags = Annotated[list[Tag], Len(0, 20)]
Names = Annotated[list[Tag], Len(0, 200)]
Credentials = Annotated[dict[str, Annotated[str, StringConstraints(max_length=8_192)]], Len(0, 32)]
Choices = Annotated[dict[str, Annotated[str, StringConstraints(max_length=128)]], Len(0, 64)]
Cursor = Annotated[
    str,
    StringConstraints(min_length=1, max_length=49_152),  # one of the feed, of 4,096 shards, has 40,000 characters
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9._=-]+$"}),
]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)]


class Words(TypedDict):
    """A word of the vocabulary in both languages."""

    zh: str
    en: str


class Page(Query):
    """A page of a list."""

    cursor: Cursor | None = None
    limit: Limit = 50


class FieldProblem(TypedDict):
    """One wrong field."""

    field: str
    problem: str
    code: str


class CredentialView(TypedDict):
    """One thing that a connection must or may hold."""

    name: str
    about: str
    secret: bool
    required: bool


class AddressRotation(Body):
    """How the address that takes pushes is replaced."""

    overlap_h: Annotated[
        float, Field(ge=0, le=2_160, description="hours in which the old address takes pushes too")
    ] = 24


class AddressMade(TypedDict):
    """A new address for pushes, with a secret in it, shown this once; and until when the old one takes pushes too."""

    webhook_url: str
    overlap_until: str | None
