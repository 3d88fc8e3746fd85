"""Registrations, item by item: what is well-formed goes through the door, the rest gets its errors in its place."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection, Sequence
from typing import Any, cast

from msgspec import Struct, structs

from tracker.api.checking import validate
from tracker.api.detection import hints_of
from tracker.api.models.common import FieldProblem
from tracker.api.models.shipments import BatchResult, ItemResult, NewShipment, ShipmentView
from tracker.api.problems import FieldError, Refusal
from tracker.api.route import Call
from tracker.api.services import Registry
from tracker.detect import Hints, decided, detect
from tracker.errors import BadInput
from tracker.ingest.types import Registered, Registration
from tracker.model import Details, Shipment
from tracker.views import shipment_view

_AT_ONCE = 20  # items that are read before anybody else may do something; of the first it is guessed what was meant


class Outcome(Struct, frozen=True):
    """What became of one item: a shipment, or errors."""

    shipment: Shipment | None = None
    created: bool = False
    errors: tuple[FieldError, ...] = ()


async def register(call: Call, items: Sequence[Any], *, many: bool = True, field: str = "shipments") -> list[Outcome]:
    """Register each item; `field` (`shipments[3]` if `many`) leads the paths of what is wrong with it."""
    prefixes = [f"{field}[{place}]" if many else "" for place in range(len(items))]
    connections, hints = await _connections(call, items), await _hints(call, items)
    read = []
    for place, (item, prefix) in enumerate(zip(items, prefixes, strict=True)):
        if place % _AT_ONCE == 0:
            await asyncio.sleep(0)
        read.append(_read(call, item, prefix, connections, hints, guess=place < _AT_ONCE))
    wanted = [item for item in read if isinstance(item, Registration)]
    done = iter(await call.services.ingest.register(call.account, wanted, now=call.now) if wanted else ())
    return [
        item if isinstance(item, Outcome) else _outcome(next(done), prefix)
        for item, prefix in zip(read, prefixes, strict=True)
    ]


async def _connections(call: Call, items: Sequence[Any]) -> frozenset[str]:
    """The ids of the account's connections, looked up only where an item names one."""
    if not any(isinstance(item, dict) and item.get("connection") for item in items):
        return frozenset()
    return frozenset(one.id for one in await call.services.connections.all(call.account))


async def _hints(call: Call, items: Sequence[Any]) -> Hints:
    """What helps to find carriers, looked up only where an item names none."""
    lacking = any(isinstance(item, dict) and not item.get("carrier") for item in items)
    return await hints_of(call) if lacking else Hints()


def _outcome(done: Registered, prefix: str) -> Outcome:
    return Outcome(done.shipment, done.created, (field_error(done.error, prefix),) if done.error else ())


def _read(
    call: Call, item: Any, prefix: str, connections: Collection[str], hints: Hints, *, guess: bool
) -> Registration | Outcome:
    try:
        wanted = validate(NewShipment, item, prefix)
        if wanted.connection and wanted.connection not in connections:
            raise BadInput("connection", f"{wanted.connection!r} is no connection of yours", code="unknown_connection")
        return _registration(call.services.registry, wanted, hints, guess=guess)
    except Refusal as refusal:
        return Outcome(errors=refusal.errors)
    except BadInput as error:
        return Outcome(errors=(field_error(error, prefix),))


def _registration(registry: Registry, item: NewShipment, hints: Hints, *, guess: bool) -> Registration:
    carrier = item.carrier or carrier_of(item.waybill, hints)
    check_carrier(registry, carrier, guess=guess)
    details = item.model_dump(exclude={"waybill", "carrier"}) | {"tags": tuple(dict.fromkeys(item.tags))}
    return Registration(waybill=item.waybill, carrier=carrier, details=Details(**details))


def check_carrier(registry: Registry, slug: str, field: str = "carrier", *, guess: bool = True) -> None:
    """Raise BadInput for a carrier that nobody knows; with `guess` it says the nearest slugs, which takes 3 ms."""
    known = registry.known()
    if slug in known:
        return
    near = difflib.get_close_matches(slug.lower(), sorted(known), n=3, cutoff=0.5) if guess else []
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "GET /v1/carriers lists them"
    raise BadInput(field, f"{slug[:64]!r} is no carrier that we know; {hint}", code="unknown_carrier")


def carrier_of(waybill: str, hints: Hints) -> str:
    """The carrier that the number clearly tells; raises BadInput, with the candidates, where it does not."""
    candidates = detect(waybill, hints)
    carrier = decided(candidates, hints.connected)
    if carrier is None:
        likely = ", ".join(f"{one.carrier} ({one.confidence:.0%})" for one in candidates[:5])
        hint = f"this number could be of {likely}" if likely else "GET /v1/carriers lists them"
        raise BadInput("carrier", f"is needed: {hint}", code="required")
    return carrier


def field_error(error: BadInput, prefix: str = "") -> FieldError:
    """A refusal from behind the API, its field below `prefix`."""
    return FieldError(".".join(filter(None, (prefix, error.field))) or "body", error.problem, error.code)


async def item_results(call: Call, outcomes: Sequence[Outcome]) -> list[ItemResult]:
    """The outcomes as the API tells them, in the order of the items."""
    results = []
    for place, outcome in enumerate(outcomes):
        if place % _AT_ONCE == 0:
            await asyncio.sleep(0)
        results.append(_item_result(call, place, outcome))
    return results


def _item_result(call: Call, place: int, outcome: Outcome) -> ItemResult:
    return ItemResult(
        index=place,
        result="failed" if outcome.errors else "created" if outcome.created else "existing",
        shipment=view_of(call, outcome.shipment) if outcome.shipment else None,
        errors=[cast(FieldProblem, structs.asdict(error)) for error in outcome.errors],
    )


def batch_result(results: list[ItemResult]) -> BatchResult:
    """The results with their counts."""
    told = [item["result"] for item in results]
    return BatchResult(
        created=told.count("created"), existing=told.count("existing"), failed=told.count("failed"), results=results
    )


def view_of(call: Call, shipment: Shipment, *, events: bool = False) -> ShipmentView:
    """The shipment as the API shows it."""
    url = call.services.settings.tracking_url(shipment.document.id)
    now = int(call.services.store.clock() * 1000)
    return cast(ShipmentView, shipment_view(shipment, now=now, tracking_url=url, events=events))
