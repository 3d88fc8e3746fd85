"""Which of its routes a shipment is asked over: the first as long as it speaks, the next where it does not. Pure.

A shipment's routes come in an order. One falls short of a parcel when all it has said for hours is that it knows
nothing, or when it has been silent for half as long as the parcel's stage may take. It is asked again now and then, and
takes over as soon as it speaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from tracker.model import Shipment
from tracker.stall import StallPolicy, limit_of

_PATIENCE_MS = 3 * 3_600_000  # a carrier that does not know a fresh number yet is believed for so long
_AGAIN = 4  # one look in so many goes to a route that fell short


def choose(shipment: Shipment, connections: Sequence[str], policy: StallPolicy, *, now: int) -> int:
    """The place in `connections` (ids, in the order of the routes; at least one) of the one to ask at `now` (ms)."""
    speaking = (place for place, id in enumerate(connections) if not falls_short(shipment, id, policy, now=now))
    best = next(speaking, None)
    if best == 0:
        return 0
    draw = crc32(f"{shipment.document.id}{now}".encode())
    if best is None:
        return draw % len(connections)
    return draw // _AGAIN % best if draw % _AGAIN == 0 else best


def falls_short(shipment: Shipment, connection: str, policy: StallPolicy, *, now: int) -> bool:
    """Whether the connection (its id) does not know the parcel, or has long told of nothing new."""
    doc = shipment.document
    own = {place for place, source in enumerate(doc.sources) if source.name.partition("/")[0] == connection}
    told = max((h.first_at for scan in doc.scans for h in scan.heard if h.source in own), default=0)
    denied = min((doc.sources[place].problem_at for place in own if doc.sources[place].problem), default=0)
    if denied > told:
        return now - denied >= _PATIENCE_MS
    return now - max(told, doc.registered_at) >= limit_of(shipment, policy) * 500
