"""Shipments: register, look up, list, amend, retrack, forget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import structs

from tracker.accounts import Scope
from tracker.api.checking import Json, cursors, validate
from tracker.api.models.shipments import (
    BatchResult,
    Counts,
    NewShipment,
    NewShipments,
    ShipmentList,
    ShipmentPatch,
    ShipmentQuery,
    ShipmentView,
    StalledQuery,
    Timeline,
)
from tracker.api.problems import CONFLICT, FieldError, invalid, not_found
from tracker.api.registering import batch_result, check_carrier, item_results, register, view_of
from tracker.api.route import Call, Reply, Routes
from tracker.ingest.cleaning import clean_waybill
from tracker.model import Details, Document, Shipment

routes = Routes("shipments")

_ROUNDS = 20  # reads of the store for one page of a filtered list
Filter = Callable[[Shipment], bool]


# ---------------------------------------------------------------- registering


@routes(
    "POST",
    "/shipments",
    scope=Scope.WRITE,
    status=201,
    other={200: "Registered before; or the results of a batch."},
    body=NewShipment | NewShipments,
)
async def register_shipments(call: Call, body: Json) -> Reply[ShipmentView | BatchResult]:
    """Follow one waybill, or up to 1,000 as `{"shipments": […]}`.

    Idempotent: a waybill that is followed already is answered as it stands. In a batch each item has its own result,
    and a wrong item does not hold up the others; a single wrong registration is refused.
    """
    if isinstance(body, dict) and "shipments" in body:
        items = validate(NewShipments, body).shipments
        return Reply(batch_result(await item_results(call, await register(call, items))), 200)
    [outcome] = await register(call, [body], many=False)
    if outcome.shipment is None:
        raise invalid(outcome.errors)
    return Reply(view_of(call, outcome.shipment), 201 if outcome.created else 200)


# ---------------------------------------------------------------- looking up


@routes("GET", "/shipments/{id}")
async def get_shipment(call: Call, id: str) -> ShipmentView:
    """One shipment with its timeline."""
    return view_of(call, await one(call, id), events=True)


@routes("GET", "/shipments/{id}/timeline")
async def get_timeline(call: Call, id: str) -> Timeline:
    """The events of a shipment in the order in which they happened; stray and retracted ones are marked."""
    view = view_of(call, await one(call, id), events=True)
    return Timeline(
        id=view["id"],
        waybill=view["waybill"],
        carrier=view["carrier"],
        status=view["status"],
        status_label=view["status_label"],
        revision=view["revision"],
        events=view["events"],
    )


async def one(call: Call, id: str) -> Shipment:
    """The shipment of that id in the caller's account; a Refusal otherwise."""
    [shipment] = await call.services.ingest.get(call.account, [id])
    if shipment is None:
        raise not_found()
    return shipment


# ---------------------------------------------------------------- listing


@routes("GET", "/shipments")
async def list_shipments(call: Call, query: ShipmentQuery) -> ShipmentList:
    """Shipments, newest registered first (`stalled=true`: longest silent first); every filter that is given must hold.

    A page may hold fewer than `limit`, even none, while there is more: only a null `cursor` is the end.
    """
    if query.waybill or query.order_number:
        return await _looked_up(call, query)
    return await _scanned(call, query, _filter(query), query.status, query.stalled is True)


@routes("GET", "/stalled")
async def list_stalled(call: Call, query: StalledQuery) -> ShipmentList:
    """The parcels that have stopped moving, longest silent first: since when, for how long, and what was allowed."""
    return await _scanned(call, query, _filter(query), None, True)


@routes("GET", "/counts")
async def count_shipments(call: Call) -> Counts:
    """How many shipments stand at each status, and how many are stalled."""
    return Counts(counts=await call.services.store.counts(call.account))


async def _looked_up(call: Call, query: ShipmentQuery) -> ShipmentList:
    """By number; the cursor is the last id. No more are read than the page holds, and one that tells of more."""
    ids = sorted(await _ids(call, query))
    wanted = [id for id in ids if query.cursor is None or id > query.cursor]
    keep, found = _filter(query), list[Shipment]()
    while wanted and len(found) <= query.limit:
        some, wanted = wanted[: query.limit + 1], wanted[query.limit + 1 :]
        found += [shipment for shipment in await _read(call, some) if keep(shipment)]
    page = found[: query.limit]
    return ShipmentList(
        shipments=[view_of(call, shipment) for shipment in page],
        cursor=page[-1].document.id if len(found) > len(page) else None,
    )


