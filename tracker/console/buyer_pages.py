"""The page of a parcel for its buyer: by its link, without a sign-in, with nothing that is the shop's own affair."""

from __future__ import annotations

from aiohttp import web

from tracker.console.pages import days_of
from tracker.console.request import BUYER, DESK, render
from tracker.console.services import View

routes = web.RouteTableDef()


@routes.get("/parcels/{id}/{proof}")
async def parcel(request: web.Request) -> web.Response:
    """The parcel of the link, and the other ones of its order. Every wrong link gets the same answer."""
    request[BUYER] = True
    desk = request.app[DESK]
    address = desk.bounds.addresses.of(request)
    if wait := desk.bounds.buyers.take(address).wait_s:
        response = _message(request, "too_often", 429)
        response.headers["Retry-After"] = str(wait)
        return response
    id, proof = request.match_info["id"], request.match_info["proof"]
    account = await desk.services.owner(id) if desk.links and desk.links.opens(id, proof) else None
    if account is None:
        return _message(request, "no_parcel", 404)
    async with desk.bounds.turns.of(account):
        view = await desk.services.shipment(account, id)
        if view is None:  # deleted a moment ago
            return _message(request, "no_parcel", 404)
        context = {
            "view": view,
            "days": days_of([event for event in view["events"] if _worth_telling(event)]),
            "others": await desk.services.siblings(account, view),
        }
        return render(request, "buyer.html", context)


def _worth_telling(event: View) -> bool:
    return not (event["retracted"] or event["stray"])


def _message(request: web.Request, what: str, status: int) -> web.Response:
    return render(request, "message.html", {"what": what}, status=status)
