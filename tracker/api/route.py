"""A handler says all: its signature is the route's contract, for the request's checking and for the OpenAPI page.

A handler takes a `Call`, then any of: its path parameters by name (`id: str`), `query` (a `Query` model) and `body` (a
`Body` model, or `Json` for a body that the service behind checks). What it returns, annotated, is the answer's type.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import pydantic_core
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from tracker.accounts import Identity, Scope, public_part
from tracker.api.problems import (
    BAD_JSON,
    BODY_PROBLEMS,
    NOT_JSON_TYPE,
    RATE_LIMITED,
    SCOPE,
    UNKNOWN_KEY,
    FieldError,
    ProblemType,
    Refusal,
    invalid,
)
from tracker.api.services import SERVICES, Services
from tracker.errors import BadInput
from tracker.ingress.bodies import BodyRefused, read_body
from tracker.ingress.bounds import Bounds

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
H = TypeVar("H", bound=Callable[..., Awaitable[Any]])

Json = Any  # a body that is JSON, checked further in

RATE = web.RequestKey("rate", dict[str, str])  # what the answer says of the key's quota

IDENTITY = web.RequestKey("identity", Identity)

EVENT_STREAM = "text/event-stream"
_PARAMETER = re.compile(r"\{(\w+)\}")
_SHORT = 40  # characters of a value that a message repeats
_TOLD = 100  # errors of a body
_HINTS = 5  # unknown fields of a body that are guessed at
_BODY_READ = 1_000  # wrong fields of a body, of which the first are told
_ITEM_READ = 30  # of an item of a batch
_SECRET = ("credentials", "headers")  # fields whose values no message repeats
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Body(BaseModel):
    """A request body: strict types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Query(BaseModel):
    """Query parameters: read from text, no unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Call:
    """One request: who asks, when, and what may be used to answer."""

    services: Services
    identity: Identity
    request: web.Request
    now: int  # ms

    @property
    def account(self) -> str:
        return self.identity.account


@dataclass(frozen=True)
class Reply(Generic[T]):
    """An answer with a status other than the route's own."""

    value: T
    status: int


@dataclass(frozen=True, kw_only=True)
class Route:
    """One entry of the route table: all that checking, dispatch and the OpenAPI page need."""

    method: str
    path: str
    tag: str
    handler: Callable[..., Awaitable[Any]]
    scope: Scope
    status: int
    other: dict[int, str]  # further good answers: status → when
    problems: tuple[ProblemType, ...]
    query: type[Query] | None
    body: Any  # a Body model, a union of such, Json, or None
    body_about: Any  # what the OpenAPI page says of a Json body
    answer: Any
    stream: Callable[..., Awaitable[web.StreamResponse]] | None  # for who accepts `text/event-stream`
    waits: bool  # for somebody else, or for something to happen: it takes no turn of its account meanwhile

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its path parameters."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def name(self) -> str:
        return self.handler.__name__

    @property
    def about(self) -> str:
        """What it does, in its handler's words."""
        return inspect.getdoc(self.handler) or ""


@dataclass
class Routes:
    """The routes of one module, under one heading of the OpenAPI page."""

    tag: str
    table: list[Route] = field(default_factory=list)

    def __iter__(self) -> Iterator[Route]:
        return iter(self.table)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        scope: Scope = Scope.READ,
        status: int = 200,
        other: dict[int, str] | None = None,
        problems: Sequence[ProblemType] = (),
        body: Any = None,
        stream: Callable[..., Awaitable[web.StreamResponse]] | None = None,
        waits: bool = False,
    ) -> Callable[[H], H]:
        """Register the handler; `body` describes to readers what a `Json` body holds.

        `stream` answers, with the same arguments, who accepts `text/event-stream`. `waits`: as `Route` has it.
        """

        def register(handler: H) -> H:
            hints = get_type_hints(handler)
            self.table.append(
                Route(
                    method=method,
                    path=path,
                    tag=self.tag,
                    handler=handler,
                    scope=scope,
                    status=status,
                    other=other or {},
                    problems=tuple(problems),
                    query=hints.get("query"),
                    body=hints.get("body"),
                    body_about=body or hints.get("body"),
                    answer=_answer_type(hints["return"]),
                    stream=stream,
                    waits=waits,
                )
            )
            return handler

        return register


