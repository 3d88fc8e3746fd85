"""The API as a subscriber's program sees it: over HTTP, with the real store, order book and door behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tracker import order_stores
from tracker.accounts import Accounts
from tracker.api import ApiSettings, Services, mount
from tracker.connections import Connections
from tracker.drift import DriftWatch
from tracker.ingest import Ingest
from tracker.metrics import Metrics
from tracker.order_stores import OrderStore, OrderStores
from tracker.order_stores.sdk import Platform
from tracker.order_stores.stores import Probe as ProbeOfStore
from tracker.orders import OrderSettings, open_book
from tracker.redelivery import Redelivery
from tracker.replay import Replay
from tracker.secrets import Sealer, new_key
from webhooks.guard import check_url
from webhooks.subscriptions import Probe, Subscription, Subscriptions

from .world import Api, Registry


async def _probe(subscription: Subscription, type: str) -> Probe:
    return Probe(delivered=True, status=200, detail=f"{type} to {subscription.url}")


async def _reached(store: OrderStore, platform: Platform) -> ProbeOfStore:
    return ProbeOfStore(True, platform.name)


@pytest.fixture
async def api(store: Any, tmp_path: Path, aiohttp_client: Any) -> AsyncIterator[Api]:
    registry, sealer, accounts = Registry(), Sealer([new_key()]), Accounts(store)
    connections = Connections(store, registry, sealer, check_url=check_url)
    ingest = Ingest(store, registry, due=lambda shipment, now: None)
    async with open_book(OrderSettings(directory=tmp_path)) as book:
        platforms, _ = order_stores.load()
        services = Services(
            store=store,
            ingest=ingest,
            accounts=accounts,
            connections=connections,
            subscriptions=Subscriptions(store, sealer, check_url=check_url, probe=_probe),
            redelivery=Redelivery(store, ingest),
            orders=book,
            drift=DriftWatch(store, registry, accounts, Metrics()),
            replay=Replay(ingest, store, connections, registry),
            order_stores=OrderStores(store, platforms, sealer, check_url=check_url, probe=_reached),
            platforms=platforms,
            registry=registry,
            sealer=sealer,
            settings=ApiSettings(tracking_url="https://track.example/p/{id}", max_body=200_000),
        )
        root = web.Application()
        mount(root, services)
        yield Api(await aiohttp_client(root), services)


@pytest.fixture
async def account(api: Api) -> str:
    return await api.account()
