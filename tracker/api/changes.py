"""The feed: every change of an account's shipments, by cursor, so that a reader can prove that it missed none."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from tracker.api.checking import cursors
from tracker.api.models.changes import Change, Changes, ChangesQuery
from tracker.api.models.shipments import ShipmentView
from tracker.api.problems import CURSOR_TOO_OLD, RATE_LIMITED, Refusal
from tracker.api.registering import view_of
from tracker.api.route import EVENT_STREAM, Call, Routes
from tracker.store.tips import Tip
from tracker.store.types import CursorTooOld, FeedEntry, FeedPage, StoreDown
from tracker.views import iso

routes = Routes("changes")

_BEGIN = ("after", "say `now`")  # where a cursor is asked for, and how to do without one
CLOSING = web.AppKey("closing", asyncio.Event)
READERS = web.AppKey("readers", Counter[str])  # who waits, in streams and in long polls, by account
_READERS_MOST = 32  # of an account, in this process
_HEARTBEAT_S = 15.0  # so that nobody between us takes a quiet stream for a dead one
_WRITTEN_WITHIN_S = 10.0  # a reader that takes longer for one page is let go, and comes again from its cursor
_KEY_AGAIN_S = 30.0  # a key that was ended ends its streams
_RETRY_MS = 2_000  # a reader waits so long before it comes again
_THERE_AGAIN_S = 1.0  # between two looks whether the reader is still there


async def stream_changes(call: Call, query: ChangesQuery) -> web.StreamResponse:
    """Server-sent events: each change under its type, with `shipments` the shipment too, and after each page an event
    `cursor` with cursor and tallies, whose id is the cursor. `Last-Event-ID` counts before `after`. An event `resync`
    ends a stream whose cursor is no longer kept."""
    last = call.request.headers.get("Last-Event-ID", "")
    return await Stream(call, query.model_copy(update={"after": last} if last else {})).run()


@routes("GET", "/changes", problems=[CURSOR_TOO_OLD], stream=stream_changes, waits=True)
async def list_changes(call: Call, query: ChangesQuery) -> Changes:
    """What happened after a cursor, in revision order for each shipment; `wait` holds the answer until there is some.

    Start with `after=now`, or with nothing to read from the oldest kept change; go on with the `cursor` of each answer.
    A cursor from before what is kept is answered 410: take `resync.cursor` from it, list the shipments, then follow
    from that cursor. Changes may come twice around a resync; the revision tells.
    """
    try:
        page = await (_waited(call, query) if query.wait else _page(call, query))
    except CursorTooOld:
        raise await _too_old(call) from None
    changes = Changes(
        changes=[_change(entry) for entry in page.entries],
        cursor=page.cursor,
        more=page.more,
        tally=page.tally,
        tally_before=page.tally_before,
    )
    if query.shipments:
        async with call.services.bounds.turns.of(call.account):
            changes["shipments"] = list((await _shipments(call, page)).values())
    return changes


async def _page(call: Call, query: ChangesQuery) -> FeedPage:
    with cursors(query.after, *_BEGIN):
        async with call.services.bounds.turns.of(call.account):
            return await call.services.store.changes(call.account, await _start(call, query), query.limit)


async def _waited(call: Call, query: ChangesQuery) -> FeedPage:
    clock = asyncio.get_running_loop().time
    deadline = clock() + min(query.wait, call.services.settings.max_wait)
    with _reading(call) as tip:
        with cursors(query.after, *_BEGIN):
            page = await tip.join(await _start(call, query), query.limit)
        while not (page.entries or _over(call.request)) and (left := deadline - clock()) > 0:
            page = await tip.after(page, query.limit, min(left, _THERE_AGAIN_S)) or page
    return page


async def _start(call: Call, query: ChangesQuery) -> str | None:
    return await call.services.store.head() if query.after == "now" else query.after


@contextmanager
def _reading(call: Call) -> Iterator[Tip]:
    """One that waits at the end of the account's feed; a page is written for each, so that they are not many."""
    readers = call.request.config_dict[READERS]
    if readers[call.account] >= _READERS_MOST:
        detail = f"{_READERS_MOST} readers of this account wait already: let one go"
        raise Refusal(RATE_LIMITED, detail, headers={"Retry-After": "60"})
    readers[call.account] += 1
    try:
        with call.services.store.following(call.account) as tip:
            yield tip
    finally:
        readers[call.account] -= 1


