"""A real receiver, a real sealer and the daemon's way out, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.webhooks.receiving import ANY_PORT, LOOPBACK, Desk, Receiver
from tracker.secrets import Sealer, new_key
from tracker.store import Store
from webhooks.guard import Guard
from webhooks.wire import Wire


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    async with TestServer(app, shutdown_timeout=0.1) as server:
        receiver.root = str(server.make_url("/")).rstrip("/")
        yield receiver


@pytest.fixture
def sealer() -> Sealer:
    return Sealer([new_key()])


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with aclosing(Wire(guard=Guard(LOOPBACK, ANY_PORT))) as wire:
        yield wire


@pytest.fixture
def desk(store: Store, sealer: Sealer, wire: Wire) -> Desk:
    return Desk(store, sealer, wire)
