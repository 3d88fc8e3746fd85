"""The API as a subscriber's program sees it: over HTTP, with the real store, order book and door behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpClient

from tracker.api import mount
from tracker.store import Store

from .world import Api, opened


@pytest.fixture
async def api(store: Store, tmp_path: Path, aiohttp_client: AiohttpClient) -> AsyncIterator[Api]:
    async with opened(store, tmp_path) as services:
        root = web.Application()
        mount(root, services)
        yield Api(await aiohttp_client(root), services)


@pytest.fixture
async def account(api: Api) -> str:
    return await api.account()
