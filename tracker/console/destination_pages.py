"""What the pages of subscriptions and of order stores answer alike."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aiohttp import web

from tracker.console.destinations import Page
from tracker.console.request import ACCOUNT, DESK, KEY
from tracker.console.signin import form_is_ours, form_token, read
from tracker.errors import NotFound


async def shown(request: web.Request, page: Page, here: str, told: Collection[str]) -> dict[str, Any]:
    """What the template of a destination's page needs; `told`: what it may say that was done."""
    done, count = request.query.get("done", ""), request.query.get("n", "")
    return {
        "here": here,
        "view": page.view,
        "attempts": page.attempts,
        "dead": page.dead,
        "more": page.more,
        "waiting": page.waiting,
        "done": done if done in told else "",
        "n": count if count.isascii() and count.isdigit() else "0",
        "writes": await _may_write(request),
        "form_token": form_token(request),
        "live": True,
    }


async def asked(request: web.Request) -> dict[str, str]:
    """The form, where it is ours and the key may write; to everybody else there is no such page."""
    form = await read(request)
    if not form_is_ours(request, form) or not await _may_write(request):
        raise NotFound("no form of ours")
    return form


def back(request: web.Request, done: str, count: int = 0) -> web.Response:
    """To the page of the destination, which says what was done."""
    target = request.rel_url.parent.with_query(done=done, n=count)
    return web.Response(status=303, headers={"Location": str(target)})


async def _may_write(request: web.Request) -> bool:
    return await request.app[DESK].endpoints.may_write(request[ACCOUNT], request[KEY])
