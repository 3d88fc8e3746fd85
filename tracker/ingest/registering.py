"""Waybills that are to be followed: checked, and made shipments with what was parked of them."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection, Sequence

import msgspec
from msgspec import structs

from carriers.sdk import Ask
from tracker.errors import BadInput
from tracker.ingest.cleaning import clean_waybill
from tracker.ingest.judgement import with_successor
from tracker.ingest.reading import AT_ONCE, ATTEMPTS, Reading
from tracker.ingest.types import Parked, Registered, Registration
from tracker.masking import mask_report
from tracker.model import Document, Shipment
from tracker.store.types import Conflict
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge


class Registering(Reading):
    """The door's part that takes registrations."""

    async def register(self, account: str, wanted: Sequence[Registration], *, now: int) -> list[Registered]:
        """Follow waybills; one that is already followed is answered as it stands. Idempotent."""
        done: list[Registered] = []
        for at in range(0, len(wanted), AT_ONCE):
            done += await asyncio.gather(*(self._register(account, one, now) for one in wanted[at : at + AT_ONCE]))
        return done

    async def _register(self, account: str, wanted: Registration, now: int, *, heard: bool = False) -> Registered:
        try:
            wanted = self._checked(wanted, heard=heard)
        except BadInput as error:
            return Registered(error=error)
        for _ in range(ATTEMPTS):
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
            raise BadInput("carrier", unknown_carrier(wanted.carrier, known), code="unknown_carrier")
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


def _ask(waybill: str, wanted: Registration) -> Ask:
    details = wanted.details
    return Ask(
        number=waybill,
        carrier=wanted.carrier,
        phone_tail=details.phone_tail,
        postal_code=details.postal_code,
        ship_date=details.ship_date,
    )


def unknown_carrier(slug: str, known: Collection[str]) -> str:
    """What to say of a carrier that is none, and of those it may have meant."""
    near = difflib.get_close_matches(slug.lower(), sorted(known), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`milepost carriers` lists them"
    return f"{slug[:40]!r} is no carrier that we know; {hint}"