def _answer_type(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Reply else hint


async def dispatch(route: Route, request: web.Request) -> web.StreamResponse:
    """Check who asks, then what is asked, then do it."""
    services = request.config_dict[SERVICES]
    identity = request[IDENTITY] = await _identify(request, services)
    _check_rate(request, services.bounds, identity)
    if not identity.may(route.scope):
        raise Refusal(SCOPE, f"needs scope {route.scope.value!r}, the key has {_names(identity)}")
    arguments: dict[str, Any] = {name: request.match_info[name] for name in route.parameters}
    if route.query is not None:
        arguments["query"] = read_query(route.query, request)
    elif request.query:
        raise invalid([FieldError(name, "unknown parameter", "unknown_field") for name in dict.fromkeys(request.query)])
    raw = None if route.body is None else await _body_of(route.body, request, services.settings.max_body)
    if route.waits:
        return await _answered(route, request, identity, arguments, raw)
    async with services.bounds.turns.of(identity.account):  # only now: nobody holds a turn with a body that drips
        return await _answered(route, request, identity, arguments, raw)


async def _answered(
    route: Route, request: web.Request, identity: Identity, arguments: dict[str, Any], raw: bytes | None
) -> web.StreamResponse:
    services = request.config_dict[SERVICES]
    if route.body is not None:
        arguments["body"] = _value_of(route.body, raw)
    call = Call(services, identity, request, int(services.store.clock() * 1000))
    if route.stream and EVENT_STREAM in request.headers.get("Accept", ""):
        return await route.stream(call, **arguments)
    return _respond(route, await route.handler(call, **arguments))


def _respond(route: Route, result: Any) -> web.Response:
    value, status = (result.value, result.status) if isinstance(result, Reply) else (result, route.status)
    if value is None:
        return web.Response(status=204)
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def _names(identity: Identity) -> str:
    return ", ".join(scope.value for scope in Scope if scope in identity.scopes) or "none"


async def _identify(request: web.Request, services: Services) -> Identity:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    bounds, name = services.bounds, public_part(key.strip())
    _check_guesses(request, bounds, name)
    identity = await services.accounts.authenticate(key.strip()) if scheme.lower() == "bearer" else None
    _check_guesses(request, bounds, name)
    if identity is None:
        (bounds.guessed if key else bounds.unproved)(request)
        detail = "the API key is not known" if key else "no API key: send `Authorization: Bearer mp_…`"
        raise Refusal(UNKNOWN_KEY, detail, headers={"WWW-Authenticate": 'Bearer realm="milepost"'})
    bounds.proved(request, identity.key)
    return identity


def _check_guesses(request: web.Request, bounds: Bounds, name: str) -> None:
    if wait := bounds.wait_s(request, name):
        detail = f"too many wrong keys from your address: wait {wait} s"
        raise Refusal(RATE_LIMITED, detail, headers={"Retry-After": str(wait)})


def _check_rate(request: web.Request, bounds: Bounds, identity: Identity) -> None:
    standing = bounds.keys.take(identity.key)
    request[RATE] = bounds.keys.headers(standing)
    whole = standing if standing.wait_s else bounds.accounts.take(identity.account)
    if whole.wait_s:
        who = "key" if whole is standing else "account"
        request[RATE] |= {"Retry-After": str(whole.wait_s)}
        detail = f"the {who}'s quota is used up: wait {whole.wait_s} s"
        raise Refusal(RATE_LIMITED, detail, extra={"violated-policies": [who]})


async def tell_rate(request: web.Request, response: web.StreamResponse) -> None:
    """Say in every answer to a key what is left of its quota."""
    response.headers.update(request.get(RATE, ()))


def read_query(model: type[M], request: web.Request) -> M:
    """The query parameters as `model`; a Refusal names the wrong ones. Only those that are lists may be repeated."""
    given = {name: request.query.getall(name) for name in request.query}
    lists = {name for name, about in model.model_fields.items() if get_origin(about.annotation) is list}
    twice = [name for name, values in given.items() if len(values) > 1 and name not in lists]
    if twice:
        raise invalid([FieldError(name, "given more than once", "repeated") for name in twice])
    return validate(model, {name: values if name in lists else values[0] for name, values in given.items()})


async def _body_of(kind: Any, request: web.Request, limit: int) -> bytes | None:
    """The body as it came; None where there is none, and none is needed."""
    if not request.can_read_body and needs_nothing(kind):
        return None
    if "Content-Type" in request.headers and not _is_json(request.content_type):
        raise Refusal(NOT_JSON_TYPE, f"{request.content_type!r} is not `application/json`")
    return await read_bytes(request, limit)


def _value_of(kind: Any, raw: bytes | None) -> Any:
    if raw is None:
        return validate(kind, {})
    value = parse_json(raw)
    return value if kind is Json else validate(kind, value)


def needs_nothing(kind: Any) -> bool:
    """Whether a body may be left out: each of its fields has a default."""
    return (
        isinstance(kind, type)
        and issubclass(kind, Body)
        and not any(field.is_required() for field in kind.model_fields.values())
    )


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


async def read_bytes(request: web.Request, limit: int) -> bytes:
    """The body, unpacked, up to `limit` bytes; more is refused without being read."""
    try:
        return await read_body(request, limit)
    except BodyRefused as error:
        raise Refusal(BODY_PROBLEMS[error.status], str(error), headers=error.headers) from None


def parse_json(raw: bytes) -> Any:
    """JSON as Python values; depth is bounded, so that no body can exhaust the stack. Of a name given twice the last
    counts. No text holds a NUL: nothing that we tell people has one, and PostgreSQL keeps none."""
    try:
        value = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(BAD_JSON, str(error)) from None
    if _NUL.search(raw):
        raise Refusal(BAD_JSON, "a text holds the character U+0000")
    return value


def validate(model: type[M], value: Any, prefix: str = "") -> M:
    """`value` as the model; a Refusal names every wrong field, its path below `prefix`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(field_errors(model, error, prefix)) from None


@contextmanager
def cursors(value: str | None, field: str = "cursor", instead: str = "leave it out") -> Iterator[None]:
    """A cursor that the store can't read is the caller's mistake; `instead` says how to begin without one."""
    try:
        yield
    except ValueError:
        problem = f"{_short(value or '')!r} is no cursor of this list: take that of an answer before, or {instead}"
        raise invalid([FieldError(field, problem, "bad_cursor")]) from None


def instant(field: str, text: str) -> int:
    """ISO 8601 with an offset as ms; raises BadInput."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadInput(field, f"{text[:40]!r} is no time: ISO 8601 with an offset, 2026-11-23T00:00:00+08:00")
    return int(at.timestamp() * 1000)


def field_errors(model: type[BaseModel], error: ValidationError, prefix: str = "") -> list[FieldError]:
    """What is wrong, field by field: as many as anybody reads; of a body that is all wrong, how many they are."""
    count = error.error_count()
    if count > (_ITEM_READ if prefix else _BODY_READ):  # telling each costs a hundred times what the check did
        return [FieldError(prefix or "body", f"{count} of its fields are wrong or unknown: /docs has the right ones")]
    found = error.errors(include_url=False, include_context=False)[:_TOLD]
    hints = iter(range(_HINTS))
    return [
        _field_error(
            model, path_of(item["loc"], prefix), item["type"], item["msg"] + _instead_of(item["loc"], item), hints
        )
        for item in found
    ]


def _instead_of(location: Sequence[str | int], item: Mapping[str, Any]) -> str:
    """The value that is wrong, where it is short enough to be read, and no secret."""
    value = item["input"]
    if item["type"] in ("missing", "value_error") or (location and location[0] in _SECRET):
        return ""
    match value:
        case str():
            return f", not {_short(value)!r}"
        case bool() | None:
            return f", not {'null' if value is None else str(value).lower()}"
        case int() | float() if abs(value) < 1e16:
            return f", not {value}"
        case _:
            return ""


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _field_error(model: type[BaseModel], path: str, code: str, message: str, hints: Iterator[int]) -> FieldError:
    if code != "extra_forbidden":
        return FieldError(path or "body", message, code)
    looked = next(hints, None) is not None
    near = difflib.get_close_matches(path.rpartition(".")[2], list(model.model_fields), n=1) if looked else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return FieldError(path, f"unknown field{hint}", "unknown_field")


def path_of(location: Sequence[str | int], prefix: str = "") -> str:
    """`("shipments", 3, "waybill")` → `shipments[3].waybill`."""
    path = prefix
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
