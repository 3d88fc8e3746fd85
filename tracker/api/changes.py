"""The feed: every change of an account's shipments, by cursor, so that a reader can prove that it missed none."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tracker.api.models import Change, Changes, ChangesQuery
from tracker.api.problems import CURSOR_TOO_OLD, Refusal
from tracker.api.registering import view_of
from tracker.api.route import Call, Routes, cursors
from tracker.store.types import CursorTooOld, FeedEntry, FeedPage
from tracker.views import iso

routes = Routes("changes")

CLOSING = web.AppKey("closing", asyncio.Event)
_LOOK_AGAIN_S = 1.0  # a wake-up can come between the look and the wait
_BREATH_S = 0.05  # the neighbours' commits wake us too


@routes("GET", "/changes", problems=[CURSOR_TOO_OLD])
async def list_changes(call: Call, query: ChangesQuery) -> Changes:
    """What happened after a cursor, in revision order for each shipment; `wait` holds the answer until there is some.

    Start with `after=now`, or with nothing to read from the oldest kept change; go on with the `cursor` of each answer.
    A cursor from before what is kept is answered 410: take `resync.cursor` from it, list the shipments, then follow
    from that cursor. Changes may come twice around a resync; the revision tells.
    """
    try:
        page = await _page(call, query)
    except CursorTooOld:
        raise await _too_old(call) from None
    changes = Changes(changes=[_change(entry) for entry in page.entries], cursor=page.cursor, more=page.more)
    if query.shipments:
        ids = list(dict.fromkeys(entry.id for entry in page.entries))
        found = await call.services.ingest.get(call.account, ids) if ids else []
        changes["shipments"] = [view_of(call, shipment) for shipment in found if shipment]
    return changes


async def _page(call: Call, query: ChangesQuery) -> FeedPage:
    store = call.services.store
    cursor = await store.head() if query.after == "now" else query.after
    deadline = asyncio.get_running_loop().time() + min(query.wait, call.services.settings.max_wait)
    while True:
        with cursors("after"):
            page = await store.changes(call.account, cursor, query.limit)
        left = deadline - asyncio.get_running_loop().time()
        if page.entries or left <= 0 or _over(call.request):
            return page
        cursor = page.cursor
        await store.wake(min(left, _LOOK_AGAIN_S))
        await asyncio.sleep(min(left, _BREATH_S))


def _over(request: web.Request) -> bool:
    """Whether nobody waits any more: the reader left, or the daemon is stopping."""
    return request.transport is None or request.config_dict[CLOSING].is_set()


async def _too_old(call: Call) -> Refusal:
    resync = {"cursor": await call.services.store.head(), "list": "/v1/shipments"}
    detail = "changes from there are no longer kept: list the shipments, then follow from resync.cursor"
    return Refusal(CURSOR_TOO_OLD, detail, extra={"resync": resync})


def _change(entry: FeedEntry) -> Change:
    return Change(type=f"shipment.{entry.kind}", shipment_id=entry.id, revision=entry.revision, at=iso(entry.at))
