"""Endpoints that do nothing but fail: since when, and when that is enough.

The first failure is remembered here. One that lasts is noted in the store, where it survives a restart and every
process sees it; the first success takes the note away. So a note is written at most once a minute for an endpoint.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from tracker.store.types import Gone, StoreDown

log = structlog.get_logger()

KIND = "failing"  # of the store's records
NOTED_AFTER_S = 60.0
ENOUGH_S = 5 * 86_400.0


class Failing(Struct, frozen=True):
    """An endpoint that has taken nothing `since` (ms); `why`: what the first attempt got."""

    since: int
    why: str


class NoteStore(Protocol):
    """The part of the store that keeps the notes."""

    async def put_record(self, kind: str, account: str, id: str, value: bytes, *, create: bool = False) -> bool: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def records_version(self, kind: str) -> int: ...


GiveUp = Callable[[str, str, Failing], Awaitable[None]]  # account, subscription, since when and why


class Ledger:
    """Hears of every attempt; `keep` writes and reads what must outlive this process. `enough_s`: then `give_up`."""

    def __init__(
        self, store: NoteStore, give_up: GiveUp, *, enough_s: float = ENOUGH_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._give_up = give_up
        self._enough_ms = enough_s * 1000
        self._noted_after_ms = min(NOTED_AFTER_S, enough_s / 2) * 1000
        self._clock = clock
        self._fresh: dict[str, Failing] = {}  # known to this process alone
        self._noted: dict[str, Failing] = {}
        self._version = -1
        self._to_note: dict[tuple[str, str], Failing | None] = {}  # None: take the note away
        self._to_give_up: dict[tuple[str, str], Failing] = {}

    def failing(self, id: str) -> bool:
        """Whether the endpoint is noted as failing."""
        return id in self._noted

    def failed(self, account: str, id: str, why: str) -> None:
        """An attempt failed."""
        now = int(self._clock() * 1000)
        if noted := self._noted.get(id):
            if now - noted.since >= self._enough_ms:
                self._to_give_up[account, id] = noted
            return
        first = self._fresh.setdefault(id, Failing(now, why))
        if now - first.since >= self._noted_after_ms:
            self._to_note[account, id] = first

    def worked(self, account: str, id: str) -> None:
        """An attempt succeeded: all is forgiven."""
        if id in self._fresh:
            del self._fresh[id]
            self._to_note.pop((account, id), None)
        if id in self._noted:
            del self._noted[id]
            self._to_give_up.pop((account, id), None)
            self._to_note[account, id] = None

    async def keep(self) -> None:
        """Write the notes, learn those of others, and give up what failed for long enough."""
        while self._to_note:
            await self._write_one(*self._to_note.popitem())
        if await self._store.records_version(KIND) != self._version:
            await self._reload()
        for (account, id), note in list(self._to_give_up.items()):
            if self._noted.get(id) == note:  # nobody had a success meanwhile
                await self._give_up(account, id, note)
                await self._store.remove_record(KIND, account, id)
            self._to_give_up.pop((account, id), None)

    async def _write_one(self, key: tuple[str, str], note: Failing | None) -> None:
        try:
            await self._write(*key, note)
        except StoreDown:
            self._to_note.setdefault(key, note)
            raise
        except Gone:  # the account was deleted, its notes with it
            pass

    async def _write(self, account: str, id: str, note: Failing | None) -> None:
        if note is None:
            await self._store.remove_record(KIND, account, id)
        elif await self._store.put_record(KIND, account, id, msgspec.json.encode(note), create=True):
            self._fresh.pop(id, None)
            self._noted[id] = note
        else:  # another process noted it before
            self._version = -1

    async def _reload(self) -> None:
        version = await self._store.records_version(KIND)
        self._noted = {id: note for (_, id), note in read_notes(await self._store.records(KIND)).items()}
        self._version = version


def read_notes(records: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], Failing]:
    """(account, subscription) → its note; one that can't be read is logged and left out."""
    found = {}
    for key, record in records.items():
        try:
            found[key] = msgspec.json.decode(record, type=Failing)
        except msgspec.DecodeError as error:
            log.error("note_unreadable", account=key[0], subscription=key[1], error=str(error))
    return found
