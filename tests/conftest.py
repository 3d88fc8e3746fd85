"""The real store for every test: one embedded server for the session, emptied for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tracker.store import EmbeddedServer, Store, StoreSettings, open_store


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running server in a directory of its own. Nothing of it lives in an event loop."""
    with EmbeddedServer(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
async def store(store_server: EmbeddedServer) -> AsyncIterator[Store]:
    """An empty store of 64 shards."""
    settings = StoreSettings(directory=store_server.directory, url=store_server.url)
    async with open_store(settings) as opened:
        await opened.clear()
        yield opened
