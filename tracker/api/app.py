"""The API as an aiohttp application: the route table, put together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from tracker.api import (
    accounts,
    audit,
    carriers,
    changes,
    connections,
    deliveries,
    detection,
    drift,
    order_stores,
    orders,
    quarantine,
    replay,
    routes,
    shipments,
    subscriptions,
)
from tracker.api.docs import docs_routes
from tracker.api.problems import problems
from tracker.api.route import Route, dispatch, tell_rate
from tracker.api.services import SERVICES, Services
from tracker.ingress.bodies import when_read

PREFIX = "/v1"

TABLE: tuple[Route, ...] = (
    *shipments.routes,
    *changes.routes,
    *orders.routes,
    *order_stores.routes,
    *subscriptions.routes,
    *deliveries.routes,
    *carriers.routes,
    *detection.routes,
    *connections.routes,
    *routes.routes,
    *quarantine.routes,
    *drift.routes,
    *replay.routes,
    *accounts.routes,
    *audit.routes,
)


def api_app(services: Services) -> web.Application:
    """The REST API, to be mounted under /v1."""
    app = web.Application(middlewares=[problems])
    app[SERVICES] = services
    closing = app[changes.CLOSING] = asyncio.Event()
    app[changes.READERS] = Counter()

    async def close(_: web.Application) -> None:
        closing.set()

    app.on_shutdown.append(close)
    app.on_response_prepare.append(tell_rate)
    for route in TABLE:
        app.router.add_route(route.method, route.path, _handler(route), expect_handler=when_read)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, _handler(route))
    return app


def mount(root: web.Application, services: Services) -> None:
    """Add the API under /v1, and its documentation at /openapi.json and /docs."""
    root.add_subapp(PREFIX, api_app(services))
    root.add_routes(docs_routes(TABLE))


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    return partial(dispatch if route.method == "GET" else audit.audited, route)
