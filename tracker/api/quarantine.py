"""Quarantine: bodies that could not be read, kept whole."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

from tracker.accounts import Scope
from tracker.api.checking import cursors
from tracker.api.models.common import Page
from tracker.api.models.quarantine import (
    QuarantineEmptied,
    QuarantineEntry,
    QuarantineList,
    QuarantineQuery,
    QuarantineView,
)
from tracker.api.problems import not_found
from tracker.api.route import Call, Routes

routes = Routes("quarantine")

_PAGE = 200
_DROPPED = 1_000


@routes("GET", "/quarantine")
async def list_quarantine(call: Call, query: Page) -> QuarantineList:
    """The bodies in quarantine, newest first."""
    with cursors(query.cursor):
        found, cursor = await call.services.store.quarantined(call.account, query.cursor, query.limit)
    return QuarantineList(quarantine=[_view(id, entry) for id, entry in found], cursor=cursor)


@routes("GET", "/quarantine/{id}")
async def get_quarantined(call: Call, id: str) -> QuarantineView:
    """One body, as it came."""
    entry = await call.services.store.quarantined_body(call.account, id)
    if entry is None:
        raise not_found()
    return _view(id, entry)


@routes("DELETE", "/quarantine", scope=Scope.WRITE)
async def empty_quarantine(call: Call, query: QuarantineQuery) -> QuarantineEmptied:
    """Drop up to 1,000 bodies for good, of one carrier or of all; `more`: ask again."""
    cursor, dropped = None, 0
    while dropped < _DROPPED:
        found, cursor = await call.services.store.quarantined(call.account, cursor, _PAGE)
        ids = [id for id, entry in found if query.carrier in (None, read_entry(entry).get("carrier"))]
        dropped += sum(await asyncio.gather(*[call.services.store.release(call.account, id) for id in ids]))
        if cursor is None:
            return QuarantineEmptied(dropped=dropped, more=False)
    return QuarantineEmptied(dropped=dropped, more=True)


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
