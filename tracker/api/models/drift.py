"""What carriers say and nothing covers."""

from __future__ import annotations

from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.drift.kinds import DriftKind


class DriftView(TypedDict):
    """Something that a carrier said and nothing covers. `key` is the code, or a fingerprint; null: the rest, beyond the
    limit. `text` is an example, phone numbers masked, or the new paths of a shape."""

    carrier: str
    kind: DriftKind
    key: str | None
    count: int
    first_at: str
    last_at: str
    text: str | None
    shipment_id: str | None
    account: str | None


class DriftList(TypedDict):
    drift: list[DriftView]
    total: int
