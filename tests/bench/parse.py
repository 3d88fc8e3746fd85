"""Parse: each adapter on its own fixtures, against `json.loads` of the same bodies."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import carriers
from carriers.sdk import Carrier, ParseError
from tests.bench.figures import Figure, Sizes, figure
from tests.bench.tape import registry

_HOME = Path(carriers.__path__[0])


async def parse(sizes: Sizes) -> AsyncIterator[Figure]:
    """Microseconds for the mean body of an adapter: cost beside cost, so that less is better."""
    for carrier in registry():
        bodies = _bodies(carrier)
        if bodies:
            ours, plain = _timed(carrier, bodies, sizes)
            kb = sum(map(len, bodies)) / len(bodies) / 1024
            name = f"parse: {carrier.slug}, {len(bodies)} bodies of {kb:.1f} KiB"
            yield figure(name, ours, "µs a body", ceiling=plain, ceiling_is="json.loads")


def _bodies(carrier: Carrier) -> list[bytes]:
    """The JSON fixtures that tell of a parcel."""
    folder = _HOME / carrier.slug / "fixtures"
    files = [*sorted(folder.glob("query-*.json")), *sorted(folder.glob("push-*.json"))]
    bodies = [file.read_bytes() for file in files if not file.name.endswith(".golden.json")]
    return [body for body in bodies if _tells(carrier, body)]


def _tells(carrier: Carrier, body: bytes) -> bool:
    try:
        return any(report.scans for report in carrier.parse(body, "application/json"))
    except ParseError:
        return False


def _timed(carrier: Carrier, bodies: Sequence[bytes], sizes: Sizes) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(sizes.rounds):
        ours.append(_cost(lambda body: carrier.parse(body, "application/json"), bodies, sizes.parse_s))
        plain.append(_cost(json.loads, bodies, sizes.parse_s))
    return ours, plain


def _cost(read: Callable[[bytes], object], bodies: Sequence[bytes], seconds: float) -> float:
    """Microseconds a body, over about so many seconds."""
    for body in bodies:
        read(body)
    times, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        for body in bodies:
            read(body)
        times += len(bodies)
    return took / times * 1e6
