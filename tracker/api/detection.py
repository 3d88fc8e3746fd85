"""Detection: whose a number is, by its form, and by what the account has sent before and is connected to."""

from __future__ import annotations

from msgspec import structs

from tracker import habits
from tracker.api.models.detection import Detection, DetectionList, DetectQuery
from tracker.api.route import Call, Routes
from tracker.detect import Hints, detect

routes = Routes("carriers")


@routes("GET", "/detect")
async def detect_carriers(call: Call, query: DetectQuery) -> DetectionList:
    """Whose each number may be, the likeliest first; none where no form fits. `number` may be repeated.

    What the account has sent before and is connected to weighs in where several carriers fit.
    """
    hints = await hints_of(call)
    return DetectionList(detections=[_detection(number, hints) for number in query.number])


async def hints_of(call: Call) -> Hints:
    """What is known of the caller's account."""
    services = call.services
    return await habits.hints_of(
        call.account,
        registry=services.registry,
        connections=services.connections,
        shelves=services.store,
        door=services.ingest,
    )


def _detection(number: str, hints: Hints) -> Detection:
    candidates = [structs.asdict(candidate) for candidate in detect(number, hints)]
    return Detection(number=number, candidates=candidates)  # type: ignore[typeddict-item]
