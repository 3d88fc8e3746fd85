"""The one write: document, indexes, agenda and changes, compared and set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import structs

from tracker.ingest.types import Counters, Store
from tracker.model import ChangeKind, Document, Shipment
from tracker.store.types import Indexed, NewChange, StoreDown, Write
from tracker.timeline.changes import changes
from tracker.views import change_body

_encode = msgspec.msgpack.Encoder().encode


class Commits:
    """The one write. `due`, `closed`: as the door is told."""

    def __init__(
        self,
        store: Store,
        *,
        due: Callable[[Shipment, int], int | None],
        tracking_url: Callable[[str], str],
        counters: Counters,
        closed: Callable[[], str],
    ) -> None:
        self._store = store
        self._due = due
        self._tracking_url = tracking_url
        self._counters = counters
        self._closed = closed

    async def write(
        self,
        before: Shipment | None,
        version: int,
        after: Shipment,
        now: int,
        *,
        parked: int = 0,
        due: int | None = None,
        kinds: tuple[ChangeKind, ...] | None = None,
    ) -> Shipment:
        """Write what is new of a shipment, and what it announces; the shipment as it then stands. Raises Conflict."""
        self.check_open()
        kinds = changes(before, after) if kinds is None else kinds
        first = before.document.revision if before else 0
        document = structs.replace(after.document, updated_at=now, revision=first + len(kinds))
        after = structs.replace(after, document=document)
        bodies = [self.body(kind, before, after, first + place, now) for place, kind in enumerate(kinds, 1)]
        await self._store.commit(
            Write(
                account=document.account,
                id=document.id,
                expected=version,
                document=_encode(document),
                before=indexed(before) if before else None,
                after=indexed(after),
                changes=tuple(NewChange(kind.value, body) for kind, body in zip(kinds, bodies, strict=True)),
                waybills=_new_numbers(before, document),
                due=due if due is not None else self._due(after, now),
                parked=parked,
            )
        )
        self._counters.committed(kinds)
        return after

    def check_open(self) -> None:
        """Raise StoreDown where a write might be the one that fills the disk and ends the server."""
        if why := self._closed():
            raise StoreDown(why)

    def body(self, kind: ChangeKind, before: Shipment | None, after: Shipment, revision: int, now: int) -> bytes:
        """What subscribers are sent of one change."""
        url = self._tracking_url(after.document.id)
        return change_body(kind, before, after, revision=revision, now=now, tracking_url=url)


class Silent:
    """Counters that do not count."""

    def committed(self, kinds: Sequence[ChangeKind]) -> None:
        """Nobody counts."""


def indexed(shipment: Shipment) -> Indexed:
    """What a shipment is listed under."""
    doc = shipment.document
    return Indexed(
        status=shipment.status.value,
        stalled=doc.stall.since * 1000 if doc.stall else None,
        open=shipment.status.open,
        order_number=doc.details.order_number,
        registered_at=doc.registered_at,
    )


def _new_numbers(before: Shipment | None, document: Document) -> tuple[str, ...]:
    if before is None:
        return (document.waybill, *document.aliases)
    return tuple(number for number in document.aliases if number not in before.document.aliases)
