"""Replay: what is stored, read again by today's adapters, tables and phrases; only the difference goes out.

First the bodies in quarantine, then the shipments, open and closed, a page a call. It may be cut off anywhere and run
again: what reads the same today is not written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import structlog
from msgspec import Struct

from carriers.sdk import Carrier, Report
from tracker.connections.connection import Connection
from tracker.errors import BadInput
from tracker.ingest.cleaning import fingerprint
from tracker.ingest.types import Hearing
from tracker.model import Event, Shipment
from tracker.normalise import reader
from tracker.quarantine import ORDER_STORE, Quarantined
from tracker.timeline.changes import events_corrected
from tracker.timeline.receipts import Classify

_BODIES = 10  # of the quarantine in one call: each may have two megabytes
_AT_ONCE = 16  # shipments read again in one turn: some milliseconds
_QUARANTINE, _SHIPMENTS = "q", "s"  # the two parts of the way, as cursors begin

log = structlog.get_logger()

Tables = Callable[[str], Classify | None]
Pair = tuple[Shipment, Shipment]  # before and after


class Wanted(Struct, frozen=True, kw_only=True):
    """One page of a replay. `carrier` is an adapter's slug, "" for all; `most` ends it after so many corrections."""

    dry_run: bool = False
    carrier: str = ""
    cursor: str | None = None
    limit: int = 200  # shipments looked at
    most: int | None = None


class Page(Struct, frozen=True, kw_only=True):
    """What one page found. `cursor` leads on; None: that was all."""

    looked_at: int = 0  # shipments
    corrections: tuple[Pair, ...] = ()
    read: tuple[str, ...] = ()  # bodies that were in quarantine and can be read now
    unreadable: int = 0
    cursor: str | None = None


class Door(Hearing, Protocol):
    """The one door, as a replay needs it."""

    async def remap(self, account: str, id: str, classify: Tables, *, now: int, dry: bool = False) -> Pair | None: ...


class Shelf(Protocol):
    """What a replay walks through."""

    async def page(
        self, account: str, *, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[str], str | None]: ...
    async def quarantined(
        self, account: str, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[tuple[str, bytes]], str | None]: ...
    async def release(self, account: str, id: str) -> bool: ...


class Connections(Protocol):
    """Which adapter a source speaks through."""

    async def all(self, account: str) -> Sequence[Connection]: ...
    def carrier_of(self, connection: Connection) -> Carrier | None: ...


class Carriers(Protocol):
    """The adapters that are installed."""

    def get(self, slug: str) -> Carrier | None: ...


class Platforms(Protocol):
    """Who takes in what order platforms push."""

    async def again(self, account: str, body: Quarantined, *, dry: bool) -> bool:
        """Whether each waybill that it names can be followed now; not `dry`: then they are."""


