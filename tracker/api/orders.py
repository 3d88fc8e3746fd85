"""Orders: what a shop states of them, and what became of their parcels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from msgspec import structs

from tracker.accounts import Scope
from tracker.api.checking import Json, instant
from tracker.api.models.orders import OrderBody, OrderList, OrderPut, OrdersQuery, OrderView, Parcel
from tracker.api.models.shipments import Event
from tracker.api.problems import not_found
from tracker.api.registering import Outcome, field_error, item_results, register, view_of
from tracker.api.route import Call, Reply, Routes
from tracker.errors import BadInput
from tracker.model import Document
from tracker.orders import NamedWaybill, Order, OrderQuery, order_view, stated_from

routes = Routes("orders")


@routes("PUT", "/orders/{number}", scope=Scope.WRITE, other={201: "The order is new."}, body=OrderBody)
async def put_order(call: Call, number: str, body: Json) -> Reply[OrderPut]:
    """State an order, or state it anew: what is left out is unset, its parcels stay.

    The waybills that it names are registered under its number; each has its own result.
    """
    stated = stated_from(number, body)
    placed = await call.services.orders.put(call.account, stated, now=call.now)
    outcomes = await _register_named(call, number, placed.waybills)
    answer = OrderPut(order=_view(placed.order), shipments=await item_results(call, outcomes))
    return Reply(answer, 201 if placed.created else 200)


async def _register_named(call: Call, number: str, named: Sequence[NamedWaybill]) -> list[Outcome]:
    items = [structs.asdict(one) | {"order_number": number} for one in named]
    outcomes = await register(call, items, field="waybills")
    return [await _joined(call, number, place, outcome) for place, outcome in enumerate(outcomes)]


async def _joined(call: Call, number: str, place: int, outcome: Outcome) -> Outcome:
    """A waybill that was followed before joins the order that now names it."""
    shipment = outcome.shipment
    if shipment is None or shipment.document.details.order_number == number:
        return outcome

    def join(document: Document) -> Document:
        return structs.replace(document, details=structs.replace(document.details, order_number=number))

    try:
        joined = await call.services.ingest.amend(call.account, shipment.document.id, join, now=call.now)
    except BadInput as error:
        return Outcome(errors=(field_error(error, f"waybills[{place}]"),))
    return structs.replace(outcome, shipment=joined)


@routes("GET", "/orders/{number}")
async def get_order(call: Call, number: str) -> OrderView:
    """One order, with the timeline of each of its parcels."""
    order = await call.services.orders.get(call.account, number)
    if order is None:
        raise not_found()
    return await _with_timelines(call, _view(order))


@routes("GET", "/orders")
async def list_orders(call: Call, query: OrdersQuery) -> OrderList:
    """Orders, newest first; every filter that is given must hold.

    A page may hold fewer than `limit` while there is more, where its orders have many lines or parcels: only a null
    `cursor` is the end.
    """
    page = await call.services.orders.list(call.account, _order_query(query))
    return OrderList(orders=[_view(order) for order in page.orders], cursor=page.cursor)


async def _with_timelines(call: Call, view: OrderView) -> OrderView:
    ids = [parcel["shipment_id"] for parcel in view["parcels"]]
    found = await call.services.ingest.get(call.account, ids) if ids else []
    events: dict[str, list[Event]] = {
        shipment.document.id: view_of(call, shipment, events=True)["events"] for shipment in found if shipment
    }
    parcels = [cast(Parcel, {**parcel, "events": events.get(parcel["shipment_id"], [])}) for parcel in view["parcels"]]
    return cast(OrderView, {**view, "parcels": parcels})


def _view(order: Order) -> OrderView:
    return cast(OrderView, order_view(order))


def _order_query(query: OrdersQuery) -> OrderQuery:
    asked: dict[str, Any] = query.model_dump(include={"paid", "needs_attention", "cursor", "limit"})
    return OrderQuery(
        status=query.status.value if query.status else None,
        placed_from=_instant("placed_from", query.placed_from),
        placed_to=_instant("placed_to", query.placed_to),
        prefix=query.number,
        **asked,
    )


def _instant(field: str, text: str | None) -> int | None:
    return None if text is None else instant(field, text)
