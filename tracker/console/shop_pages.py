"""The pages of order stores: how each does, what it was told, and telling it again."""

from __future__ import annotations

from aiohttp import web

from tracker.console.endpoint_pages import asked
from tracker.console.request import ACCOUNT, DESK, KEY, cookie_of, render
from tracker.console.session import COOKIE
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
    done, count = request.query.get("done", ""), request.query.get("n", "")
    context = {
        "here": "shops",
        "view": page.view,
        "attempts": page.attempts,
        "dead": page.dead,
        "more": page.more,
        "waiting": page.waiting,
        "resends": False,
        "done": done if done in _DONE else "",
        "n": count if count.isascii() and count.isdigit() else "0",
        "writes": await request.app[DESK].endpoints.may_write(request[ACCOUNT], request[KEY]),
        "form_token": request.app[DESK].signer.form_token(cookie_of(request, COOKIE)),
        "live": True,
    }
    return render(request, "shop.html", context)


@routes.post("/shops/{id}/test")
async def test(request: web.Request) -> web.Response:
    """Ask its platform something that changes nothing, and say what came back."""
    await asked(request)
    probe = await _shops(request).test(request[ACCOUNT], request.match_info["id"])
    if probe is None:
        raise NotFound("no such order store")
    return _back(request, "reached" if probe.reached else "unreached")


@routes.post("/shops/{id}/recover")
async def recover(request: web.Request) -> web.Response:
    """Tell it again what was given up."""
    await asked(request)
    count = await _shops(request).recover(request[ACCOUNT], request.match_info["id"])
    if count is None:
        raise NotFound("nothing to tell again")
    return _back(request, "recovered", count)


def _shops(request: web.Request) -> Shops:
    return request.app[DESK].shops


def _back(request: web.Request, done: str, count: int = 0) -> web.Response:
    target = request.rel_url.with_path(f"/shops/{request.match_info['id']}").with_query(done=done, n=count)
    return web.Response(status=303, headers={"Location": str(target)})
