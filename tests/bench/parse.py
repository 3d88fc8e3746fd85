"""Parse: each adapter on its own fixtures, against a plain reading of the same bodies: `json.loads`, or ElementTree."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

from msgspec import Struct

import carriers
from carriers.sdk import Carrier, ParseError
from tests.bench.figures import Figure, Mark, Sizes, at_least, at_most, figure
from tests.bench.tape import registry

SLOWEST = 5.0  # times a plain reading
EVENTS_PER_S = 10_000.0

_HOME = Path(carriers.__path__[0])


class Format(Struct, frozen=True):
    """How bodies of one suffix are called, and read without any adapter."""

    content_type: str
    reader: str
    read: Callable[[bytes], object]


FORMATS = {
    ".json": Format("application/json", "json.loads", json.loads),
    ".xml": Format("application/xml", "ElementTree", ElementTree.fromstring),
}


class Body(Struct, frozen=True):
    """A fixture that tells of a parcel, and of how many events."""

    content: bytes
    format: Format
    events: int


async def parse(sizes: Sizes) -> AsyncIterator[Figure]:
    """Of each adapter the microseconds for its mean body, cost beside cost, and the events that it reads in a second;
    then the events of the median adapter."""
    rates: list[float] = []
    for carrier in registry():
        bodies = list(_bodies(carrier))
        if not bodies:
            continue
        ours, plain = _timed(carrier, bodies, sizes)
        readers = " or ".join(sorted({body.format.reader for body in bodies}))
        yield figure(_name(carrier, bodies), ours, "µs a body", ceiling=plain, ceiling_is=readers, marks=_fast_enough)
        events = sum(body.events for body in bodies) / len(bodies)
        seen = [events / cost * 1e6 for cost in ours]
        rates.append(median(seen))
        yield figure(f"parse: {carrier.slug}, {events:.1f} events a body", seen, "events/s", marks=_many_enough)
    yield figure(f"parse: events of the median of {len(rates)} adapters", [median(rates)], "events/s")


def _name(carrier: Carrier, bodies: Sequence[Body]) -> str:
    kb = sum(len(body.content) for body in bodies) / len(bodies) / 1024
    return f"parse: {carrier.slug}, {len(bodies)} bodies of {kb:.1f} KiB"


def _fast_enough(value: float, share: float) -> Iterable[Mark]:
    yield at_most(SLOWEST, share, f"{SLOWEST:.0f} × the plain reading")


def _many_enough(value: float, share: float) -> Iterable[Mark]:
    yield at_least(EVENTS_PER_S, value, f"{EVENTS_PER_S:,.0f} events/s")


# ---------------------------------------------------------------- bodies


def _bodies(carrier: Carrier) -> Iterator[Body]:
    """The fixtures in JSON or XML that tell of a parcel."""
    folder = _HOME / carrier.slug / "fixtures"
    for file in sorted((*folder.glob("query-*"), *folder.glob("push-*"))):
        if file.suffix in FORMATS and not file.name.endswith(".golden.json"):
            content, known = file.read_bytes(), FORMATS[file.suffix]
            if events := _events(carrier, content, known):
                yield Body(content, known, events)


def _events(carrier: Carrier, content: bytes, known: Format) -> int:
    try:
        return sum(len(report.scans) for report in carrier.parse(content, known.content_type))
    except ParseError:
        return 0


# ---------------------------------------------------------------- timing


def _timed(carrier: Carrier, bodies: Sequence[Body], sizes: Sizes) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(sizes.rounds):
        ours.append(_cost(lambda body: carrier.parse(body.content, body.format.content_type), bodies, sizes.parse_s))
        plain.append(_cost(lambda body: body.format.read(body.content), bodies, sizes.parse_s))
    return ours, plain


def _cost(read: Callable[[Body], object], bodies: Sequence[Body], seconds: float) -> float:
    """Microseconds a body, over about so many seconds."""
    for body in bodies:
        read(body)
    times, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        for body in bodies:
            read(body)
        times += len(bodies)
    return took / times * 1e6
