"""The one door: a registration, a push, a poll, a patch and a stall all become a commit here, and nowhere else.

Every write is read → merge → compare-and-set; a conflict reads and merges again, so that no race makes a second event.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct, structs

from carriers.sdk import Ask, Carrier, Meaning
from tracker.errors import BadInput, NotFound
from tracker.masking import Mask, as_kept, mask_document, mask_report
from tracker.model import ChangeKind, Details, Document, Milestone, Reason, Report, Scan, Shipment, Stall
from tracker.normalise import UNKNOWN, classify
from tracker.store.types import Conflict, Indexed, NewChange, Shelved, Stored, StoreDown, Write
from tracker.timeline.changes import changes, differ, told_by
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Classify, Receipt, merge, remapped
from tracker.views import change_body

_ATTEMPTS = 100  # conflicts in a row; of n writers at once one is through each time, so n of them need n
_TEXT, _CODE = 2_000, 200  # characters of a scan's words and place, and of its code; real ones have some dozens
_WAYBILL = re.compile(r"[A-Z0-9][A-Z0-9._/-]{3,48}[A-Z0-9]")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Document).decode


class Registration(Struct, frozen=True, kw_only=True):
    """A wish to follow a waybill."""

    waybill: str
    carrier: str
    details: Details = Details()


class Registered(Struct, frozen=True, kw_only=True):
    """What became of a registration: a shipment (new or already there), or the field that is wrong."""

    shipment: Shipment | None = None
    created: bool = False
    error: BadInput | None = None


class Received(Struct, frozen=True, kw_only=True):
    """What became of the reports of one body, by waybill."""

    changed: tuple[str, ...] = ()  # shipment ids with something new
    same: tuple[str, ...] = ()  # nothing new: nothing was written
    parked: tuple[str, ...] = ()  # waybills that nobody registered yet
    shipments: Mapping[str, Shipment] = {}  # as they stand now, by id


class Parked(Struct, frozen=True):
    """A report kept for a waybill that is not registered yet."""

    source: str
    carrier: str
    heard_at: int
    fingerprint: str
    asked: bool
    report: Report


class Carriers(Protocol):
    """The registry as the door needs it."""

    def get(self, slug: str) -> Carrier | None: ...
    def known(self) -> Collection[str]: ...


class Store(Protocol):
    """The store as the door needs it."""

    def new_id(self, account: str, waybill: str) -> str: ...
    async def read(self, ids: Sequence[str]) -> list[Stored | None]: ...
    async def find(self, account: str, waybills: Sequence[str]) -> list[str | None]: ...
    async def commit(self, write: Write) -> object: ...
    async def delete(
        self,
        account: str,
        id: str,
        expected: int,
        before: Indexed,
        waybills: Sequence[str],
        change: NewChange | None = None,
    ) -> None: ...
    async def park(
        self, account: str, waybill: str, item: bytes, *, now_ms: int, limit: int, ttl_ms: int, most: int
    ) -> Shelved: ...
    async def parked(self, account: str, waybill: str) -> list[bytes]: ...


class Counters(Protocol):
    """What the door tells the one who counts."""

    def committed(self, kinds: Sequence[ChangeKind]) -> None: ...


class IngestSettings(Struct, frozen=True, kw_only=True):
    """`tracking_url` is a template with `{id}`; parking is bounded by waybill, by account and in time."""

    tracking_url: str = ""
    parked_limit: int = 1_000  # bodies of one waybill
    parked_bytes: int = 0  # of an account; 0: any number
    parked_ttl_ms: int = 30 * 86_400_000


class _Silent:
    def committed(self, kinds: Sequence[ChangeKind]) -> None:
        """Nobody counts."""


def _short(scans: Sequence[Scan]) -> tuple[Scan, ...]:
    """The scans, without what is so long that no carrier can mean it: it would be told to everybody, each time."""
    if all(len(s.text) <= _TEXT and len(s.code) <= _CODE and len(s.location) <= _TEXT for s in scans):
        return tuple(scans)
    return tuple(
        structs.replace(s, text=s.text[:_TEXT], code=s.code[:_CODE], location=s.location[:_TEXT]) for s in scans
    )


def clean_waybill(number: str, field: str = "waybill") -> str:
    """A waybill as it is stored: no blanks, upper case.

    Raises:
        BadInput: it can't be a waybill number of any carrier.
    """
    waybill = "".join(number.split()).upper()
    if not _WAYBILL.fullmatch(waybill):
        raise BadInput(field, f"{number[:60]!r} is no waybill number: 5 to 50 letters, digits, '-', '.', '_' or '/'")
    return waybill


def fingerprint(body: bytes) -> str:
    """The name of a body, so that an event can be traced to what it came from: 16 hexadecimal digits."""
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def indexed(shipment: Shipment) -> Indexed:
    """What a shipment is listed under."""
    doc = shipment.document
    return Indexed(
        status=shipment.status.value,
        stalled=doc.stall is not None,
        open=shipment.status.open,
        order_number=doc.details.order_number,
        registered_at=doc.registered_at,
    )


class Ingest:
    """The door. `due` says when a shipment wants to be looked at again (ms; None: never).

    `closed` says why nothing may be written now, "" while the door is open; deletions always pass. `unknown` hears of
    the scans that nothing covers: whose, the carrier, its code and its words; `made_room` of those that were parked and
    had to make room for others.
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
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._due = due
        self._settings = settings or IngestSettings()
        self._counters = counters or _Silent()
        self._unknown = unknown
        self._closed = closed
        self._made_room = made_room
        self._mask = mask

    # ------------------------------------------------------------ reading

    async def get(self, account: str, ids: Sequence[str]) -> list[Shipment | None]:
        """The shipments of that account, None for what it does not have."""
        found = await self._store.read(ids)
        return [self._read(stored, account) for stored in found]

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
        return list(await asyncio.gather(*(self._register(account, one, now) for one in wanted)))

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
        for item in parked:
            document = self._merge_parked(document, msgspec.msgpack.decode(item, type=Parked))
        return await self._commit(None, 0, derive(document), now, parked=len(parked))

    def _merge_parked(self, document: Document, parked: Parked) -> Document:
        carrier = self._carriers.get(parked.carrier)
        receipt = Receipt(
            source=parked.source,
            heard_at=parked.heard_at,
            report=mask_report(parked.report, self._mask(document.account)),
            fingerprint=parked.fingerprint,
            asked=parked.asked,
        )
        return _with_successor(merge(document, receipt, self._classify(document, carrier)), parked.report)

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
        named = [
            structs.replace(r, waybill="".join(r.waybill.split()).upper(), scans=_short(r.scans))
            for r in reports
            if r.waybill
        ]
        reports = [mask_report(report, how) for report in named]
        ids = await self._store.find(account, [report.waybill for report in reports])
        hears = [
            self._hear(account, id, carrier, _receipt(source, report, fingerprint, heard_at, asked), register, now)
            for id, report in zip(ids, reports, strict=True)
        ]
        # one body is most often one waybill: no task for that
        outcomes = [await hears[0]] if len(hears) == 1 else await asyncio.gather(*hears)
        heard = [(shipment, changed) for shipment, changed in outcomes if shipment]
        return Received(
            changed=tuple(shipment.document.id for shipment, changed in heard if changed),
            same=tuple(shipment.document.id for shipment, changed in heard if not changed),
            parked=tuple(r.waybill for r, (shipment, _) in zip(reports, outcomes, strict=True) if shipment is None),
            shipments={shipment.document.id: shipment for shipment, _ in heard},
        )

    async def _hear(
        self, account: str, id: str | None, carrier: Carrier, receipt: Receipt, register: bool, now: int
    ) -> tuple[Shipment | None, bool]:
        for _ in range(_ATTEMPTS):
            if id is None and not _says_something(receipt.report):
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
        receipt = structs.replace(receipt, report=as_kept(receipt.report, kept))
        document = merge(kept, receipt, self._classify(kept, carrier))
        document = _with_successor(document, receipt.report)
        if carrier.aggregator and receipt.report.carrier:
            document = _corrected(document, receipt, carrier.carriers.get(receipt.report.carrier, ""))
        after = _unstalled(before, derive(document))
        if not _worth_writing(before, after):
            return before, False
        return await self._commit(before, stored.version, after, now), True

    async def _take_up(self, account: str, carrier: Carrier, receipt: Receipt, now: int) -> str | None:
        slug = carrier.carriers.get(receipt.report.carrier, "") if carrier.aggregator else carrier.slug
        wanted = Registration(waybill=receipt.report.waybill, carrier=slug)
        done = await self._register(account, wanted, now, heard=True)
        return done.shipment.document.id if done.shipment else None

    async def _park(self, account: str, carrier: Carrier, receipt: Receipt) -> str | None:
        self._check_open()
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
                return await self._commit(before, version, derive(document), now)
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
                return await self._commit(before, version, derive(document), now, due=now)
            except Conflict:
                continue
        raise Conflict(f"shipment {id} changed too often to be retracked")

    async def flag_stalled(self, account: str, id: str, stall: Stall, *, now: int, seen: int | None = None) -> Shipment:
        """Declare a shipment stalled, unless it already is, or its revision is no longer the one that was `seen`."""

        def flagged(doc: Document) -> Document:
            return doc if doc.stall or _moved_on(doc, seen) else structs.replace(doc, stall=stall)

        return await self.amend(account, id, flagged, now=now)

    async def flag_expired(self, account: str, id: str, *, now: int, seen: int | None = None) -> Shipment:
        """Declare that the carrier has been silent for too long, unless it spoke since `seen`; a new scan wakes it."""

        def expired(doc: Document) -> Document:
            return doc if _moved_on(doc, seen) else structs.replace(doc, expired_at=now, stall=None)

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
            after = _unstalled(before, derive(document))
            differs = differ(before, after)
            kinds = (ChangeKind.CORRECTED,) if differs else ()
            try:
                after = after if dry else await self._commit(before, stored.version, after, now, kinds=kinds)
            except Conflict:
                continue
            return (before, after) if differs else None
        raise Conflict(f"shipment {id} changed too often while it was being read again")

    async def delete(self, account: str, id: str, *, now: int) -> None:
        """Forget a shipment: its document, index entries and lanes' future; the change says so once."""
        for _ in range(_ATTEMPTS):
            version, before = await self._one(account, id)
            doc = before.document
            body = self._body(ChangeKind.DELETED, before, before, doc.revision + 1, now)
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

    # ------------------------------------------------------------ the one write

    async def _commit(
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
        self._check_open()
        kinds = changes(before, after) if kinds is None else kinds
        first = before.document.revision if before else 0
        document = structs.replace(after.document, updated_at=now, revision=first + len(kinds))
        after = structs.replace(after, document=document)
        bodies = [self._body(kind, before, after, first + place, now) for place, kind in enumerate(kinds, 1)]
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

    def _check_open(self) -> None:
        """Raise StoreDown where a write might be the one that fills the disk and ends the server."""
        if why := self._closed():
            raise StoreDown(why)

    def _body(self, kind: ChangeKind, before: Shipment | None, after: Shipment, revision: int, now: int) -> bytes:
        url = self._settings.tracking_url.replace("{id}", after.document.id)
        return change_body(kind, before, after, revision=revision, now=now, tracking_url=url)


def _says_something(report: Report) -> bool:
    """Whether a report is worth keeping for a waybill that nobody registered; trouble with a number is not."""
    return bool(report.scans) or bool(report.summary and report.summary.status)


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


def _unstalled(before: Shipment, after: Shipment) -> Shipment:
    """Progress since the stall clears it; so does the end of the journey."""
    stall = after.document.stall
    if stall is None or (after.status.open and not _progressed(before, after)):
        return after
    return derive(structs.replace(after.document, stall=None))


def _moved_on(document: Document, seen: int | None) -> bool:
    """Whether somebody changed the shipment between the look that led here and now."""
    return seen is not None and document.revision != seen


def _progressed(before: Shipment, after: Shipment) -> bool:
    if after.progress is None or after.progress == before.progress:
        return False
    return before.progress is None or after.progress.time.instant >= before.progress.time.instant


def _worth_writing(before: Shipment, after: Shipment) -> bool:
    """Whether a reader would see a difference, another source tells the same, or the carrier's trouble is a new one."""
    return differ(before, after) or told_by(before) != told_by(after) or _troubles(before) != _troubles(after)


def _troubles(shipment: Shipment) -> list[str]:
    return [s.problem.kind.value for s in shipment.document.sources if s.problem]


def _with_successor(document: Document, report: Report) -> Document:
    """The next carrier's number and the pieces' numbers are aliases of the shipment."""
    if report.summary is None:
        return document
    told = ("".join(number.split()).upper() for number in (report.summary.successor, *report.summary.pieces))
    new = [number for number in dict.fromkeys(told) if number and number not in (document.waybill, *document.aliases)]
    return structs.replace(document, aliases=(*document.aliases, *new)[:50]) if new else document


def _corrected(document: Document, receipt: Receipt, carrier: str) -> Document:
    """The shipment moved to the carrier (its slug) whose number an aggregator says it is, unless another connection has
    told of the parcel: that one knows it under the carrier that it has, and two that disagree move nothing."""
    if carrier in ("", document.carrier):
        return document
    teller = receipt.source.partition("/")[0]
    told = {document.sources[heard.source].name.partition("/")[0] for scan in document.scans for heard in scan.heard}
    return structs.replace(document, carrier=carrier) if told == {teller} else document


def _new_numbers(before: Shipment | None, document: Document) -> tuple[str, ...]:
    if before is None:
        return (document.waybill, *document.aliases)
    return tuple(number for number in document.aliases if number not in before.document.aliases)


def _unknown_carrier(slug: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(slug.lower(), sorted(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`milepost carriers` lists them"
    return f"{slug[:40]!r} is no carrier that we know; {hint}"
