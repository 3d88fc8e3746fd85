"""A carrier on loopback that keeps whole requests: headers and raw bodies, for the adapters that ask in JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from tests.carriers.carrier_wire import Wire


@dataclass
class Asked:
    """One request as the carrier got it; header names in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@asynccontextmanager
async def loopback(
    answers: Mapping[str, bytes], credentials: Mapping[str, str]
) -> AsyncIterator[tuple[Wire, list[Asked]]]:
    """A wire to a carrier that answers each path with 200 and the body in `answers`, and what it was asked."""
    asked: list[Asked] = []

    async def answer(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked.append(Asked(request.path, dict(request.query), headers, await request.read()))
        return web.Response(body=answers[request.path], content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, ClientSession() as session:
        yield Wire(session, str(server.make_url("")).rstrip("/"), credentials), asked
