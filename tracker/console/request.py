"""What a page handler has at hand, and how it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from jinja2 import Environment
from msgspec import Struct
from yarl import URL

from tracker.audit import Act, Audit
from tracker.buyer_links import BuyerLinks
from tracker.console.addresses import Addresses
from tracker.console.endpoints import Endpoints
from tracker.console.rendering import words_for
from tracker.console.services import Services
from tracker.console.session import Signer, named
from tracker.console.shops import Shops
from tracker.ingress.bounds import Bounds

LIVE_HEADER = "X-Milepost-Live"  # sent by console.js: wants the changing part of the page alone


class Desk(Struct, frozen=True, kw_only=True):
    """The parts that every page of one console shares."""

    services: Services
    endpoints: Endpoints
    addresses: Addresses
    shops: Shops
    environment: Environment
    signer: Signer
    bounds: Bounds
    audit: Audit | None
    open_account: str
    secure: bool
    links: BuyerLinks | None
    clock: Callable[[], float]


DESK = web.AppKey("desk", Desk)
ACCOUNT = web.RequestKey("account", str)
KEY = web.RequestKey("key", str)  # the id of the key that signed in, "" where nobody had to
LANG = web.RequestKey("lang", str)
BUYER = web.RequestKey("buyer", bool)  # the page is for who bought, and leads nowhere else
OFF = web.RequestKey("off", int)  # endpoints of the account that were switched off


def over_tls(request: web.Request) -> bool:
    """Whether the browser came by HTTPS, to us or to the proxy before us."""
    return request.app[DESK].secure or request.secure


def cookie_of(request: web.Request, cookie: str) -> str:
    """What the browser has of a cookie of ours; "" where nothing."""
    return request.cookies.get(named(cookie, secure=over_tls(request)), "")


def note(request: web.Request, action: str, status: int, *, account: str = "", key: str = "", target: str = "") -> None:
    """Leave it in the account's audit trail, or in the operator's where nobody is who he says."""
    desk = request.app[DESK]
    if desk.audit is None:
        return
    address = desk.bounds.addresses.of(request)
    act = Act(actor="console", key=key, address=address, action=action, target=target, status=status)
    if account:
        desk.audit.note(account, act)
    else:
        desk.audit.stranger(act)


def render(request: web.Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """The page, or for the live refresh only its changing part (`live_` + template), 304 if that is as before."""
    desk = request.app[DESK]
    words = words_for(request[LANG], desk.clock(), desk.services.carrier_name)
    live = LIVE_HEADER in request.headers and "live" in context
    name = f"live_{template}" if live else template
    text = desk.environment.get_template(name).render(_page(request) | words | dict(context))
    response = web.Response(text=text, content_type="text/html", status=status, headers={"Vary": LIVE_HEADER})
    return _unless_known(request, response, text) if live else response


def _page(request: web.Request) -> dict[str, Any]:
    account = request.get(ACCOUNT, "")
    return {
        "account": account,
        "demo": bool(request.app[DESK].open_account),
        "path": request.path,
        "lang_url": lambda lang: _here(URL().with_query(request.rel_url.query).update_query(lang=lang)),
        "with_query": lambda **query: _here(URL().with_query(_kept(request, query))),
        "q": request.query.get("q", "")[:128],
        "off": request.get(OFF, 0),
        "live": False,
        "here": "",
        "buyer": request.get(BUYER, False),
    }


def _here(query: URL) -> str:
    """A link to this very page with another query. It names no path: that of `//elsewhere/` would lead there."""
    return str(query) or "?"


def _kept(request: web.Request, change: Mapping[str, str]) -> dict[str, str]:
    query = {name: value for name, value in request.query.items() if name not in ("cursor", "lang")}
    return {name: value for name, value in {**query, **change}.items() if value}


def _unless_known(request: web.Request, response: web.Response, text: str) -> web.Response:
    tag = hashlib.sha256(text.encode()).hexdigest()[:24]
    response.etag = tag
    known = request.if_none_match
    if known and any(etag.value == tag for etag in known):
        return web.Response(status=304, headers={"ETag": f'"{tag}"', "Vary": LIVE_HEADER})
    return response
