"""What stands in the store, read as shipments; and what every part of the door is handed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import structs

from carriers.sdk import Carrier, Meaning
from tracker.errors import NotFound
from tracker.ingest.commits import Commits, Silent
from tracker.ingest.types import Carriers, Counters, IngestSettings, Store
from tracker.masking import Mask
from tracker.model import Document, Milestone, Reason, Shipment
from tracker.normalise import UNKNOWN, classify
from tracker.store.types import Stored
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Classify

AT_ONCE = 50  # shipments read, registrations, reports of one body: whoever else waits has a turn between them
ATTEMPTS = 100  # conflicts in a row; of n writers at once one is through each time, so n of them need n

_decode = msgspec.msgpack.Decoder(Document).decode


class Reading:
    """The door's part that reads, and under the others what they are handed."""

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
        """As `Ingest` says."""
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

    async def get(self, account: str, ids: Sequence[str]) -> list[Shipment | None]:
        """The shipments of that account, None for what it does not have."""
        found = await self._store.read(ids)
        shipments = []
        for place, stored in enumerate(found, 1):
            shipments.append(self._read(stored, account))
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)
        return shipments

    async def peek(self, ids: Sequence[str]) -> list[Document | None]:
        """The documents as they lie there, whoever owns them: for the daemon's own rooms, never for a caller."""
        return [document_of(stored) if stored else None for stored in await self._store.read(ids)]

    def _read(self, stored: Stored | None, account: str) -> Shipment | None:
        if stored is None:
            return None
        document = document_of(stored)
        return derive(document) if document.account == account else None

    async def _one(self, account: str, id: str) -> tuple[int, Shipment]:
        [stored] = await self._store.read([id])
        shipment = self._read(stored, account)
        if stored is None or shipment is None:
            raise NotFound(f"no shipment {id}")
        return stored.version, shipment

    def _classify(self, document: Document, carrier: Carrier | None) -> Classify:
        table: Mapping[str, Meaning] = carrier.milestones if carrier else {}
        slug = carrier.slug if carrier else ""

        def read(code: str, text: str) -> tuple[Milestone, Reason | None]:
            meaning = classify(table, code, text)
            if meaning is UNKNOWN:
                self._unknown(document, slug, code, text)
            return meaning.milestone, meaning.reason

        return read


def document_of(stored: Stored) -> Document:
    """A document from its stored form."""
    return structs.replace(_decode(stored.document), revision=stored.revision)
