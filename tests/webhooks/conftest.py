"""A real receiver, a real sealer and the daemon's way out, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from receiving import ANY_PORT, LOOPBACK, Desk, Receiver

from tracker.secrets import Sealer, new_key
from tracker.store import Store
from webhooks.guard import Guard, guarded_session


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
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with guarded_session(guard=Guard(LOOPBACK, ANY_PORT), timeout=1.0) as session:
        yield session


@pytest.fixture
def desk(store: Store, sealer: Sealer, session: aiohttp.ClientSession) -> Desk:
    return Desk(store, sealer, session)
