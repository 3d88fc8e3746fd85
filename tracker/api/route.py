"""A handler says all: its signature is the route's contract, for the request's checking and for the OpenAPI page.

A handler takes a `Call`, then any of: its path parameters by name (`id: str`), `query` (a `Query` model) and `body` (a
`Body` model, or `Json` for a body that the service behind checks). What it returns, annotated, is the answer's type.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from tracker.accounts import Identity, Scope, public_part
from tracker.api.checking import Query, body_of, read_query, value_of
from tracker.api.problems import RATE_LIMITED, SCOPE, UNKNOWN_KEY, FieldError, ProblemType, Refusal, invalid
from tracker.api.services import SERVICES, Services
from tracker.ingress.bounds import Bounds

T = TypeVar("T")
H = TypeVar("H", bound=Callable[..., Awaitable[Any]])

RATE = web.RequestKey("rate", dict[str, str])  # what the answer says of the key's quota

IDENTITY = web.RequestKey("identity", Identity)

EVENT_STREAM = "text/event-stream"
_PARAMETER = re.compile(r"\{(\w+)\}")


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
    raw = None if route.body is None else await body_of(route.body, request, services.settings.max_body)
    if route.waits:
        return await _answered(route, request, identity, arguments, raw)
    async with services.bounds.turns.of(identity.account):  # only now: nobody holds a turn with a body that drips
        return await _answered(route, request, identity, arguments, raw)


async def _answered(
    route: Route, request: web.Request, identity: Identity, arguments: dict[str, Any], raw: bytes | None
) -> web.StreamResponse:
    services = request.config_dict[SERVICES]
    if route.body is not None:
        arguments["body"] = value_of(route.body, raw)
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
