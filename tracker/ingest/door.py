"""The one door: a registration, a push, a poll, a patch and a stall all become a commit here, and nowhere else."""

from __future__ import annotations

import asyncio
import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import structlog
from msgspec import Struct, structs

from carriers.sdk import Ask, Carrier, Meaning
from tracker.errors import BadInput, NotFound
from tracker.ingest.cleaning import clean_waybill, short
from tracker.ingest.commits import Commits, Silent, indexed
from tracker.ingest.judgement import (
    corrected,
    moved_on,
    not_before,
    says_something,
    unstalled,
    with_successor,
    worth_writing,
)
from tracker.ingest.types import (
    Carriers,
    Counters,
    IngestSettings,
    Overfull,
    Parked,
    Received,
    Registered,
    Registration,
    Store,
)
from tracker.masking import Mask, as_kept, mask_document, mask_report
from tracker.model import ChangeKind, Document, Milestone, Reason, Report, Shipment, Stall
from tracker.normalise import UNKNOWN, classify
from tracker.store.types import Conflict, NewChange, Stored
from tracker.timeline.changes import differ
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Classify, Receipt, merge, remapped

_AT_ONCE = 50  # shipments read, registrations, reports of one body: whoever else waits has a turn between them
_ATTEMPTS = 100  # conflicts in a row; of n writers at once one is through each time, so n of them need n

log = structlog.get_logger()

_decode = msgspec.msgpack.Decoder(Document).decode


