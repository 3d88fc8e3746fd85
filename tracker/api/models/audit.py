"""Who did what."""

from __future__ import annotations

from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12


class AuditEntry(TypedDict):
    """One act: a route by its operation's name and its target; `actor` is `api`, `console` or `daemon`."""

    id: str
    at: str
    actor: str
    key: str | None
    address: str | None
    action: str
    target: str | None
    outcome: str
    status: int | None


class AuditList(TypedDict):
    entries: list[AuditEntry]
    cursor: str | None
