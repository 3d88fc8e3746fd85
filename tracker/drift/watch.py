"""The one who hears what nothing covers, writes it every few seconds, and tells of it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import structlog
from msgspec import Struct, structs

from carriers.sdk import Carrier, Report
from tracker.accounts import Account
from tracker.drift.kinds import PATH, Drifting, DriftKind, drifting, key_of, told, with_example
from tracker.drift.shapes import documented, fingerprint_of, shape_of
from tracker.drift.words import LONGEST, masked, skeleton_mark, speaks
from tracker.model import Document
from tracker.normalise import UNKNOWN, classify
from tracker.store.sightings import EVERYBODY, Key
from tracker.store.types import Gone, Sighting
from tracker.underway import written_regularly

KEYS = 100  # codes, texts and shapes of a carrier, each, for an account and for all
_PATHS = 2_000  # of a carrier
_PENDING = 4_000  # keys between two writes; the rest is counted as the rest
_SAMPLE = 64 * 1024  # bytes of a carrier's bodies that are looked at between two writes
_LARGEST = 256 * 1024  # bytes; a larger body is not looked at
_SHAPES = 5_000  # fingerprints of a carrier that are remembered
_KEEP_MS = 90 * 86_400_000
_CODE = 64  # characters

log = structlog.get_logger()


class Shelf(Protocol):
    """The store as drift needs it."""

    async def note(self, account: str, sightings: Sequence[Sighting], *, limit: int) -> list[bool]: ...
    async def sightings(self, account: str) -> list[Sighting]: ...
    async def forget(self, account: str, keys: Collection[Key]) -> None: ...


class Carriers(Protocol):
    """The adapters that are installed."""

    def get(self, slug: str) -> Carrier | None: ...


class Accounts(Protocol):
    """Who there is."""

    async def all(self) -> list[Account]: ...


class Observer(Protocol):
    """Who counts."""

    def unknown_code(self, carrier: str, code: str) -> None: ...
    def empty_body(self, carrier: str) -> None: ...
    def drifted(self, carrier: str, kind: str) -> None: ...


class _Pending:
    """What was heard since the last write."""

    __slots__ = ("count", "first_at", "last_at", "shipment", "text")

    def __init__(self, now: int, text: str, shipment: str) -> None:
        self.count, self.first_at, self.last_at = 1, now, now
        self.text, self.shipment = text, shipment


class _Body(Struct, frozen=True):
    account: str
    carrier: str
    body: bytes


class _Shape(Struct, frozen=True):
    account: str
    carrier: str
    fingerprint: str
    paths: frozenset[str]  # those that this process has not seen before


_Batch = tuple[str, list[Sighting]]  # an account and what it said


class DriftWatch:
    """Hears what nothing covers, and tells of it. `heard` and `unknown` never wait and never fail."""

    def __init__(
        self,
        store: Shelf,
        carriers: Carriers,
        accounts: Accounts,
        observer: Observer,
        *,
        every_s: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._carriers = carriers
        self._accounts = accounts
        self._observer = observer
        self._every_s = every_s
        self._clock = clock
        self._pending: dict[tuple[str, str, DriftKind, str], _Pending] = {}
        self._unsent: list[_Batch] = []
        self._room: dict[str, int] = {}
        self._bodies: list[_Body] = []
        self._seen: defaultdict[str, set[str]] = defaultdict(set)  # fingerprints that bring nothing new
        self._noted: defaultdict[str, set[str]] = defaultdict(set)  # fingerprints that are kept as drift
        self._paths: defaultdict[str, set[str]] = defaultdict(set)
        self._learnt: set[str] = set()  # carriers whose adapters' own bodies are among the paths

    # ------------------------------------------------------------ hearing

    def unknown(self, document: Document, carrier: str, code: str, text: str) -> None:
        """A scan of this shipment that no table and no phrase covers."""
        self._observer.unknown_code(carrier, code)
        kind, key = (DriftKind.CODE, code[:_CODE]) if code else (DriftKind.TEXT, skeleton_mark(text))
        self._count(document.account, carrier, kind, key, text, document.id)

    def heard(self, account: str, carrier: str, body: bytes, reports: Sequence[Report]) -> None:
        """A body that the adapter could read, and what it read there."""
        if not speaks(reports):
            self._observer.empty_body(carrier)
            self._count(account, carrier, DriftKind.EMPTY, "no scans" if reports else "no reports", "", "")
        room = self._room.get(carrier, _SAMPLE)
        if room > 0 and len(body) <= _LARGEST:
            self._room[carrier] = room - len(body)
            self._bodies.append(_Body(account, carrier, body))

    def _count(self, account: str, carrier: str, kind: DriftKind, key: str, text: str, shipment: str) -> None:
        now = round(self._clock() * 1000)
        pending = self._pending.get((account, carrier, kind, key))
        if pending is None and len(self._pending) >= _PENDING:
            key = ""
            pending = self._pending.get((account, carrier, kind, key))
        if pending is None:
            self._pending[account, carrier, kind, key] = _Pending(now, text[: 2 * LONGEST], shipment)
        else:
            pending.count += 1
            pending.last_at = now

    # ------------------------------------------------------------ writing

    async def run(self) -> None:
        """Write what was heard, every few seconds, until cancelled; and once more then."""
        await written_regularly(self._every_s, self.write, first=self.recall)

    async def recall(self) -> None:
        """Learn what is known already, and forget what today's tables cover and what was not said for long."""
        kept = {EVERYBODY: await self._store.sightings(EVERYBODY)}
        for account in await self._accounts.all():
            kept[account.name] = await self._store.sightings(account.name)
        for one in kept[EVERYBODY]:
            self._remember(one)
        mapped = {key_of(one) for some in kept.values() for one in some if not self._still_unknown(one)}
        oldest = round(self._clock() * 1000) - _KEEP_MS
        for owner, some in kept.items():
            await self._store.forget(owner, [key_of(s) for s in some if key_of(s) in mapped or _outdated(s, oldest)])

    def _remember(self, one: Sighting) -> None:
        if one.kind == PATH:
            self._paths[one.carrier].add(one.key)
        elif one.kind == DriftKind.SHAPE:
            self._noted[one.carrier].add(one.key)

    def _still_unknown(self, one: Sighting) -> bool:
        carrier = self._carriers.get(one.carrier)
        if carrier is None or not one.key or one.kind not in (DriftKind.CODE, DriftKind.TEXT):
            return True
        return classify(carrier.milestones, one.key if one.kind == DriftKind.CODE else "", one.text) is UNKNOWN

    async def write(self) -> None:
        """Write what was heard. What the store does not take is kept until it does."""
        if not self._unsent:
            await self._look_at_bodies()
            self._unsent = self._batches()
        while self._unsent:
            await self._send(*self._unsent[0])
            del self._unsent[0]

    async def _send(self, account: str, sightings: list[Sighting]) -> None:
        try:
            new = await self._store.note(account, sightings, limit=KEYS)
        except Gone:  # the account was deleted, and what it said with it
            return
        if account == EVERYBODY:
            for one in (sighting for sighting, fresh in zip(sightings, new, strict=True) if fresh):
                self._observer.drifted(one.carrier, one.kind)
                log.warning("drift", carrier=one.carrier, kind=one.kind, said=one.key)

    def _batches(self) -> list[_Batch]:
        """What was heard: first for everybody, then account by account."""
        pending, self._pending = self._pending, {}
        everybody: dict[Key, Sighting] = {}
        own: defaultdict[str, list[Sighting]] = defaultdict(list)
        for (account, carrier, kind, key), p in pending.items():
            said = Sighting(carrier, kind, key, p.count, p.first_at, p.last_at, masked(p.text)[:LONGEST], p.shipment)
            own[account].append(said)
            fact = said if kind is DriftKind.SHAPE else structs.replace(said, text="", shipment="")
            everybody[key_of(said)] = _sum(everybody.get(key_of(said)), fact)
        return [(EVERYBODY, list(everybody.values())), *own.items()] if pending else []

    # ------------------------------------------------------------ shapes

    async def _look_at_bodies(self) -> None:
        bodies, self._bodies = self._bodies, []
        self._room.clear()
        shapes: list[_Shape] = []
        for body in bodies:
            await asyncio.sleep(0)  # a webhook that waits goes first
            await self._learn(body.carrier)
            shape = self._shape(body)
            if shape:
                shapes.append(shape)
        if shapes:
            await self._note_shapes(shapes)

    async def _learn(self, slug: str) -> None:
        carrier = None if slug in self._learnt else self._carriers.get(slug)
        self._learnt.add(slug)
        if carrier:
            self._paths[slug] |= await asyncio.to_thread(documented, carrier)

    def _shape(self, body: _Body) -> _Shape | None:
        """The shape of a body, if it may be a new one."""
        paths, carrier = shape_of(body.body), body.carrier
        mark = fingerprint_of(paths)
        if mark in self._noted[carrier]:
            self._count(body.account, carrier, DriftKind.SHAPE, mark, "", "")
        elif mark not in self._seen[carrier]:
            if new := paths - self._paths[carrier]:
                return _Shape(body.account, carrier, mark, new)
            self._see(carrier, mark)
        return None

    def _see(self, carrier: str, mark: str) -> None:
        if len(self._seen[carrier]) >= _SHAPES:
            self._seen[carrier].clear()
        self._seen[carrier].add(mark)

    async def _note_shapes(self, shapes: Sequence[_Shape]) -> None:
        """Note the shapes with paths that no process has seen before."""
        now = round(self._clock() * 1000)
        said = [Sighting(shape.carrier, PATH, path, 1, now, now) for shape in shapes for path in sorted(shape.paths)]
        fresh = iter(await self._store.note(EVERYBODY, said, limit=_PATHS))
        for shape in shapes:
            new = [path for path in sorted(shape.paths) if next(fresh)]
            self._paths[shape.carrier] |= shape.paths
            if new:
                self._noted[shape.carrier].add(shape.fingerprint)
                text = "; ".join(new)
                self._count(shape.account, shape.carrier, DriftKind.SHAPE, shape.fingerprint, text, "")

    # ------------------------------------------------------------ telling

    async def of(self, account: str) -> list[Drifting]:
        """What an account's own shipments and bodies said, the latest first."""
        return told(drifting(one, account) for one in await self._store.sightings(account))

    async def of_all(self) -> list[Drifting]:
        """What all of them said, the latest first, each with the latest example."""
        names = [account.name for account in await self._accounts.all()]
        everybody, *own = await asyncio.gather(*map(self._store.sightings, (EVERYBODY, *names)))
        examples: dict[Key, Drifting] = {}
        for name, some in zip(names, own, strict=True):
            for one in some:
                known = examples.get(key_of(one))
                if known is None or known.last_at < one.last_at:
                    examples[key_of(one)] = drifting(one, name)
        return told(with_example(one, examples.get(key_of(one))) for one in everybody if one.kind != PATH)


def _outdated(one: Sighting, oldest: int) -> bool:
    return one.kind != PATH and one.last_at < oldest


def _sum(one: Sighting | None, other: Sighting) -> Sighting:
    if one is None:
        return other
    return structs.replace(
        one,
        count=one.count + other.count,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
        text=other.text or one.text,
    )
