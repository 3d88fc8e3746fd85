"""A daemon over the session's store."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.ingress.site import Site, running
from tracker.store import EmbeddedServer, Store

Opened = Callable[..., Awaitable[Site]]


@pytest.fixture
async def opened(store: Store, store_server: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Opened]:
    """Start a daemon with settings of the test's own: `await opened(http__header_s="1")`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**flags: str) -> Site:
            return await stack.enter_async_context(running(tmp_path, store_server.url, **flags))

        yield start


@pytest.fixture
async def site(opened: Opened) -> Site:
    """A daemon as it is by default."""
    return await opened()
