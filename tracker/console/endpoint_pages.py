"""The pages of webhook subscriptions: how each does, what it was sent, and sending it again."""

from __future__ import annotations

from aiohttp import web

from tracker.console.destination_pages import asked, back, shown
from tracker.console.endpoints import Endpoints
from tracker.console.request import ACCOUNT, DESK, render
from tracker.errors import NotFound

routes = web.RouteTableDef()

_DONE = frozenset(
    {"resumed", "paused", "recovered", "resent", "lost", "tested", "refused", "unheard"}
)  # what a page says that was done


@routes.get("/subscriptions")
async def subscriptions(request: web.Request) -> web.Response:
    """Every subscription, those that need somebody first."""
    rows = await _endpoints(request).all(request[ACCOUNT])
    return render(request, "subscriptions.html", {"here": "subscriptions", "rows": rows, "live": True})


@routes.get("/subscriptions/{id}")
async def subscription(request: web.Request) -> web.Response:
    """One subscription: why it stands as it does, and what it was sent."""
    page = await _endpoints(request).page(request[ACCOUNT], request.match_info["id"])
    if page is None:
        raise NotFound("no such subscription")
    context = await shown(request, page, "subscriptions", _DONE)
    return render(request, "subscription.html", context)


@routes.post("/subscriptions/{id}/resume")
async def resume(request: web.Request) -> web.Response:
    """Switch it on, and let what waits go out."""
    await asked(request)
    await _endpoints(request).resume(*_named(request))
    return back(request, "resumed")


@routes.post("/subscriptions/{id}/pause")
async def pause(request: web.Request) -> web.Response:
    """Keep what happens until it is resumed."""
    await asked(request)
    await _endpoints(request).pause(*_named(request))
    return back(request, "paused")


@routes.post("/subscriptions/{id}/test")
async def test(request: web.Request) -> web.Response:
    """Send a test event, and say what was answered."""
    await asked(request)
    probe = await _endpoints(request).test(*_named(request), now=round(request.app[DESK].clock() * 1000))
    if probe is None:
        raise NotFound("no such subscription")
    done = "tested" if probe.delivered else "refused" if probe.status else "unheard"
    return back(request, done, probe.status)


@routes.post("/subscriptions/{id}/recover")
async def recover(request: web.Request) -> web.Response:
    """Send its dead letters again."""
    await asked(request)
    return _told(request, await _endpoints(request).recover(*_named(request)), "recovered")


@routes.post("/subscriptions/{id}/resend")
async def resend(request: web.Request) -> web.Response:
    """Send one message of its log again."""
    message = (await asked(request)).get("message", "")[:128]
    now = round(request.app[DESK].clock() * 1000)
    sent = await _endpoints(request).resend(*_named(request), message, now=now)
    return _told(request, sent, "resent" if sent else "lost")


def _endpoints(request: web.Request) -> Endpoints:
    return request.app[DESK].endpoints


def _named(request: web.Request) -> tuple[str, str]:
    return request[ACCOUNT], request.match_info["id"]


def _told(request: web.Request, count: int | None, done: str) -> web.Response:
    if count is None:
        raise NotFound("nothing to send again")
    return back(request, done, count)
