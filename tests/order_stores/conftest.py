"""A peer of each platform, listening on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from aiohttp.test_utils import TestServer

from .peers.http import HousePeer
from .peers.magento import MagentoPeer
from .peers.peer import Peer
from .peers.shopify import ShopifyPeer
from .peers.woocommerce import WooCommercePeer

P = TypeVar("P", bound=Peer)
PEERS: dict[str, type[Peer]] = {
    "http": HousePeer,
    "magento": MagentoPeer,
    "shopify": ShopifyPeer,
    "woocommerce": WooCommercePeer,
}


@asynccontextmanager
async def listening(peer: P) -> AsyncIterator[P]:
    async with TestServer(peer.app()) as server:
        peer.base = str(server.make_url("")).rstrip("/")
        yield peer


@pytest.fixture(params=list(PEERS))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    async with listening(PEERS[request.param]()) as peer:
        yield peer


@pytest.fixture
async def house() -> AsyncIterator[HousePeer]:
    async with listening(HousePeer()) as peer:
        yield peer


@pytest.fixture
async def shopify() -> AsyncIterator[ShopifyPeer]:
    async with listening(ShopifyPeer()) as peer:
        yield peer


@pytest.fixture
async def woocommerce() -> AsyncIterator[WooCommercePeer]:
    async with listening(WooCommercePeer()) as peer:
        yield peer


@pytest.fixture
async def magento() -> AsyncIterator[MagentoPeer]:
    async with listening(MagentoPeer()) as peer:
        yield peer
