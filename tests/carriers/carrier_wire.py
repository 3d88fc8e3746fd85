"""What an adapter asks through in its tests: the `Http` of the SDK over real HTTP to a peer on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from carriers.sdk import Http, Reply


@dataclass
class Wire:
    """Sends without retries or budget, and keeps the tokens that it was given."""

    session: ClientSession
    base: str
    credentials: Mapping[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def now(self) -> float:
        return 1_778_000_000.0

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        async with self.session.request(method, self.base + url, headers=headers, params=params, data=data) as answer:
            return Reply(answer.status, answer.content_type, await answer.read())

    async def token(self, key: str, obtain: Callable[[Http], Awaitable[tuple[str, float]]]) -> str:
        if key not in self.tokens:
            self.tokens[key], _ = await obtain(self)
        return self.tokens[key]


@dataclass
class Peer:
    """A carrier on loopback: answers each path with what it was told to, and remembers the fields it was sent."""

    answers: dict[str, Callable[[Mapping[str, str]], bytes]]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        fields = {**request.query, **{name: str(value) for name, value in (await request.post()).items()}}
        self.asked.append((request.path, fields))
        return web.Response(body=self.answers[request.path](fields), content_type="application/json")


@asynccontextmanager
async def connected(peer: Peer, credentials: Mapping[str, str]) -> AsyncIterator[Wire]:
    """A wire to `peer`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", peer.handle)
    async with TestServer(app) as server, ClientSession() as session:
        yield Wire(session, str(server.make_url("")).rstrip("/"), credentials)
