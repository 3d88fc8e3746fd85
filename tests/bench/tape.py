"""Real writes on a tape: what the door would commit for parcels on their way, to be played into a store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from carriers.registry import Registry, load
from tests.bench.journeys import EVENTS, simulated_number, simulated_push
from tracker.ingest.cleaning import fingerprint
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.model import Shipment
from tracker.stall import StallPolicy, deadline
from tracker.store import SHARDS, Store
from tracker.store.keys import Keys
from tracker.store.types import Committed, Indexed, NewChange, Shelved, Stored, Write

ACCOUNT = "bench"
AGO_S = 3 * 86_400


class Tape:
    """Takes commits as a store would, in memory, and keeps them in order."""

    def __init__(self, shards: int = SHARDS) -> None:
        self._keys = Keys(shards)
        self._ids: dict[str, str] = {}
        self._stored: dict[str, Stored] = {}
        self.writes: list[Write] = []

    def new_id(self, account: str, waybill: str) -> str:
        return self._keys.new_id(self._keys.shard_of(account, waybill))

    async def read(self, ids: Sequence[str]) -> list[Stored | None]:
        return [self._stored.get(id) for id in ids]

    async def find(self, account: str, waybills: Sequence[str]) -> list[str | None]:
        return [self._ids.get(waybill) for waybill in waybills]

    async def commit(self, write: Write) -> Committed:
        self.writes.append(write)
        self._ids |= dict.fromkeys(write.waybills, write.id)
        revision = len(write.changes) + (self._stored[write.id].revision if write.expected else 0)
        self._stored[write.id] = Stored(write.expected + 1, revision, write.document)
        return Committed(write.expected + 1, revision)

    async def delete(
        self,
        account: str,
        id: str,
        expected: int,
        before: Indexed,
        waybills: Sequence[str],
        change: NewChange | None = None,
    ) -> None:
        raise NotImplementedError("nothing is deleted here")

    async def park(
        self, account: str, waybill: str, item: bytes, *, now_ms: int, limit: int, ttl_ms: int, most: int
    ) -> Shelved:
        raise NotImplementedError("every waybill is registered")

    async def parked(self, account: str, waybill: str) -> list[bytes]:
        return []


def registry() -> Registry:
    """The adapters."""
    return load()[0]


def due_at_deadline(shipment: Shipment, now: int) -> int | None:
    """Due when it would stall."""
    end = deadline(shipment, StallPolicy())
    return None if end is None else end * 1000


async def recorded(parcels: range, *, events: int = EVENTS) -> list[Write]:
    """The writes of so many parcels: all registered, then event by event; one commit each."""
    tape, found = Tape(), registry()
    carrier = found.get("simulated")
    assert carrier is not None
    door = Ingest(tape, found, due=due_at_deadline)
    began_at = int(time.time()) - AGO_S
    wanted = [Registration(waybill=simulated_number(place), carrier="simulated") for place in parcels]
    await door.register(ACCOUNT, wanted, now=began_at * 1000)
    for step in range(events):
        for place in parcels:
            body, headers = simulated_push(place, step, began_at)
            reports = carrier.parse(body, headers["Content-Type"])
            heard = (began_at + (step + 1) * 10_800 + place % 3_600) * 1000
            await door.receive(ACCOUNT, "con_bench/push", carrier, reports, fingerprint=fingerprint(body), now=heard)
    return tape.writes


async def play(store: Store, writes: Sequence[Write], *, at_once: int = 512) -> None:
    """Commit the writes, `at_once` under way; those of one parcel stand far enough apart to keep their order."""
    waiting: Iterator[Write] = iter(writes)

    async def work() -> None:
        for write in waiting:
            await store.commit(write)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(work())
