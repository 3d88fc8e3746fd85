"""A whole daemon in the test's own loop, with a subscriber that checks signatures with the official library."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp import web
from standardwebhooks import Webhook

from tracker.app import open_daemon
from tracker.config.loading import load


class Subscriber:
    """An HTTP receiver on loopback. `messages`: (webhook-id, body), in order of arrival."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.secret = ""
        self.port = 0
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        Webhook(self.secret).verify(body.decode(), dict(request.headers))
        self.messages.append((request.headers["webhook-id"], msgspec.json.decode(body)))
        return web.Response(status=204)

    def of(self, waybill: str) -> list[dict[str, Any]]:
        """What arrived for one waybill."""
        return [body for _, body in self.messages if body["data"]["shipment"]["waybill"] == waybill]


class Desk:
    """A caller of the daemon's REST interface."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str) -> None:
        self.http, self.url, self.key = http, url, key
        self._headers = {"Authorization": f"Bearer {key}"}

    async def __call__(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON; an answer that is no 2xx fails the test with its words."""
        status, said = await self.ask(method, path, body)
        assert status < 300, (method, path, status, said)
        return said

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of any answer."""
        async with self.http.request(method, self.url + path, json=body, headers=self._headers) as reply:
            text = await reply.read()
            return reply.status, msgspec.json.decode(text) if text else None


@contextlib.asynccontextmanager
async def running(
    directory: Path, *, store: str = "", ports: Sequence[str] = (), **flags: str
) -> AsyncIterator[tuple[Desk, Subscriber]]:
    """A daemon, a subscriber that is subscribed to everything, and a desk that talks to the daemon.

    `ports` of loopback are open to the daemon besides the subscriber's.
    """
    async with Subscriber() as subscriber, aiohttp.ClientSession() as http:
        settings = load(
            env={},
            flags={
                "data": str(directory),
                "http.port": "0",
                "store.url": store,
                "egress.allow": "127.0.0.0/8",
                "egress.ports": ",".join([str(subscriber.port), *ports]),
                "log.level": "error",
                "roles": "intake,delivery",  # nobody asks the carriers' real addresses
                **flags,
            },
        )
        async with open_daemon(settings) as daemon:
            assert daemon.first_key is not None
            desk = Desk(http, daemon.url, daemon.first_key)
            made = await desk("POST", "/v1/subscriptions", {"url": f"http://127.0.0.1:{subscriber.port}/hook"})
            subscriber.secret = made["secret"]
            yield desk, subscriber


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to have happened."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)
