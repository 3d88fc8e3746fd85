"""Signing in by API key and out again."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

from tracker.accounts import public_part
from tracker.console.request import DESK, cookie_of, note, over_tls, render
from tracker.console.session import (
    COOKIE,
    FORM_COOKIE,
    FORM_LIFE_S,
    LIFE_S,
    Session,
    named,
    new_nonce,
)
from tracker.ingress.bodies import BodyRefused, read_form

routes = web.RouteTableDef()

_MAX_FORM = 8 * 1024  # bytes
_SAME = ("same-origin", "none")


async def session_of(request: web.Request) -> Session | None:
    """Who is signed in, None for nobody. A revoked key ends its sessions; signing out ends one, copies of it too."""
    desk = request.app[DESK]
    session = desk.signer.open(cookie_of(request, COOKIE), desk.clock())
    if session is None or not await desk.services.still_valid(session):
        return None
    return session


def to_login(request: web.Request) -> web.Response:
    """Send a stranger to the sign-in page, and afterwards back."""
    back = request.rel_url if request.method in ("GET", "HEAD") else request.rel_url.with_path("/")
    target = request.rel_url.with_path("/login").with_query({"next": str(back)})
    return web.Response(status=303, headers={"Location": str(target)})


@routes.get("/login")
async def ask(request: web.Request) -> web.Response:
    """The form."""
    return _form(request)


@routes.post("/login")
async def sign_in(request: web.Request) -> web.Response:
    """Check the key; the cookie that follows says whose it is and nothing more."""
    desk = request.app[DESK]
    form = await read(request)
    key, token = form.get("key", "").strip(), form.get("form", "")
    if not same_origin(request) or not desk.signer.form_is_ours(cookie_of(request, FORM_COOKIE), token):
        return _form(request, "login_form_old", status=403)
    bounds, id = desk.bounds, public_part(key)
    wait = bounds.wait_s(request, id)
    account = await desk.services.authenticate(key) if not wait and len(key) <= 256 else None
    if wait := wait or bounds.wait_s(request, id):  # many may have been looked at at once
        return _form(request, "login_throttled", status=429, wait=wait)
    if not account:
        bounds.guessed(request)
        note(request, "sign_in", 401)
        return _form(request, "login_failed", status=401)
    bounds.proved(request, id)
    note(request, "sign_in", 303, account=account, key=id)
    return _welcome(request, Session(account, id, int(desk.clock()) + LIFE_S, new_nonce()))


@routes.post("/logout")
async def sign_out(request: web.Request) -> web.Response:
    """End the session; only a form of our own origin may ask for it."""
    response = web.Response(status=303, headers={"Location": "/login"})
    if same_origin(request):
        _unset(request, response, COOKIE)
        if session := await session_of(request):
            await request.app[DESK].services.end(session)
            note(request, "sign_out", 303, account=session.account, key=session.key_id)
    return response


async def read(request: web.Request) -> dict[str, str]:
    """The form; one that is none has no fields."""
    try:
        return await read_form(request, _MAX_FORM)
    except BodyRefused:
        return {}


def _welcome(request: web.Request, session: Session) -> web.Response:
    response = web.Response(status=303, headers={"Location": _local(request.query.get("next", "/"))})
    _set(request, response, COOKIE, request.app[DESK].signer.seal(session), LIFE_S)
    _unset(request, response, FORM_COOKIE)
    return response


def _form(request: web.Request, problem: str = "", *, status: int = 200, wait: int = 0) -> web.Response:
    nonce = new_nonce()
    context = {"problem": problem, "wait": wait, "form_token": request.app[DESK].signer.form_token(nonce)}
    response = render(request, "login.html", context, status=status)
    _set(request, response, FORM_COOKIE, nonce, FORM_LIFE_S)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _set(request: web.Request, response: web.Response, name: str, value: str, life: int) -> None:
    secure = over_tls(request)
    name = named(name, secure=secure)
    response.set_cookie(name, value, max_age=life, httponly=True, samesite="Lax", secure=secure)


def _unset(request: web.Request, response: web.Response, name: str) -> None:
    secure = over_tls(request)  # without it a browser would not let go of a cookie that is for HTTPS
    response.del_cookie(named(name, secure=secure), httponly=True, samesite="Lax", secure=secure)


def form_token(request: web.Request) -> str:
    """What a form of who is signed in carries, so that it is known to be ours."""
    return request.app[DESK].signer.form_token(cookie_of(request, COOKIE))


def form_is_ours(request: web.Request, form: Mapping[str, str]) -> bool:
    """Whether who is signed in sent it from a page of ours."""
    token = form.get("form", "")
    return same_origin(request) and request.app[DESK].signer.form_is_ours(cookie_of(request, COOKIE), token)


def same_origin(request: web.Request) -> bool:
    """Whether the browser says that the form came from this site; one that says nothing has the token alone."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site in _SAME
    return origin is None or urlsplit(origin).netloc == request.host


def _local(target: str) -> str:
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"