def _over(request: web.Request) -> bool:
    """Whether nobody waits any more: the reader left, or the daemon is stopping."""
    return request.transport is None or request.config_dict[CLOSING].is_set()


class Stream:
    """One reader of the feed that stays. It is let go when the daemon stops, its key ends, or it does not read."""

    def __init__(self, call: Call, query: ChangesQuery) -> None:
        self._call, self._query = call, query
        self._response = web.StreamResponse(headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-store"})

    async def run(self) -> web.StreamResponse:
        """Answer until it ends. Raises Refusal where it can't begin."""
        with _reading(self._call) as tip:
            return await self._run(tip)

    async def _run(self, tip: Tip) -> web.StreamResponse:
        try:
            with cursors(self._query.after, *_BEGIN):
                page = await tip.join(await _start(self._call, self._query), self._query.limit)
        except CursorTooOld:
            raise await _too_old(self._call) from None
        try:
            await self._response.prepare(self._call.request)
            await self._send(f"retry: {_RETRY_MS}\n\n")
            await self._follow(tip, page)
        except (ConnectionError, TimeoutError, StoreDown):
            if self._call.request.transport is not None:
                self._call.request.transport.abort()  # it reads no more; one that is there comes again by itself
        return self._response

    async def _follow(self, tip: Tip, page: FeedPage) -> None:
        clock = asyncio.get_running_loop().time
        said = known = clock()
        await self._send(await self._written(page))
        while not _over(self._call.request):
            if clock() - known > _KEY_AGAIN_S:
                known = clock()
                if not await self._still_known():
                    return
            try:
                after = await tip.after(page, self._query.limit, _THERE_AGAIN_S)
            except CursorTooOld:
                await self._send(_event("resync", await _resync(self._call)))
                return
            page = after or page
            if after and after.entries:
                await self._send(await self._written(after))
            elif clock() - said > _HEARTBEAT_S:
                await self._send(": nothing new\n\n")
            else:
                continue
            said = clock()

    async def _still_known(self) -> bool:
        _, _, key = self._call.request.headers.get("Authorization", "").partition(" ")
        return await self._call.services.accounts.authenticate(key.strip()) is not None

    async def _written(self, page: FeedPage) -> str:
        shipments = await _shipments(self._call, page) if self._query.shipments else {}
        events = []
        for entry in page.entries:
            told: dict[str, Any] = {**_change(entry)}
            if self._query.shipments:
                told["shipment"] = shipments.get(entry.id)
            events.append(_event(told["type"], told))
        told = {"cursor": page.cursor, "tally": page.tally, "tally_before": page.tally_before}
        return "".join(events) + _event("cursor", told, id=page.cursor)

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(_WRITTEN_WITHIN_S):
            await self._response.write(text.encode())


def _event(name: str, data: Any, *, id: str = "") -> str:
    named = f"id: {id}\n" if id else ""
    return f"event: {name}\n{named}data: {msgspec.json.encode(data).decode()}\n\n"


async def _shipments(call: Call, page: FeedPage) -> dict[str, ShipmentView]:
    """The page's shipments as they stand now, by id."""
    ids = list(dict.fromkeys(entry.id for entry in page.entries))
    found = await call.services.ingest.get(call.account, ids) if ids else []
    return {shipment.document.id: view_of(call, shipment) for shipment in found if shipment}


async def _resync(call: Call) -> dict[str, str]:
    """How one whose cursor is too old catches up."""
    return {"cursor": await call.services.store.head(), "list": "/v1/shipments"}


async def _too_old(call: Call) -> Refusal:
    resync = await _resync(call)
    detail = "changes from there are no longer kept: list the shipments, then follow from resync.cursor"
    return Refusal(CURSOR_TOO_OLD, detail, extra={"resync": resync})


def _change(entry: FeedEntry) -> Change:
    return Change(type=f"shipment.{entry.kind}", shipment_id=entry.id, revision=entry.revision, at=iso(entry.at))
