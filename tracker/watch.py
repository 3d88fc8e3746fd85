"""The watch: declares a shipment stalled or expired when its hour has come, through the one door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from tracker.errors import NotFound
from tracker.model import Document, Shipment, Stall
from tracker.stall import StallPolicy, expires, feed_silent, stalled
from tracker.store.types import Conflict, Gone

log = structlog.get_logger()


class Flags(Protocol):
    """The door as the watch needs it."""

    async def flag_stalled(
        self, account: str, id: str, stall: Stall, *, now: int, seen: int | None = None
    ) -> Shipment: ...
    async def flag_expired(self, account: str, id: str, *, now: int, seen: int | None = None) -> Shipment: ...


class Watch:
    """`heard_at` says when the sources of a shipment last told of anything (ms; None: it has none)."""

    def __init__(self, ingest: Flags, policy: StallPolicy, heard_at: Callable[[Document], int | None]) -> None:
        self._ingest = ingest
        self._policy = policy
        self._heard_at = heard_at

    async def look(self, shipment: Shipment, *, now: int) -> bool:
        """Flag the shipment if it is time; True if that was written, and its next due with it."""
        doc = shipment.document
        try:
            if self._expired(shipment, now):
                await self._ingest.flag_expired(doc.account, doc.id, now=now, seen=doc.revision)
                return True
            stall = self._stall(shipment, now)
            if stall:
                await self._ingest.flag_stalled(doc.account, doc.id, stall, now=now, seen=doc.revision)
            return stall is not None
        except (Conflict, NotFound, Gone) as error:  # it moved, or is no more: whoever wrote it said when to look again
            log.info("watch.passed", shipment=doc.id, why=str(error))
            return True

    def ready(self, shipment: Shipment, *, now: int) -> bool:
        """Whether `look` would flag it now."""
        return self._expired(shipment, now) or self._stall(shipment, now) is not None

    def _expired(self, shipment: Shipment, now: int) -> bool:
        end = expires(shipment, self._policy)
        return end is not None and now >= end * 1000

    def _stall(self, shipment: Shipment, now: int) -> Stall | None:
        stall = stalled(shipment, self._policy, now=now)
        if stall and feed_silent(shipment, self._policy, source_heard_at=self._heard_at(shipment.document)):
            return None
        return stall
