"""The simulated carrier's own books: which parcels it knows, what it has told of each, and whom it owes a push."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from tracker.demo.journeys import Journey, Telling, iso, unfold
from tracker.demo.numbers import is_ready, number, plan_of
from tracker.demo.plans import PLANS


@dataclass(eq=False)
class Parcel:
    """One parcel: its journey, and how much of it has been told."""

    journey: Journey
    told: list[dict[str, str]] = field(default_factory=list)
    next: int = 0

    def tell(self) -> Telling:
        """Put the next telling into the history and return it."""
        telling = self.journey.tellings[self.next]
        self.next += 1
        if telling.withdrawn:
            self.told = [scan for scan in self.told if scan is not telling.scan]
        else:
            self.told += [telling.scan] * telling.copies
        return telling

    def due(self) -> float | None:
        """When the next telling is due, seconds since 1970; None when all is told."""
        tellings = self.journey.tellings
        return tellings[self.next].at if self.next < len(tellings) else None

    def answer(self) -> dict[str, Any]:
        """The history as a query's answer shows it: oldest scan first."""
        return {**self._head(), "events": sorted(self.told, key=lambda scan: scan["id"])}

    def news(self, telling: Telling) -> dict[str, Any]:
        """The one scan as a push tells it, once for every copy."""
        return {**self._head(), "events": [telling.scan] * telling.copies}

    def _head(self) -> dict[str, Any]:
        facts, latest = self.journey.facts, max(self.told, key=lambda scan: scan["time"], default=None)
        signed = latest is not None and latest["code"] == "DLV"
        return {
            "number": self.journey.number,
            "service": "INTL-EXP" if self.journey.plan.abroad else "标快",
            "weight_g": int(facts["weight_g"]),
            "origin": facts["origin"],
            "destination": facts["destination"],
            "expected_to": iso(self.journey.expected_at, int(facts["offset"])),
            "signed_by": facts["recipient"] if signed else None,
        }


class Owed(Struct, frozen=True):
    """A push that has not been taken yet."""

    url: str
    body: bytes
    attempt: int = 0


class Due(Struct, frozen=True, order=True):
    """What happens at `at`: a parcel's next telling, or another attempt at a push."""

    at: float
    turn: int
    waybill: str = ""
    owed: Owed | None = None


class Books:
    """All parcels, and the order in which things happen to them.

    A booked number sets out when its pick-up is arranged; any other that is valid, when it is first asked for.
    """

    def __init__(self, *, seed: int, seconds_per_hour: float) -> None:
        self.parcels: dict[str, Parcel] = {}
        self.callbacks: dict[str, set[str]] = {}
        self._agenda: list[Due] = []
        self._waiting: set[str] = set()
        self._seed = seed
        self._pace = seconds_per_hour
        self._serial = 10_000_000 + seed * 10_007 % 70_000_000
        self._turn = 0

    @property
    def next_at(self) -> float | None:
        """When something happens next, seconds since 1970."""
        return self._agenda[0].at if self._agenda else None

    def book(self, plan: str) -> str:
        """A fresh waybill number that will follow `plan` once its pick-up is arranged."""
        self._serial += 1
        waybill = number(plan, self._serial)
        self._waiting.add(waybill)
        return waybill

    def pick_up(self, waybill: str, now: float) -> None:
        """Let a booked parcel set out."""
        self._waiting.discard(waybill)
        self.find(waybill, now)

    def find(self, waybill: str, now: float) -> Parcel | None:
        """The parcel of that number, setting out now if it is new; None if the carrier knows nothing of it."""
        if waybill not in self.parcels:
            plan = PLANS.get(plan_of(waybill) or "")
            if plan is None or not plan.steps or waybill in self._waiting:
                return None
            journey = unfold(waybill, plan, seed=self._seed, start=now, seconds_per_hour=self._pace)
            self.parcels[waybill] = self._set_out(Parcel(journey))
        return self.parcels[waybill]

    def _set_out(self, parcel: Parcel) -> Parcel:
        if is_ready(parcel.journey.number):
            while parcel.due() is not None:
                parcel.tell()
        self._await(parcel)
        return parcel

    def owe(self, at: float, owed: Owed) -> None:
        """Put a push on the agenda."""
        self._add(at, owed=owed)

    def happen(self, now: float) -> Iterator[tuple[Parcel, Telling] | Owed]:
        """Everything that is due by `now`, oldest first."""
        while self._agenda and self._agenda[0].at <= now:
            due = heapq.heappop(self._agenda)
            if due.owed is not None:
                yield due.owed
                continue
            parcel = self.parcels[due.waybill]
            yield parcel, parcel.tell()
            self._await(parcel)

    def _await(self, parcel: Parcel) -> None:
        if (at := parcel.due()) is not None:
            self._add(at, waybill=parcel.journey.number)

    def _add(self, at: float, *, waybill: str = "", owed: Owed | None = None) -> None:
        self._turn += 1
        heapq.heappush(self._agenda, Due(at, self._turn, waybill, owed))
