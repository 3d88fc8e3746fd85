"""The pages: stalled parcels, all parcels, one parcel, orders, finding any of them, and what nothing covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from aiohttp import web

from tracker.console.request import ACCOUNT, DESK, KEY, render
from tracker.console.services import Services, View
from tracker.errors import NotFound
from tracker.model import Status
from tracker.orders import OrderQuery, OrderStatus

routes = web.RouteTableDef()

_ORDERS_A_PAGE = 20


@routes.get("/")
async def stalled(request: web.Request) -> web.Response:
    """What has stopped moving, the longest silent first."""
    services, account = _at(request)
    carrier, shop = _asked(request, "carrier"), _asked(request, "shop")
    listed = await services.stalled(account, carrier=carrier, shop=shop, cursor=_cursor(request))
    context = {
        "here": "stalled",
        "counts": await services.counts(account),
        "listed": listed,
        "rows": listed.shipments,
        "carrier": carrier,
        "shop": shop,
        "live": True,
    }
    return render(request, "stalled.html", context)


@routes.get("/parcels")
async def parcels(request: web.Request) -> web.Response:
    """Every parcel, or those of one status, newest first."""
    services, account = _at(request)
    status = _asked(request, "status")
    listed = await services.shipments(account, status=_one_of(Status, status), cursor=_cursor(request))
    counts = await services.counts(account)
    context = {"here": "parcels", "counts": counts, "listed": listed, "status": status, "live": True}
    return render(request, "parcels.html", context)


@routes.get("/parcels/{id}")
async def parcel(request: web.Request) -> web.Response:
    """One parcel's timeline."""
    services, account = _at(request)
    view = await services.shipment(account, request.match_info["id"])
    if view is None:
        raise NotFound("no such parcel")
    context = {"here": "parcel", "view": view, "days": days_of(view["events"]), "live": True}
    return render(request, "parcel.html", context)


@routes.get("/orders")
async def orders(request: web.Request) -> web.Response:
    """My orders, newest first, each with its parcels."""
    services, account = _at(request)
    status, prefix = _asked(request, "status"), _asked(request, "number").strip()
    attention = True if _asked(request, "attention") else None
    query = OrderQuery(
        status=_one_of(OrderStatus, status) or None,
        prefix=prefix,
        needs_attention=attention,
        cursor=_cursor(request),
        limit=_ORDERS_A_PAGE,
    )
    listed = await services.orders(account, query)
    counts = await services.order_counts(account)
    context = {
        "here": "orders",
        "counts": counts,
        "listed": listed,
        "status": status,
        "number": prefix,
        "attention": attention,
        "statuses": [status.value for status in OrderStatus],
        "live": True,
    }
    return render(request, "orders.html", context)


@routes.get("/drift")
async def drift(request: web.Request) -> web.Response:
    """What carriers said that no table covers, the latest first."""
    services, account = _at(request)
    found = await services.drift(account, request[KEY])
    carrier = _asked(request, "carrier")
    context = {
        "here": "drift",
        "rows": [row for row in found if not carrier or row["carrier"] == carrier],
        "carriers": sorted({row["carrier"] for row in found} | ({carrier} if carrier else set())),
        "carrier": carrier,
        "live": True,
    }
    return render(request, "drift.html", context)


@routes.get("/find")
async def find(request: web.Request) -> web.Response:
    """Straight to the parcel or the order of that number; a list where there are several."""
    services, account = _at(request)
    q = _asked(request, "q").strip()
    found = await services.find(account, q) if q else None
    if found and found.order:
        return _lead_to(str(request.rel_url.with_path("/orders").with_query({"number": q})))
    if found and len(found.shipments) == 1:
        return _lead_to(f"/parcels/{found.shipments[0]['id']}")
    return render(request, "find.html", {"found": found.shipments if found else ()})


def _at(request: web.Request) -> tuple[Services, str]:
    return request.app[DESK].services, request[ACCOUNT]


def _lead_to(target: str) -> web.Response:
    return web.Response(status=303, headers={"Location": target})


def _asked(request: web.Request, name: str) -> str:
    return request.query.get(name, "")[:128]


def _cursor(request: web.Request) -> str | None:
    return request.query.get("cursor") or None


def _one_of(kind: type[Status] | type[OrderStatus], value: str) -> str:
    try:
        return kind(value).value if value else ""
    except ValueError:
        raise NotFound(f"no status {value!r}") from None


def days_of(events: Sequence[View]) -> list[Mapping[str, Any]]:
    """The events newest first, grouped by leg and by the day on the carrier's clock."""
    newest_first = reversed(events)
    return [
        {"leg": leg, "first": events[0]["occurred_at"], "events": events}
        for (leg, _), group in groupby(newest_first, key=lambda event: (event["leg"], event["occurred_at"][:10]))
        if (events := list(group))
    ]
