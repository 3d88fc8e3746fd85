"""The console as an aiohttp application: who may see a page, in which language, and under which headers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from aiohttp import web
from msgspec import Struct

from tracker.audit import Audit
from tracker.buyer_links import BuyerLinks
from tracker.console import address_pages, buyer_pages, endpoint_pages, language, pages, shop_pages, signin
from tracker.console.addresses import Addresses
from tracker.console.endpoints import Endpoints
from tracker.console.rendering import STATIC, STATIC_TYPES, STATIC_VERSION, make_environment
from tracker.console.request import ACCOUNT, DESK, KEY, LANG, LIVE_HEADER, OFF, Desk, note, render
from tracker.console.services import Services
from tracker.console.session import Signer
from tracker.console.shops import Shops
from tracker.errors import BadInput, NotFound
from tracker.ingress.bodies import when_read
from tracker.ingress.bounds import Bounds
from tracker.store.types import StoreDown

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Layer = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_READ_LATE = {"expect_handler": when_read}
_LANG_LIFE_S = 365 * 24 * 3600


class ConsoleSettings(Struct, frozen=True, kw_only=True):
    """How the console runs. `secret` (16 bytes or more) signs its cookies.

    `open_account` shows that account to everybody without a sign-in: for the demo. `secure` marks the cookies for
    HTTPS only, for a daemon behind a proxy that ends TLS. `clock` gives seconds since 1970. `bounds` slow
    down guessing.
    """

    secret: bytes
    open_account: str = ""
    secure: bool = False
    clock: Callable[[], float] = time.time
    bounds: Bounds | None = None
    audit: Audit | None = None  # hears of sign-ins
    links: BuyerLinks | None = None  # without them no buyer has a page


def console_app(
    services: Services, endpoints: Endpoints, addresses: Addresses, shops: Shops, settings: ConsoleSettings
) -> web.Application:
    """The pages over `services` as a site of their own."""
    app = web.Application()
    mount(app, services, endpoints, addresses, shops, settings)
    return app


def mount(
    root: web.Application,
    services: Services,
    endpoints: Endpoints,
    addresses: Addresses,
    shops: Shops,
    settings: ConsoleSettings,
) -> None:
    """Add the pages to a site that may hold other things; only the pages ask for a sign-in."""
    root.middlewares.append(_or_lost)
    root[DESK] = Desk(
        services=services,
        endpoints=endpoints,
        addresses=addresses,
        shops=shops,
        environment=make_environment(),
        signer=Signer(settings.secret),
        bounds=settings.bounds or Bounds(clock=settings.clock),
        audit=settings.audit,
        open_account=settings.open_account,
        secure=settings.secure,
        links=settings.links,
        clock=settings.clock,
    )
    root.add_routes(
        _within(
            [*pages.routes, *endpoint_pages.routes, *address_pages.routes, *shop_pages.routes],
            _admit,
            _explain,
            _audited,
            _speak,
            _headers,
        )
    )
    root.add_routes(_within(signin.routes, _explain, _speak, _headers))
    root.add_routes(_within(buyer_pages.routes, _explain, _speak, _headers))
    root.add_routes(_within([web.get("/static/{name}", _static)], _headers))


def _within(routes: Iterable[web.AbstractRouteDef], *layers: Layer) -> list[web.RouteDef]:
    """The routes with each handler inside the layers, the last one outermost."""
    return [
        web.RouteDef(
            route.method, route.path, _wrapped(route.handler, layers), {"expect_handler": when_read} | route.kwargs
        )
        for route in routes
        if isinstance(route, web.RouteDef)
    ]


def _wrapped(handler: Any, layers: Sequence[Layer]) -> Handler:
    wrapped: Handler = handler
    for layer in layers:
        wrapped = _inside(layer, wrapped)
    return wrapped


def _inside(layer: Layer, handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await layer(request, handler)

    return handle


async def _headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


async def _speak(request: web.Request, handler: Handler) -> web.StreamResponse:
    asked = request.query.get("lang")
    kept = request.cookies.get(language.COOKIE)
    request[LANG] = language.choose(asked, kept, request.headers.get("Accept-Language", ""))
    response = await handler(request)
    if asked in language.LANGUAGES:
        response.set_cookie(language.COOKIE, asked, max_age=_LANG_LIFE_S, samesite="Lax", httponly=True)
    return response


async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except NotFound:
        return render(request, "message.html", {"what": "not_found"}, status=404)
    except BadInput:
        return render(request, "message.html", {"what": "wrong_page"}, status=400)
    except StoreDown:
        return render(request, "message.html", {"what": "store_down"}, status=503)


async def _audited(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if request.method not in ("GET", "HEAD"):
        resource = request.match_info.route.resource
        note(
            request,
            resource.canonical if resource else request.path,
            response.status if ACCOUNT in request else 401,  # a stranger is sent to the sign-in
            account=request.get(ACCOUNT, ""),
            key=request.get(KEY, ""),
            target="/".join(request.match_info.values()),
        )
    return response


async def _admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    open_account = request.app[DESK].open_account
    session = None if open_account else await signin.session_of(request)
    if session is None and not open_account:
        return signin.to_login(request)
    request[ACCOUNT], request[KEY] = (session.account, session.key_id) if session else (open_account, "")
    if wait := _asked_too_often(request):
        response = render(request, "message.html", {"what": "too_often"}, status=429)
        response.headers["Retry-After"] = str(wait)
        return response
    async with request.app[DESK].bounds.turns.of(request[ACCOUNT]):
        if request.method == "GET" and LIVE_HEADER not in request.headers:  # a whole page, with the way to all others
            request[OFF] = await request.app[DESK].endpoints.switched_off(request[ACCOUNT])
        return await handler(request)


def _asked_too_often(request: web.Request) -> int:
    """Seconds to wait: a page counts as a request of the key that signed in."""
    bounds, key = request.app[DESK].bounds, request[KEY]
    if not key:
        return 0
    return bounds.keys.take(key).wait_s or bounds.accounts.take(request[ACCOUNT]).wait_s


@web.middleware
async def _or_lost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A reader who followed a wrong address gets a page in the language of the reader; a program what it had got."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        if request.method not in ("GET", "HEAD") or "text/html" not in request.headers.get("Accept", ""):
            raise
    return await _lost(request)


async def _nowhere(request: web.Request) -> web.StreamResponse:
    """The page for an address that leads nowhere, with the way to the others for who is signed in."""
    open_account = request.app[DESK].open_account
    session = None if open_account else await signin.session_of(request)
    request[ACCOUNT] = session.account if session else open_account
    raise NotFound("no such page")


_lost = _wrapped(_nowhere, (_explain, _speak, _headers))


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound
    fresh = request.query.get("v") == STATIC_VERSION
    headers = {"Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache"}
    kind = STATIC_TYPES[name.rpartition(".")[2]]
    return web.Response(body=STATIC[name], content_type=kind, charset="utf-8", headers=headers)
