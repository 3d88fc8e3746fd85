"""The audit trail of the API: every route that changes something leaves one entry, refused or not."""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import Struct

from tracker.accounts import Scope
from tracker.api.checking import cursors
from tracker.api.models.audit import AuditEntry, AuditList
from tracker.api.models.common import Page
from tracker.api.problems import refusal_of
from tracker.api.route import IDENTITY, Call, Route, Routes, dispatch
from tracker.api.services import SERVICES
from tracker.audit import Act, Entry
from tracker.errors import MilepostError
from tracker.views import iso

routes = Routes("accounts and keys")


class _Named(Struct):
    """What an answer may say of the thing that was made."""

    id: str = ""
    name: str = ""


@routes("GET", "/audit", scope=Scope.ADMIN)
async def list_audit(call: Call, query: Page) -> AuditList:
    """Who changed what in the account, latest first: by which key, from where, and whether it was done or refused.

    An entry is there within a second of the act. Carriers' pushes are not among them, nor is what only reads.
    """
    with cursors(query.cursor):
        found, cursor = await call.services.audit.page(call.account, query.cursor, query.limit)
    return AuditList(entries=[_view(entry) for entry in found], cursor=cursor)


async def audited(route: Route, request: web.Request) -> web.StreamResponse:
    """The answer to the request, noted in the trail of whoever asked."""
    try:
        response = await dispatch(route, request)
    except BaseException as error:
        _note(route, request, _status(request, error), "")
        raise
    made = "" if route.parameters or not isinstance(response, web.Response) else _made(response)
    _note(route, request, response.status, made)
    return response


def _status(request: web.Request, error: BaseException) -> int:
    return refusal_of(request, error).kind.status if isinstance(error, MilepostError | web.HTTPException) else 500


def _made(response: web.Response) -> str:
    """What the answer calls the thing that was made."""
    try:
        named = msgspec.json.decode(bytes(response.body or b"{}"), type=_Named)  # type: ignore[arg-type]
    except msgspec.DecodeError:  # a list, or something with a name of another kind
        return ""
    return named.id or named.name


def _note(route: Route, request: web.Request, status: int, made: str) -> None:
    services = request.config_dict[SERVICES]
    identity = request.get(IDENTITY)
    act = Act(
        actor="api",
        key=identity.key if identity else "",
        address=services.bounds.addresses.of(request),
        action=route.name,
        target="/".join(request.match_info[name] for name in route.parameters) or made,
        status=status,
    )
    if identity:
        services.audit.note(identity.account, act)
    else:
        services.audit.stranger(act)


def _view(entry: Entry) -> AuditEntry:
    act = entry.act
    return AuditEntry(
        id=entry.id,
        at=iso(entry.at),
        actor=act.actor,
        key=act.key or None,
        address=act.address or None,
        action=act.action,
        target=act.target or None,
        outcome=act.outcome,
        status=act.status or None,
    )
