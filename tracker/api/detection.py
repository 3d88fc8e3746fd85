"""Detection: whose a number is, by its form, and by what the account has sent before and is connected to."""

from __future__ import annotations

from collections import Counter

from msgspec import structs

from tracker.api.models import Detection, DetectionList, DetectQuery
from tracker.api.route import Call, Routes
from tracker.detect import Hints, detect

routes = Routes("carriers")

_REMEMBERED = 200  # of the account's newest shipments


@routes("GET", "/detect")
async def detect_carriers(call: Call, query: DetectQuery) -> DetectionList:
    """Whose each number may be, the likeliest first; none where no form fits. `number` may be repeated.

    What the account has sent before and is connected to weighs in where several carriers fit.
    """
    hints = await hints_of(call)
    return DetectionList(detections=[_detection(number, hints) for number in query.number])


async def hints_of(call: Call) -> Hints:
    """What the account's habits and connections say, and the numbers of installed adapters."""
    registry = call.services.registry
    adapters = {slug: carrier for slug in registry.known() if (carrier := registry.get(slug))}
    connections = await call.services.connections.all(call.account)
    tellers = [adapters[one.carrier] for one in connections if one.enabled and one.carrier in adapters]
    return Hints(
        used=await _used(call),
        connected={slug for teller in tellers for slug in (teller.slug, *teller.carriers.values())},
        numbers={slug: carrier.numbers for slug, carrier in adapters.items()},
    )


async def _used(call: Call) -> Counter[str]:
    ids, _ = await call.services.store.page(call.account, limit=_REMEMBERED)
    found = await call.services.ingest.get(call.account, ids) if ids else []
    return Counter(shipment.document.carrier for shipment in found if shipment)


def _detection(number: str, hints: Hints) -> Detection:
    candidates = [structs.asdict(candidate) for candidate in detect(number, hints)]
    return Detection(number=number, candidates=candidates)  # type: ignore[typeddict-item]
