"""Whose a number may be."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Query


class DetectQuery(Query):
    """Whose numbers are asked for."""

    number: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Len(1, 100)]


class CandidateView(TypedDict):
    """A carrier whose number it may be; `confidence` from 0 to 1."""

    carrier: str
    confidence: float


class Detection(TypedDict):
    """Whose a number may be, the likeliest first."""

    number: str
    candidates: list[CandidateView]


class DetectionList(TypedDict):
    """In the order in which the numbers were asked for."""

    detections: list[Detection]
