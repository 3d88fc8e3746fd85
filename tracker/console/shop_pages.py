"""The pages of order stores: how each does, what it was told, and telling it again."""

from __future__ import annotations

from aiohttp import web

from tracker.console.destination_pages import asked, back, shown
from tracker.console.request import ACCOUNT, DESK, render
from tracker.console.shops import Shops
from tracker.errors import NotFound

routes = web.RouteTableDef()

_DONE = frozenset({"recovered", "reached", "unreached"})  # what a page says that was done


@routes.get("/shops")
async def shops(request: web.Request) -> web.Response:
    """Every order store, those that need somebody first."""
    rows = await _shops(request).all(request[ACCOUNT])
    return render(request, "shops.html", {"here": "shops", "rows": rows, "live": True})


@routes.get("/shops/{id}")
async def shop(request: web.Request) -> web.Response:
    """One order store: why it stands as it does, and what it was told."""
    page = await _shops(request).page(request[ACCOUNT], request.match_info["id"])
    if page is None:
        raise NotFound("no such order store")
    context = await shown(request, page, "shops", _DONE)
    return render(request, "shop.html", context)


@routes.post("/shops/{id}/test")
async def test(request: web.Request) -> web.Response:
    """Ask its platform something that changes nothing, and say what came back."""
    await asked(request)
    probe = await _shops(request).test(request[ACCOUNT], request.match_info["id"])
    if probe is None:
        raise NotFound("no such order store")
    return back(request, "reached" if probe.reached else "unreached")


@routes.post("/shops/{id}/recover")
async def recover(request: web.Request) -> web.Response:
    """Tell it again what was given up."""
    await asked(request)
    count = await _shops(request).recover(request[ACCOUNT], request.match_info["id"])
    if count is None:
        raise NotFound("nothing to tell again")
    return back(request, "recovered", count)


def _shops(request: web.Request) -> Shops:
    return request.app[DESK].shops
