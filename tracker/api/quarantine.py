"""Quarantine: bodies that could not be read, kept whole."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from tracker.accounts import Scope
from tracker.api.models.common import Page
from tracker.api.models.quarantine import QuarantineEntry, QuarantineList, QuarantineView
from tracker.api.problems import not_found
from tracker.api.route import Call, Routes, cursors

routes = Routes("quarantine")

_PAGE = 200


@routes("GET", "/quarantine")
async def list_quarantine(call: Call, query: Page) -> QuarantineList:
    """The bodies in quarantine, newest first."""
    with cursors(query.cursor):
        found, cursor = await call.services.store.quarantined(call.account, query.cursor, query.limit)
    return QuarantineList(quarantine=[_view(id, entry) for id, entry in found], cursor=cursor)


@routes("GET", "/quarantine/{id}")
async def get_quarantined(call: Call, id: str) -> QuarantineView:
    """One body, as it came."""
    cursor = None
    while True:
        found, cursor = await call.services.store.quarantined(call.account, cursor, _PAGE)
        entry = dict(found).get(id)
        if entry is not None:
            return _view(id, entry)
        if cursor is None:
            raise not_found()


@routes("DELETE", "/quarantine/{id}", scope=Scope.WRITE, status=204)
async def delete_quarantined(call: Call, id: str) -> None:
    """Drop a body for good."""
    if not await call.services.store.release(call.account, id):
        raise not_found()


def _view(id: str, entry: bytes) -> QuarantineView:
    return QuarantineView(id=id, entry=cast(QuarantineEntry, read_entry(entry)))


def read_entry(entry: bytes) -> Any:
    """What was kept as JSON, as values."""
    return msgspec.json.decode(entry)
