"""Every refusal as problem details (RFC 9457): the catalogue, the response, and the middleware that makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from tracker.errors import BadInput, Forbidden, MilepostError, NotFound
from tracker.store.types import Conflict, CursorTooOld, Gone, StoreDown

RETRY_AFTER_S = 2

log = structlog.get_logger(__name__)


class ProblemType(Struct, frozen=True):
    """One kind of refusal; its `type` is a link to its place on the documentation page."""

    code: str
    status: int
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        return f"/docs#problem-{self.code}"


BAD_JSON = ProblemType(
    "bad-json", 400, "Not JSON", "The body is not JSON in UTF-8, or is nested deeper than 200 levels."
)
BAD_REQUEST = ProblemType("bad-request", 400, "Bad request", "The request can't be read as HTTP means it.")
UNKNOWN_KEY = ProblemType("unknown-key", 401, "Unknown API key", "Send `Authorization: Bearer mp_…` with a live key.")
SCOPE = ProblemType("insufficient-scope", 403, "Insufficient scope", "The key lacks the scope that this call needs.")
NOT_FOUND = ProblemType("not-found", 404, "Not found", "No such thing in your account.")
UNKNOWN_PATH = ProblemType("unknown-path", 404, "Unknown path", "The API has no such path; see /docs.")
WRONG_METHOD = ProblemType("wrong-method", 405, "Wrong method", "The path exists; `Allow` lists its methods.")
CONFLICT = ProblemType("conflict", 409, "Conflict", "What is there forbids it, or it was changed at the same moment.")
CURSOR_TOO_OLD = ProblemType(
    "cursor-too-old", 410, "Cursor too old", "The feed is no longer kept from there; `resync` says how to catch up."
)
TOO_LARGE = ProblemType("too-large", 413, "Too large", "The body is larger than this call takes.")
NOT_JSON_TYPE = ProblemType(
    "unsupported-media-type",
    415,
    "Unsupported media type",
    "Send `application/json`, as it is or in one of the codings `gzip` and `deflate`.",
)
TOO_SLOW = ProblemType("too-slow", 408, "Too slow", "The body did not come within its deadline; send it at once.")
INVALID = ProblemType("invalid", 422, "Invalid", "Fields are wrong; `errors` names each of them. Nothing was done.")
RATE_LIMITED = ProblemType(
    "rate-limited",
    429,
    "Too many requests",
    "The key's quota is used up, or too many wrong keys came from the address. Try again after `Retry-After` seconds.",
)
INTERNAL = ProblemType("internal", 500, "Internal error", "Our fault; the log has it under the request's id.")
STORE_DOWN = ProblemType("store-down", 503, "Store unavailable", "Try again after `Retry-After` seconds.")

CATALOGUE: dict[str, ProblemType] = {
    kind.code: kind
    for kind in (
        BAD_JSON,
        BAD_REQUEST,
        UNKNOWN_KEY,
        SCOPE,
        NOT_FOUND,
        UNKNOWN_PATH,
        WRONG_METHOD,
        CONFLICT,
        CURSOR_TOO_OLD,
        TOO_SLOW,
        TOO_LARGE,
        NOT_JSON_TYPE,
        INVALID,
        RATE_LIMITED,
        INTERNAL,
        STORE_DOWN,
    )
}
BODY_PROBLEMS = {400: BAD_REQUEST, 408: TOO_SLOW, 413: TOO_LARGE, 415: NOT_JSON_TYPE}
_BY_STATUS = {kind.status: kind for kind in reversed(CATALOGUE.values())} | {400: BAD_REQUEST}


class FieldError(Struct, frozen=True):
    """One wrong field: its path (`shipments[3].waybill`), what would be right, and a stable code."""

    field: str
    problem: str
    code: str = "invalid"


class Refusal(MilepostError):
    """A problem to answer with."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


def invalid(errors: Sequence[FieldError]) -> Refusal:
    """The refusal of a request whose fields are wrong."""
    if len(errors) == 1:
        return Refusal(INVALID, f"{errors[0].field}: {errors[0].problem}", errors=errors)
    names = ", ".join(error.field for error in errors[:5])
    return Refusal(INVALID, f"{len(errors)} wrong: {names}" if names else "the request is wrong", errors=errors)


def problem_response(request: web.Request, refusal: Refusal) -> web.Response:
    """The refusal as `application/problem+json`."""
    body: dict[str, Any] = {
        "type": refusal.kind.uri,
        "title": refusal.kind.title,
        "status": refusal.kind.status,
        "detail": refusal.detail,
        "instance": request.path,
    }
    if refusal.errors:
        body["errors"] = refusal.errors
    return web.Response(
        status=refusal.kind.status,
        body=msgspec.json.encode(body | refusal.extra),
        content_type="application/problem+json",
        headers=refusal.headers,
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with problem details; an error that nobody foresaw is logged and told as 500."""
    try:
        return await handler(request)
    except (MilepostError, web.HTTPException) as error:
        return problem_response(request, refusal_of(request, error))
    except web.RequestPayloadError:
        return problem_response(request, Refusal(BAD_REQUEST, "the body does not match its Content-Encoding or length"))
    except Exception as error:
        if isinstance(error, ConnectionError) and request.transport is None:
            raise  # nobody is there any more
        log.exception("request failed", method=request.method, path=request.path)
        return problem_response(request, Refusal(INTERNAL, "the request failed on our side"))


def refusal_of(request: web.Request, error: MilepostError | web.HTTPException) -> Refusal:
    """The refusal that an error means; raises it again where it means none."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, web.HTTPException):
        return _of_http(request, error)
    return _of_ours(error)


def _of_ours(error: MilepostError) -> Refusal:
    match error:
        case BadInput():
            kind = _BY_STATUS.get(error.status, INVALID)
            return Refusal(kind, str(error), errors=[FieldError(error.field or "body", error.problem, error.code)])
        case NotFound() | Gone():
            return not_found()
        case Forbidden():
            return Refusal(SCOPE, str(error))
        case Conflict():
            return Refusal(CONFLICT, "changed by someone else at the same moment; send it again")
        case CursorTooOld():
            return Refusal(CURSOR_TOO_OLD, str(error))
        case StoreDown():
            return Refusal(STORE_DOWN, "the store does not answer", headers={"Retry-After": str(RETRY_AFTER_S)})
        case _:
            log.error("request failed", error=repr(error))
            return Refusal(INTERNAL, "the request failed on our side")


def not_found() -> Refusal:
    """The one answer for ids that are unknown and ids that are somebody else's."""
    return Refusal(NOT_FOUND, "no such thing in your account")


def _of_http(request: web.Request, error: web.HTTPException) -> Refusal:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Refusal(WRONG_METHOD, f"{request.method} is not among {allowed}", headers={"Allow": allowed})
        case web.HTTPNotFound():
            return Refusal(UNKNOWN_PATH, f"there is no {request.path}; see /docs")
        case web.HTTPRequestEntityTooLarge():
            return Refusal(TOO_LARGE, "the body is larger than this server takes")
        case _ if error.status in _BY_STATUS:
            return Refusal(_BY_STATUS[error.status], error.reason or HTTPStatus(error.status).phrase)
        case _:
            raise error