class Ingest:
    """The door. `due` says when a shipment wants to be looked at again (ms; None: never).

    `closed` says why nothing may be written now, "" while the door is open; deletions always pass. `unknown` hears of
    the scans that nothing covers: whose, the carrier, its code and its words; `made_room` of those that were parked and
    had to make room for others. By `clock` (s) it sees that time was set back since a shipment was heard of
    last; without one it never is.
    """

    def __init__(
        self,
        store: Store,
        carriers: Carriers,
        *,
        due: Callable[[Shipment, int], int | None],
        settings: IngestSettings | None = None,
        counters: Counters | None = None,
        unknown: Callable[[Document, str, str, str], None] = lambda document, carrier, code, text: None,
        closed: Callable[[], str] = lambda: "",
        made_room: Callable[[str, int], None] = lambda account, scans: None,
        mask: Callable[[str], Mask] = lambda account: Mask.OFF,
        clock: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._settings = settings or IngestSettings()
        self._counters = counters or Silent()
        self._commits = Commits(
            store, due=due, tracking_url=self._settings.tracking_url, counters=self._counters, closed=closed
        )
        self._unknown = unknown
        self._made_room = made_room
        self._mask = mask
        self._clock = clock

    # ------------------------------------------------------------ reading

    async def get(self, account: str, ids: Sequence[str]) -> list[Shipment | None]:
        """The shipments of that account, None for what it does not have."""
        found = await self._store.read(ids)
        shipments = []
        for place, stored in enumerate(found, 1):
            shipments.append(self._read(stored, account))
            if place % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return shipments

    async def peek(self, ids: Sequence[str]) -> list[Document | None]:
        """The documents as they lie there, whoever owns them: for the daemon's own rooms, never for a caller."""
        return [_document(stored) if stored else None for stored in await self._store.read(ids)]

    def _read(self, stored: Stored | None, account: str) -> Shipment | None:
        if stored is None:
            return None
        document = _document(stored)
        return derive(document) if document.account == account else None

    async def _one(self, account: str, id: str) -> tuple[int, Shipment]:
        [stored] = await self._store.read([id])
        shipment = self._read(stored, account)
        if stored is None or shipment is None:
            raise NotFound(f"no shipment {id}")
        return stored.version, shipment

    # ------------------------------------------------------------ registering

    async def register(self, account: str, wanted: Sequence[Registration], *, now: int) -> list[Registered]:
        """Follow waybills; one that is already followed is answered as it stands. Idempotent."""
        done: list[Registered] = []
        for at in range(0, len(wanted), _AT_ONCE):
            done += await asyncio.gather(*(self._register(account, one, now) for one in wanted[at : at + _AT_ONCE]))
        return done

    async def _register(self, account: str, wanted: Registration, now: int, *, heard: bool = False) -> Registered:
        try:
            wanted = self._checked(wanted, heard=heard)
        except BadInput as error:
            return Registered(error=error)
        for _ in range(_ATTEMPTS):
            [id] = await self._store.find(account, [wanted.waybill])
            if id:
                [known] = await self.get(account, [id])
                if known:
                    return Registered(shipment=known)
            try:
                return Registered(shipment=await self._create(account, wanted, now), created=True)
            except Conflict:
                continue
            except BadInput as error:  # its order has too many
                return Registered(error=error)
        raise Conflict(f"waybill {wanted.waybill} changed too often while it was being registered")

    def _checked(self, wanted: Registration, *, heard: bool) -> Registration:
        """With `heard` the carrier speaks of it by itself, and what it would want to be told when asked can wait."""
        waybill = clean_waybill(wanted.waybill)
        known = self._carriers.known()
        if wanted.carrier not in known:
            raise BadInput("carrier", _unknown_carrier(wanted.carrier, known), code="unknown_carrier")
        carrier = self._carriers.get(wanted.carrier)
        lacking = carrier.needs(_ask(waybill, wanted)) if carrier and carrier.needs and not heard else ""
        if lacking:
            raise BadInput(lacking, f"{wanted.carrier} does not answer without it", code="required")
        return structs.replace(wanted, waybill=waybill)

    async def _create(self, account: str, wanted: Registration, now: int) -> Shipment:
        parked = await self._store.parked(account, wanted.waybill)
        document = Document(
            id=self._store.new_id(account, wanted.waybill),
            account=account,
            waybill=wanted.waybill,
            carrier=wanted.carrier,
            registered_at=now,
            updated_at=now,
            details=wanted.details,
        )
        dropped = 0
        for item in reversed(parked):  # what was heard last counts, where there is too much of it
            await asyncio.sleep(0)
            merged = self._merge_parked(document, msgspec.msgpack.decode(item, type=Parked))
            if len(merged.scans) > self._settings.most_scans:
                dropped += 1
            else:
                document = merged
        if dropped:
            self._made_room(account, dropped)
        return await self._commits.write(None, 0, derive(document), now, parked=len(parked))

    def _merge_parked(self, document: Document, parked: Parked) -> Document:
        carrier = self._carriers.get(parked.carrier)
        receipt = Receipt(
            source=parked.source,
            heard_at=parked.heard_at,
            report=mask_report(parked.report, self._mask(document.account)),
            fingerprint=parked.fingerprint,
            asked=parked.asked,
        )
        return with_successor(merge(document, receipt, self._classify(document, carrier)), parked.report)

    # ------------------------------------------------------------ hearing

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
        for at in range(0, len(named), _AT_ONCE):
            some = [mask_report(_named(report), how) for report in named[at : at + _AT_ONCE]]
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
        for _ in range(_ATTEMPTS):
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
        before = derive(_document(stored))
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

    def _classify(self, document: Document, carrier: Carrier | None) -> Classify:
        table: Mapping[str, Meaning] = carrier.milestones if carrier else {}
        slug = carrier.slug if carrier else ""

        def read(code: str, text: str) -> tuple[Milestone, Reason | None]:
            meaning = classify(table, code, text)
            if meaning is UNKNOWN:
                self._unknown(document, slug, code, text)
            return meaning.milestone, meaning.reason

        return read

    # ------------------------------------------------------------ changing by hand and by clock

    async def amend(self, account: str, id: str, change: Callable[[Document], Document], *, now: int) -> Shipment:
        """Change what the registration said (order, tags, pause, carrier) by a function of the document."""
        for _ in range(_ATTEMPTS):
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
            raise BadInput("carrier", _unknown_carrier(carrier, known), code="unknown_carrier")
        return await self.amend(account, id, lambda doc: structs.replace(doc, carrier=carrier), now=now)

    async def retrack(self, account: str, id: str, *, now: int) -> Shipment:
        """Ask again at once, also what is closed or was given up."""
        for _ in range(_ATTEMPTS):
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
        for _ in range(_ATTEMPTS):
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

    async def delete(self, account: str, id: str, *, now: int) -> None:
        """Forget a shipment: its document, index entries and lanes' future; the change says so once."""
        for _ in range(_ATTEMPTS):
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


class _Outcome(Struct, frozen=True):
    """What became of one report: a shipment as it stands now, or none, since it is parked or was too much."""

    waybill: str
    shipment: Shipment | None = None
    changed: bool = False
    overfull: bool = False


def _named(report: Report) -> Report:
    return structs.replace(report, waybill="".join(report.waybill.split()).upper(), scans=short(report.scans))


def _document(stored: Stored) -> Document:
    return structs.replace(_decode(stored.document), revision=stored.revision)


def _ask(waybill: str, wanted: Registration) -> Ask:
    details = wanted.details
    return Ask(
        number=waybill,
        carrier=wanted.carrier,
        phone_tail=details.phone_tail,
        postal_code=details.postal_code,
        ship_date=details.ship_date,
    )


def _receipt(source: str, report: Report, fingerprint: str, now: int, asked: bool) -> Receipt:
    return Receipt(source=source, heard_at=now, report=report, fingerprint=fingerprint, asked=asked)


def _unknown_carrier(slug: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(slug.lower(), sorted(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`milepost carriers` lists them"
    return f"{slug[:40]!r} is no carrier that we know; {hint}"
