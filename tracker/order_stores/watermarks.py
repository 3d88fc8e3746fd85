"""Up to where each order store was asked what its platform did not push: a record of each, one worker at a time.

A worker takes a record for some minutes and writes it anew with each page. It is written only over what was seen of
it, so who was too slow, or was overtaken by somebody who asks for more, writes nothing and stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from tracker.order_stores.order_store import OrderStore
from tracker.order_stores.stores import KIND, WATERMARK

LEASE_MS = 120_000  # longer than a page takes

log = structlog.get_logger()


class Watermark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the asking of one order store stands. Times in ms; `since` and `seen` are by the platform's clock."""

    since: int  # orders that were updated from then on are asked for in this round, or in the next
    cursor: str = ""  # the page that this round goes on with; "": none is under way
    seen: int = 0  # the latest update of an order that this round saw
    again_at: int = 0  # when to go on, where that is not a matter of the usual interval
    tried_at: int = 0  # when the last attempt ended
    done_at: int = 0  # when the last round came to its end
    held_until: int = 0  # a worker is at it
    found: int = 0  # waybills in this round, or in the last one
    registered: int = 0  # of them were not followed before
    failed: int = 0  # of them can't be followed: they are in quarantine
    problem: str = ""  # why the last attempt failed

    def held(self, now: int) -> bool:
        """Whether a worker is at it; a lease that ends later than any can was given by a clock that was put back."""
        return now < self.held_until <= now + LEASE_MS


class Records(Protocol):
    """What watermarks need of the store."""

    async def put_record(self, kind: str, account: str, id: str, value: bytes, *, create: bool = False) -> bool: ...
    async def replace_record(
        self, kind: str, account: str, id: str, value: bytes, *, seen: bytes | None = None
    ) -> bool: ...
    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def records_version(self, kind: str) -> int: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...


class Watermarks:
    """The watermarks of all order stores. Errors: StoreDown, and Gone for an account that was deleted."""

    def __init__(self, store: Records) -> None:
        self._store = store
        self._version = -1
        self._kept: dict[tuple[str, str], Watermark] = {}

    async def all(self) -> Mapping[tuple[str, str], Watermark]:
        """Every watermark, by account and order store; read again only where one has changed."""
        version = await self._store.records_version(WATERMARK)
        if version != self._version:
            self._kept = _read(await self._store.records(WATERMARK))
            self._version = version  # read first: what is held is at least as new as it says
        return self._kept

    async def of(self, account: str) -> Mapping[str, Watermark]:
        """The watermarks of an account, by order store."""
        return {id: one for (_, id), one in _read(await self._store.records(WATERMARK, account)).items()}

    async def take(self, store: OrderStore, *, since: int, now: int) -> Watermark | None:
        """Hold an order store's watermark, which begins at `since` where there is none; None: somebody has it."""
        kept = await self._store.get_record(WATERMARK, store.account, store.id)
        was = _mark(store.id, kept)
        if was is not None and was.held(now):
            return None
        taken = structs.replace(was or Watermark(since=since), held_until=now + LEASE_MS)
        return taken if await self._write(store, taken, kept) else None

    async def keep(self, store: OrderStore, seen: Watermark, new: Watermark) -> bool:
        """Write it over what was seen of it; False where it is not that any more."""
        return await self._write(store, new, msgspec.json.encode(seen))

    async def ask(self, store: OrderStore, *, first: int, since: int | None, now: int) -> Watermark:
        """Have an order store asked at once: from where it stands (`first`, where it was never asked), or from `since`
        where that is earlier. A round that is under way is given up for one that begins earlier."""
        while True:
            kept = await self._store.get_record(WATERMARK, store.account, store.id)
            was = _mark(store.id, kept) or Watermark(since=first)
            asked = structs.replace(was, again_at=now)
            if since is not None and since < was.since:
                asked = structs.replace(asked, since=since, cursor="", seen=0, held_until=0)
            elif was.held(now):
                return was
            if await self._write(store, asked, kept):
                return asked

    async def forget_if_gone(self, account: str, id: str) -> None:
        """Drop the watermark of an order store that was deleted while a worker wrote it."""
        if await self._store.get_record(KIND, account, id) is None:
            await self._store.remove_record(WATERMARK, account, id)

    async def _write(self, store: OrderStore, new: Watermark, over: bytes | None) -> bool:
        value = msgspec.json.encode(new)
        if over is None:
            return await self._store.put_record(WATERMARK, store.account, store.id, value, create=True)
        return await self._store.replace_record(WATERMARK, store.account, store.id, value, seen=over)


def _mark(id: str, value: bytes | None) -> Watermark | None:
    """The watermark of a record; None where there is none, or it can't be read: the order store begins anew."""
    try:
        return None if value is None else msgspec.json.decode(value, type=Watermark)
    except msgspec.DecodeError as error:
        log.error("watermark_unreadable", order_store=id, error=str(error))
        return None


def _read(records: Mapping[tuple[str, str], bytes]) -> dict[tuple[str, str], Watermark]:
    marks = {key: _mark(key[1], value) for key, value in records.items()}
    return {key: mark for key, mark in marks.items() if mark}
