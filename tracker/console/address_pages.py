"""The page of the addresses that take pushes, and the new one in place of an old."""

from __future__ import annotations

from aiohttp import web

from tracker.console.addresses import Addresses, overlaps
from tracker.console.request import ACCOUNT, DESK, KEY, render
from tracker.console.signin import form_is_ours, form_token, read
from tracker.errors import NotFound

routes = web.RouteTableDef()


@routes.get("/addresses")
async def addresses(request: web.Request) -> web.Response:
    """Every address at which carriers and shops push, without its secret."""
    return await _page(request, "", "")


@routes.post("/addresses/{kind}/{id}/rotate")
async def rotate(request: web.Request) -> web.Response:
    """A new address, on the page that answers and never again."""
    form = await read(request)
    hours = {str(one): one for one in overlaps()}.get(form.get("overlap_h", ""))
    if (
        not form_is_ours(request, form)
        or hours is None
        or not await _addresses(request).may_rotate(request[ACCOUNT], request[KEY])
    ):
        raise NotFound("no form of ours")
    view, url = await _addresses(request).rotate(
        request[ACCOUNT],
        request.match_info["kind"],
        request.match_info["id"],
        overlap_s=hours * 3600,
        now=_now(request),
    )
    return await _page(request, view["id"], url)


async def _page(request: web.Request, made: str, url: str) -> web.Response:
    context = {
        "here": "addresses",
        "rows": await _addresses(request).all(request[ACCOUNT], now=_now(request)),
        "made": made,
        "url": url,
        "overlaps": overlaps(),
        "rotates": await _addresses(request).may_rotate(request[ACCOUNT], request[KEY]),
        "form_token": form_token(request),
    }
    return render(request, "addresses.html", context)


def _addresses(request: web.Request) -> Addresses:
    return request.app[DESK].addresses


def _now(request: web.Request) -> int:
    return round(request.app[DESK].clock() * 1000)
