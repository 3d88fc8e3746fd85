"""What changes a shipment without a word of its carrier: a hand, the clock, today's tables, its deletion."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from tracker.errors import BadInput
from tracker.ingest.commits import indexed
from tracker.ingest.judgement import moved_on, unstalled
from tracker.ingest.reading import ATTEMPTS, Reading
from tracker.ingest.registering import unknown_carrier
from tracker.model import ChangeKind, Document, Shipment, Stall
from tracker.store.types import Conflict, NewChange
from tracker.timeline.changes import differ
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Classify, remapped


class Changing(Reading):
    """The door's part that changes by hand and by clock."""

    async def amend(self, account: str, id: str, change: Callable[[Document], Document], *, now: int) -> Shipment:
        """Change what the registration said (order, tags, pause, carrier) by a function of the document."""
        for _ in range(ATTEMPTS):
            version, before = await self._one(account, id)
            document = change(before.document)
            if document == before.document:
                return before
            try:
                return await self._commits.write(before, version, derive(document), now)
            except Conflict:
                continue
        raise Conflict(f"shipment {id} changed too often while it was being amended")

    async def correct_carrier(self, account: str, id: str, carrier: str, *, now: int) -> Shipment:
        """Move a shipment to the carrier whose number it really is; its id stays."""
        known = self._carriers.known()
        if carrier not in known:
            raise BadInput("carrier", unknown_carrier(carrier, known), code="unknown_carrier")
        return await self.amend(account, id, lambda doc: structs.replace(doc, carrier=carrier), now=now)

    async def retrack(self, account: str, id: str, *, now: int) -> Shipment:
        """Ask again at once, also what is closed or was given up."""
        for _ in range(ATTEMPTS):
            version, before = await self._one(account, id)
            document = structs.replace(before.document, expired_at=0)
            try:
                return await self._commits.write(before, version, derive(document), now, due=now)
            except Conflict:
                continue
        raise Conflict(f"shipment {id} changed too often to be retracked")

    async def flag_stalled(self, account: str, id: str, stall: Stall, *, now: int, seen: int | None = None) -> Shipment:
        """Declare a shipment stalled, unless it already is, or its revision is no longer the one that was `seen`."""

        def flagged(doc: Document) -> Document:
            return doc if doc.stall or moved_on(doc, seen) else structs.replace(doc, stall=stall)

        return await self.amend(account, id, flagged, now=now)

    async def flag_expired(self, account: str, id: str, *, now: int, seen: int | None = None) -> Shipment:
        """Declare that the carrier has been silent for too long, unless it spoke since `seen`; a new scan wakes it."""

        def expired(doc: Document) -> Document:
            return doc if moved_on(doc, seen) else structs.replace(doc, expired_at=now, stall=None)

        return await self.amend(account, id, expired, now=now)

    async def remap(
        self, account: str, id: str, classify: Callable[[str], Classify | None], *, now: int, dry: bool = False
    ) -> tuple[Shipment, Shipment] | None:
        """Read what is stored again by today's tables (`classify` gives the one of a source): before and after.

        None where nothing reads differently. One change announces it, `corrected`, whatever status it brings. With
        `dry` nothing is written.
        """
        for _ in range(ATTEMPTS):
            [stored] = await self._store.read([id])
            before = self._read(stored, account)
            if stored is None or before is None:
                return None
            document = remapped(before.document, classify)
            if document == before.document:
                return None
            after = unstalled(before, derive(document))
            differs = differ(before, after)
            kinds = (ChangeKind.CORRECTED,) if differs else ()
            try:
                after = after if dry else await self._commits.write(before, stored.version, after, now, kinds=kinds)
            except Conflict:
                continue
            return (before, after) if differs else None
        raise Conflict(f"shipment {id} changed too often while it was being read again")

    async def retire(self, account: str, id: str, *, before: int) -> bool:
        """Forget a closed shipment of which nothing was written since `before` (ms), and tell nobody; whether it was.

        Raises NotFound where it is gone already.
        """
        version, shipment = await self._one(account, id)
        doc = shipment.document
        if shipment.status.open or doc.updated_at >= before:
            return False
        try:
            await self._store.delete(account, id, version, indexed(shipment), [doc.waybill, *doc.aliases])
        except Conflict:  # something was heard of it at this moment
            return False
        return True

    async def delete(self, account: str, id: str, *, now: int) -> None:
        """Forget a shipment: its document, index entries and lanes' future; the change says so once."""
        for _ in range(ATTEMPTS):
            version, before = await self._one(account, id)
            doc = before.document
            body = self._commits.body(ChangeKind.DELETED, before, before, doc.revision + 1, now)
            try:
                await self._store.delete(
                    account,
                    id,
                    version,
                    indexed(before),
                    [doc.waybill, *doc.aliases],
                    NewChange(ChangeKind.DELETED.value, body),
                )
                self._counters.committed((ChangeKind.DELETED,))
                return
            except Conflict:
                continue
        raise Conflict(f"shipment {id} changed too often to be deleted")
