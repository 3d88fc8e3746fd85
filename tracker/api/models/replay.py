"""What is stored, read again by the tables of today."""

from __future__ import annotations

from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.model import Milestone, Reason, Status


class Meaning(TypedDict):
    """What a scan is taken to mean."""

    milestone: Milestone
    reason: Reason | None


CorrectedStatus = TypedDict("CorrectedStatus", {"was": Status, "is": Status})
CorrectedEvent = TypedDict(
    "CorrectedEvent",
    {"occurred_at": str, "code": str | None, "description": str | None, "was": Meaning, "is": Meaning},
)


class CorrectionView(TypedDict):
    """A shipment that reads otherwise today: what it was and what it is."""

    shipment_id: str
    waybill: str
    carrier: str
    status: CorrectedStatus
    events: list[CorrectedEvent]


class RereadQuarantine(TypedDict):
    """The bodies of the quarantine that can be read now, by id, and how many still can't."""

    read: list[str]
    unreadable: int


class ReplayPage(TypedDict):
    """What one page of a replay changed, or with `dry_run` would change. A null `cursor` is the end."""

    account: str
    dry_run: bool
    looked_at: int
    corrections: list[CorrectionView]
    quarantine: RereadQuarantine
    cursor: str | None