class Replay:
    """Walks an account's quarantine and shipments. `ingest` is the only way by which it writes."""

    def __init__(
        self,
        ingest: Door,
        store: Shelf,
        connections: Connections,
        carriers: Carriers,
        platforms: Platforms | None = None,
    ) -> None:
        self._platforms = platforms
        self._ingest = ingest
        self._store = store
        self._connections = connections
        self._carriers = carriers

    async def page(self, account: str, wanted: Wanted, *, now: int) -> Page:
        """The next page. Raises BadInput for an unknown carrier, `ValueError` for a cursor that is not one of ours."""
        if wanted.carrier and self._carriers.get(wanted.carrier) is None:
            raise BadInput("carrier", f"{wanted.carrier[:40]!r} has no adapter here", code="unknown_carrier")
        part, _, rest = (wanted.cursor or f"{_QUARANTINE}.").partition(".")
        if part == _QUARANTINE:
            return await self._bodies(account, wanted, rest or None, now)
        if part == _SHIPMENTS:
            return await self._shipments(account, wanted, rest or None, now)
        raise ValueError(f"cursor {wanted.cursor!r} is not one of a replay")

    # ------------------------------------------------------------ bodies in quarantine

    async def _bodies(self, account: str, wanted: Wanted, cursor: str | None, now: int) -> Page:
        found, after = await self._store.quarantined(account, cursor, min(wanted.limit, _BODIES))
        taking_up = {one.pushes for one in await self._connections.all(account) if one.auto_register}
        outcomes = {}
        for id, body in ((id, _entry(entry)) for id, entry in found):
            await asyncio.sleep(0)  # a large body takes its time; whoever waits goes first
            if wanted.carrier in ("", body.carrier):
                register = body.source in taking_up
                outcomes[id] = await self._read(account, id, body, wanted.dry_run, now, register=register)
        return Page(
            read=tuple(id for id, readable in outcomes.items() if readable),
            unreadable=sum(not readable for readable in outcomes.values()),
            cursor=f"{_QUARANTINE}.{after}" if after else f"{_SHIPMENTS}.",
        )

    async def _read(self, account: str, id: str, body: Quarantined, dry: bool, now: int, *, register: bool) -> bool:
        """Whether the body can be read now; then it went through the door, and has left the quarantine."""
        if body.source.startswith(ORDER_STORE):
            readable = self._platforms is not None and await self._platforms.again(account, body, dry=dry)
            if readable and not dry:
                await self._store.release(account, id)
            return readable
        carrier = self._carriers.get(body.carrier)
        reports = _reports(carrier, body)
        if carrier is None or reports is None:
            return False
        if dry:
            return True
        received = await self._ingest.receive(
            account,
            body.source,
            carrier,
            reports,
            fingerprint=fingerprint(body.raw),
            now=now,
            heard_at=body.heard_at,
            asked=body.source.endswith("/poll"),
            register=register,
        )
        if received.overfull:
            return False
        await self._store.release(account, id)
        return True

    # ------------------------------------------------------------ shipments

    async def _shipments(self, account: str, wanted: Wanted, cursor: str | None, now: int) -> Page:
        tables = await self._tables(account, wanted.carrier)
        ids, after = await self._store.page(account, cursor=cursor, limit=wanted.limit)
        looked_at, corrections = await self._remap(account, ids, tables, wanted, now)
        if corrections and not wanted.dry_run:
            log.info("replayed", account=account, carrier=wanted.carrier, corrected=len(corrections))
        if looked_at < len(ids):
            first, after = await self._store.page(account, cursor=cursor, limit=looked_at)
            if first != ids[:looked_at]:  # one came or went meanwhile: look at this page once more
                after = cursor or ""
        onward = None if after is None else f"{_SHIPMENTS}.{after}"
        return Page(looked_at=looked_at, corrections=tuple(corrections), cursor=onward)

    async def _remap(
        self, account: str, ids: Sequence[str], tables: Tables, wanted: Wanted, now: int
    ) -> tuple[int, list[Pair]]:
        """How many of them were looked at, until the end or `most` corrections; and the corrections."""
        most = len(ids) if wanted.most is None else wanted.most
        looked_at, corrections = 0, list[Pair]()
        while looked_at < len(ids) and len(corrections) < most:
            some = ids[looked_at : looked_at + min(_AT_ONCE, most - len(corrections))]
            remaps = [self._ingest.remap(account, id, tables, now=now, dry=wanted.dry_run) for id in some]
            corrections += [pair for pair in await asyncio.gather(*remaps) if pair]
            looked_at += len(some)
        return looked_at, corrections

    async def _tables(self, account: str, only: str) -> Tables:
        """The table of a source: that of its connection's adapter; none where the connection is gone."""
        speaking = ((one.id, self._connections.carrier_of(one)) for one in await self._connections.all(account))
        tables = {id: reader(carrier.milestones) for id, carrier in speaking if carrier and only in ("", carrier.slug)}
        return lambda source: tables.get(source.partition("/")[0])


def _entry(entry: bytes) -> Quarantined:
    """The body as it was kept; one that can't be told, from no carrier at all."""
    try:
        return msgspec.json.decode(entry, type=Quarantined)
    except msgspec.DecodeError:
        return Quarantined(carrier="", source="", heard_at=0, reason="")


def _reports(carrier: Carrier | None, body: Quarantined) -> Sequence[Report] | None:
    """What today's adapter reads; None where it can't, however it fails."""
    if carrier is None:
        return None
    try:
        return carrier.parse(body.raw, body.headers.get("content-type", ""))
    except Exception:  # the body stays where it is, whatever the adapter thinks of it
        return None


# ---------------------------------------------------------------- how a correction is told


def correction_view(pair: Pair) -> dict[str, Any]:
    """One shipment: what it was and what it is."""
    before, after = pair
    document = after.document
    return {
        "shipment_id": document.id,
        "waybill": document.waybill,
        "carrier": document.carrier,
        "status": {"was": before.status.value, "is": after.status.value},
        "events": [_event_view(*both) for both in events_corrected(before, after)],
    }


def _event_view(was: Event, now_is: Event) -> dict[str, Any]:
    return {
        "occurred_at": now_is.time.iso(),
        "code": now_is.code or None,
        "description": now_is.text or None,
        "was": _meaning(was),
        "is": _meaning(now_is),
    }


def _meaning(event: Event) -> dict[str, str | None]:
    return {"milestone": event.milestone.value, "reason": event.reason and event.reason.value}
