"""The real store for every test: one embedded server for the session, emptied for each test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from redis import Redis

from tests.leftovers import left_since, running
from tracker.store import EmbeddedServer, Store, StoreSettings, open_store

# how long an example takes says how busy the machine is, and nothing of the property
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


@pytest.fixture(autouse=True)
def nothing_outlives_its_test() -> Iterator[None]:
    """What goes on after its test is met by another one, once in a hundred runs."""
    before = running()
    yield
    assert left_since(before) == []


@pytest.fixture(autouse=True)
def what_is_logged_goes_where_it_went() -> Iterator[None]:
    """A test that sets the log up sends it to a stream that is closed after it: the next line ended who wrote it."""
    before, hook = structlog.get_config(), sys.excepthook
    yield
    structlog.configure(**before)
    sys.excepthook = hook


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running server in a directory of its own. Nothing of it lives in an event loop."""
    with EmbeddedServer(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
async def store(store_server: EmbeddedServer) -> AsyncIterator[Store]:
    """An empty store of 64 shards, whatever the test before it left."""
    await store_server.ready()
    with Redis(unix_socket_path=str(store_server.socket)) as server:
        server.flushall()
    settings = StoreSettings(directory=store_server.directory, url=store_server.url)
    async with open_store(settings) as opened:
        yield opened
