"""What an orchestrator asks: is it alive, is it ready, how is it doing; and the id that every request carries."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import structlog
from aiohttp import web

from tracker.metrics import Metrics
from tracker.secrets import same
from tracker.store.types import StoreDown

_REQUEST_ID = "X-Request-Id"
_PATIENCE_S = 0.9  # an orchestrator's probe waits a second; calls of the store wait longer
_HEAD = secrets.token_hex(4)
_numbers = itertools.count(1)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pinged(Protocol):
    """What readiness asks of the store."""

    async def ping(self) -> None: ...


class Readiness:
    """Whether the daemon can take work, and if not, what it waits for."""

    def __init__(self) -> None:
        self._waiting = "starting"
        self._store: Pinged | None = None
        self._relaxed = False
        self._short = ""

    def waits_for(self, what: str) -> None:
        """Not ready until `opened`."""
        self._waiting = what

    def watch(self, store: Pinged, *, relaxed: bool) -> None:
        """From now on the store must answer; `relaxed` says that acknowledged scans may be lost with the power."""
        self._store, self._relaxed = store, relaxed

    def opened(self) -> None:
        """Ready, as long as the store answers."""
        self._waiting = ""

    def short_of(self, what: str) -> None:
        """Not ready while `what` is not ""."""
        self._short = what

    def draining(self) -> None:
        """No longer ready: this process ends."""
        self._waiting = "draining"

    async def state(self) -> dict[str, object]:
        """`ready`, `waiting_for` and `durability`, as JSON has them."""
        waiting = [why for why in (self._waiting, self._short) if why]
        if self._store:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._store.ping()
            except StoreDown as error:
                waiting.append(f"store: {error}")
            except TimeoutError:
                waiting.append(f"store: no answer within {_PATIENCE_S:g} s")
        return {
            "ready": not waiting,
            "waiting_for": waiting,
            "durability": "relaxed: acknowledged scans can be lost with the power" if self._relaxed else "always",
        }


def app(readiness: Readiness) -> web.Application:
    """The probes alone, while the daemon is still opening its store."""
    lobby = web.Application()
    _add_probes(lobby, readiness)
    lobby.router.add_route("*", "/{rest:.*}", _not_yet)
    return lobby


def add_routes(root: web.Application, readiness: Readiness, metrics: Metrics, *, token: str = "") -> None:
    """`/healthz`, `/readyz` and `/metrics`, which asks for the token where there is one."""
    _add_probes(root, readiness)

    async def page(request: web.Request) -> web.Response:
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if token and not (scheme.lower() == "bearer" and same(sent.strip(), token)):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
        return web.Response(body=metrics.page(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    root.router.add_get("/metrics", page)


def _add_probes(root: web.Application, readiness: Readiness) -> None:
    async def ready(_: web.Request) -> web.Response:
        state = await readiness.state()
        return web.Response(
            body=msgspec.json.encode(state), status=200 if state["ready"] else 503, content_type="application/json"
        )

    root.router.add_get("/healthz", _alive)
    root.router.add_get("/readyz", ready)


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _not_yet(_: web.Request) -> web.Response:
    problem = {"type": "about:blank", "title": "Starting", "status": 503, "detail": "The store is not open yet."}
    return web.Response(
        body=msgspec.json.encode(problem),
        status=503,
        headers={"Retry-After": "1"},
        content_type="application/problem+json",
    )


@web.middleware
async def with_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request in every log line that it causes, and in its answer."""
    name = request.headers.get(_REQUEST_ID, "")[:64] or f"{_HEAD}-{next(_numbers)}"
    structlog.contextvars.bind_contextvars(request_id=name)
    response = await handler(request)
    if not response.prepared:
        response.headers[_REQUEST_ID] = name
    return response
