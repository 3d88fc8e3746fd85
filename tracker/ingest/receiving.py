"""What a body said: joined to the shipments that it is about, or parked for those that nobody registered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog
from msgspec import Struct, structs

from carriers.sdk import Carrier
from tracker.ingest.cleaning import short
from tracker.ingest.judgement import (
    corrected,
    not_before,
    says_something,
    unstalled,
    with_successor,
    worth_writing,
)
from tracker.ingest.reading import AT_ONCE, ATTEMPTS, document_of
from tracker.ingest.registering import Registering
from tracker.ingest.types import Overfull, Parked, Received, Registration
from tracker.masking import as_kept, mask_document, mask_report
from tracker.model import Report, Shipment
from tracker.store.types import Conflict, Stored
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge

log = structlog.get_logger()


class Receiving(Registering):
    """The door's part that hears; it registers what it is told to follow by itself."""

    async def receive(
        self,
        account: str,
        source: str,
        carrier: Carrier,
        reports: Sequence[Report],
        *,
        fingerprint: str,
        now: int,
        heard_at: int | None = None,
        asked: bool = False,
        register: bool = False,
    ) -> Received:
        """Take in what one body said. Returns once it is on disk: new scans committed, foreign waybills parked.

        With `register`, a waybill that nobody registered is registered now. `heard_at`: when we heard of it, where that
        was not `now`.
        """
        heard_at = now if heard_at is None else heard_at
        how = self._mask(account)
        named = [report for report in reports if report.waybill]
        outcomes: list[_Outcome] = []
        for at in range(0, len(named), AT_ONCE):
            some = [mask_report(_named(report), how) for report in named[at : at + AT_ONCE]]
            ids = await self._store.find(account, [report.waybill for report in some])
            hears = [
                self._hear(account, id, carrier, _receipt(source, report, fingerprint, heard_at, asked), register, now)
                for id, report in zip(ids, some, strict=True)
            ]
            # one body is most often one waybill: no task for that
            outcomes += [await hears[0]] if len(hears) == 1 else await asyncio.gather(*hears)
        heard = [(outcome.shipment, outcome.changed) for outcome in outcomes if outcome.shipment]
        return Received(
            changed=tuple(shipment.document.id for shipment, changed in heard if changed),
            same=tuple(shipment.document.id for shipment, changed in heard if not changed),
            parked=tuple(one.waybill for one in outcomes if one.shipment is None and not one.overfull),
            overfull=tuple(one.waybill for one in outcomes if one.overfull),
            shipments={shipment.document.id: shipment for shipment, _ in heard},
        )

    async def _hear(
        self, account: str, id: str | None, carrier: Carrier, receipt: Receipt, register: bool, now: int
    ) -> _Outcome:
        waybill = receipt.report.waybill
        try:
            shipment, changed = await self._heard(account, id, carrier, receipt, register, now)
        except Overfull as full:
            log.warning("shipment_overfull", account=account, carrier=carrier.slug, waybill=waybill)
            if receipt.asked and full.shipment:  # the carrier has it, and can be asked again
                return _Outcome(waybill, full.shipment)
            return _Outcome(waybill, overfull=True)
        return _Outcome(waybill, shipment, changed)

    async def _heard(
        self, account: str, id: str | None, carrier: Carrier, receipt: Receipt, register: bool, now: int
    ) -> tuple[Shipment | None, bool]:
        for _ in range(ATTEMPTS):
            if id is None and not says_something(receipt.report):
                return None, False
            if id is None and register:
                id = await self._take_up(account, carrier, receipt, now)
            if id is None:
                id = await self._park(account, carrier, receipt)
            if id is None:
                return None, False
            [stored] = await self._store.read([id])
            if stored is None:  # deleted in between
                id = None
                continue
            try:
                return await self._join(stored, carrier, receipt, now)
            except Conflict:
                continue
        raise Conflict(f"shipment of waybill {receipt.report.waybill} changed too often while a scan was being added")

    async def _join(self, stored: Stored, carrier: Carrier, receipt: Receipt, now: int) -> tuple[Shipment, bool]:
        before = derive(document_of(stored))
        # what was kept before masking was switched on is masked now, or the same scan would stand there twice
        kept = mask_document(before.document, self._mask(before.document.account))
        if len(receipt.report.scans) > self._settings.most_scans:
            raise Overfull(before)
        receipt = structs.replace(receipt, report=as_kept(receipt.report, kept))
        if receipt.heard_at == now:
            receipt = not_before(kept, receipt, clock_ms=self._clock() * 1000)
        document = merge(kept, receipt, self._classify(kept, carrier))
        if len(document.scans) > max(self._settings.most_scans, len(kept.scans)):
            raise Overfull(before)
        document = with_successor(document, receipt.report)
        if carrier.aggregator and receipt.report.carrier:
            document = corrected(document, receipt, carrier.carriers.get(receipt.report.carrier, ""))
        after = unstalled(before, derive(document))
        if not worth_writing(before, after):
            return before, False
        return await self._commits.write(before, stored.version, after, now), True

    async def _take_up(self, account: str, carrier: Carrier, receipt: Receipt, now: int) -> str | None:
        slug = carrier.carriers.get(receipt.report.carrier, "") if carrier.aggregator else carrier.slug
        wanted = Registration(waybill=receipt.report.waybill, carrier=slug)
        done = await self._register(account, wanted, now, heard=True)
        return done.shipment.document.id if done.shipment else None

    async def _park(self, account: str, carrier: Carrier, receipt: Receipt) -> str | None:
        self._commits.check_open()
        if len(receipt.report.scans) > self._settings.most_scans:
            raise Overfull
        item = Parked(
            receipt.source, carrier.slug, receipt.heard_at, receipt.fingerprint, receipt.asked, receipt.report
        )
        shelved = await self._store.park(
            account,
            receipt.report.waybill,
            msgspec.msgpack.encode(item),
            now_ms=receipt.heard_at,
            limit=self._settings.parked_limit,
            ttl_ms=self._settings.parked_ttl_ms,
            most=self._settings.parked_bytes,
        )
        if shelved.made_room:
            self._made_room(account, shelved.made_room)
        return shelved.holder


class _Outcome(Struct, frozen=True):
    """What became of one report: a shipment as it stands now, or none, since it is parked or was too much."""

    waybill: str
    shipment: Shipment | None = None
    changed: bool = False
    overfull: bool = False


def _named(report: Report) -> Report:
    return structs.replace(report, waybill="".join(report.waybill.split()).upper(), scans=short(report.scans))


def _receipt(source: str, report: Report, fingerprint: str, now: int, asked: bool) -> Receipt:
    return Receipt(source=source, heard_at=now, report=report, fingerprint=fingerprint, asked=asked)
