"""The order in which the connections of a carrier are asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body


class RouteOrder(Body):
    """Over which connections a carrier's parcels are asked for, the first one first."""

    connections: Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(min_length=1, max_length=20)]


class RouteView(TypedDict):
    """The order that the account has set for a carrier."""

    carrier: str
    connections: list[str]


class RouteList(TypedDict):
    routes: list[RouteView]