async def _ids(call: Call, query: ShipmentQuery) -> set[str]:
    store = call.services.store
    found = []
    if query.waybill:
        found.append(set(await store.find(call.account, [clean_waybill(query.waybill)])) - {None})
    if query.order_number:
        found.append(set(await store.find_order(call.account, query.order_number)))
    return {id for id in set.intersection(*found) if id}


async def _scanned(call: Call, query: StalledQuery, keep: Filter, status: str | None, stalled: bool) -> ShipmentList:
    """Read on until the page is full, the list ends, or enough was read for one call."""
    found: list[Shipment] = []
    cursor, read = query.cursor, 0
    for _ in range(_ROUNDS):
        want = query.limit - len(found)
        with cursors(cursor):
            ids, cursor = await call.services.store.page(
                call.account, status=None if stalled else status, stalled=stalled, cursor=cursor, limit=want
            )
        found += [shipment for shipment in await _read(call, ids) if keep(shipment)]
        read += len(ids)
        if cursor is None or len(found) >= query.limit or read >= call.services.settings.scan_limit:
            break
    return ShipmentList(shipments=[view_of(call, shipment) for shipment in found], cursor=cursor)


async def _read(call: Call, ids: Sequence[str]) -> list[Shipment]:
    found = await call.services.ingest.get(call.account, ids) if ids else []
    return [shipment for shipment in found if shipment]


def _filter(query: StalledQuery) -> Filter:
    tests: list[Filter] = [
        _label_test(name, value) for name in ("shop", "warehouse") if (value := getattr(query, name))
    ]
    if query.carrier:
        tests.append(lambda shipment: shipment.document.carrier == query.carrier)
    if query.tag:
        tests.append(lambda shipment: query.tag in shipment.document.details.tags)
    if isinstance(query, ShipmentQuery):
        tests += _state_tests(query)
    return lambda shipment: all(test(shipment) for test in tests)


def _state_tests(query: ShipmentQuery) -> list[Filter]:
    tests: list[Filter] = []
    if query.status is not None:
        tests.append(lambda shipment: shipment.status is query.status)
    if query.stalled is not None:
        tests.append(lambda shipment: (shipment.document.stall is not None) is query.stalled)
    return tests


def _label_test(name: str, value: str) -> Filter:
    return lambda shipment: getattr(shipment.document.details, name) == value


# ---------------------------------------------------------------- changing


@routes("PATCH", "/shipments/{id}", scope=Scope.WRITE)
async def amend_shipment(call: Call, id: str, body: ShipmentPatch) -> ShipmentView:
    """Change the order number, shop, warehouse, tags, pause or carrier; null clears a label, what is left out stays."""
    await one(call, id)
    if not body.model_fields_set:
        raise invalid([FieldError("body", "names nothing to change", "empty")])
    if body.carrier:
        check_carrier(call.services.registry, body.carrier)
    shipment = await call.services.ingest.amend(call.account, id, _amendment(body), now=call.now)
    return view_of(call, shipment, events=True)


def _amendment(patch: ShipmentPatch) -> Callable[[Document], Document]:
    said: dict[str, Any] = {name: getattr(patch, name) for name in patch.model_fields_set - {"carrier"}}
    details = {name: _cleared(name, value) for name, value in said.items()}

    def amend(document: Document) -> Document:
        amended = structs.replace(document.details, **details)
        return structs.replace(document, details=amended, carrier=patch.carrier or document.carrier)

    return amend


def _cleared(name: str, value: Any) -> Any:
    if value is None:
        return getattr(Details(), name)
    return tuple(dict.fromkeys(value)) if name == "tags" else value


@routes("POST", "/shipments/{id}/retrack", scope=Scope.WRITE, problems=[CONFLICT])
async def retrack_shipment(call: Call, id: str) -> ShipmentView:
    """Ask the carrier again at once, also for what is closed or was given up."""
    return view_of(call, await call.services.ingest.retrack(call.account, id, now=call.now), events=True)


@routes("DELETE", "/shipments/{id}", scope=Scope.WRITE, status=204)
async def delete_shipment(call: Call, id: str) -> None:
    """Forget a shipment; subscribers are told `shipment.deleted` once."""
    await call.services.ingest.delete(call.account, id, now=call.now)
