"""Routes: over which connections a carrier's parcels are asked for, the first one first."""

from __future__ import annotations

from tracker.accounts import Scope
from tracker.api.models.routes import RouteList, RouteOrder, RouteView
from tracker.api.problems import not_found
from tracker.api.registering import check_carrier
from tracker.api.route import Call, Routes

routes = Routes("connections")


@routes("GET", "/routes")
async def list_routes(call: Call) -> RouteList:
    """The orders that the account has set, by carrier; other carriers have the usual one."""
    found = await call.services.connections.orders(call.account)
    return RouteList(routes=[RouteView(carrier=slug, connections=ids) for slug, ids in found.items()])


@routes("PUT", "/routes/{carrier}", scope=Scope.ADMIN)
async def set_route(call: Call, carrier: str, body: RouteOrder) -> RouteView:
    """Ask for the carrier's parcels over these connections: the first, and the next where it fails or falls silent."""
    check_carrier(call.services.registry, carrier)
    await call.services.connections.order(call.account, carrier, body.connections)
    return RouteView(carrier=carrier, connections=body.connections)


@routes("DELETE", "/routes/{carrier}", scope=Scope.ADMIN, status=204)
async def delete_route(call: Call, carrier: str) -> None:
    """Go back to the usual order: the carrier's own connections, then aggregators that know it."""
    if not await call.services.connections.forget_order(call.account, carrier):
        raise not_found()
