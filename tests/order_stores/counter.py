"""A counter where platforms hand in their fulfilments: the handler over the real store, and order stores of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
from aiohttp.test_utils import TestClient

from carriers.registry import load as load_carriers
from tracker import habits
from tracker.connections.kept import Connections
from tracker.detect import Hints
from tracker.ingest.door import Ingest
from tracker.model import Details
from tracker.order_stores import OrderStore, OrderStores, load
from tracker.order_stores.order_store import Probe
from tracker.order_stores.sdk import Platform
from tracker.quarantine import Quarantined
from tracker.secrets import Sealer, new_key
from tracker.store import Store
from webhooks.fulfilments import Fulfilments

SECRET = "not a real secret of an app"
HOLDS: dict[str, dict[str, Any]] = {
    "shopify": {"credentials": {"access_token": "t", "webhook_secret": SECRET}, "base": "https://tea.example"},
    "woocommerce": {
        "credentials": {"consumer_key": "k", "consumer_secret": "s", "webhook_secret": SECRET},
        "base": "https://tea.example",
    },
}


async def _unasked(store: OrderStore, platform: Platform) -> Probe:
    raise AssertionError("nobody tests here")


class Counter:
    """The handler over the real store, and order stores to push to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.registry, _ = load_carriers()
        platforms, _ = load()
        sealer = Sealer([new_key()])
        self.order_stores = OrderStores(store, platforms, sealer, check_url=lambda url: None, probe=_unasked)
        self.connections = Connections(store, self.registry, sealer)
        self.ingest = Ingest(store, self.registry, due=lambda shipment, now: None)
        self.bad: list[str] = []
        self.handler = Fulfilments(
            self.ingest, store, self.order_stores, self._hints, self.registry.known, quarantined=self.bad.append
        )
        self.client: TestClient[Any, Any]

    async def _hints(self, account: str) -> Hints:
        return await habits.hints_of(
            account, registry=self.registry, connections=self.connections, shelves=self.store, door=self.ingest
        )

    async def open(self, platform: str, **more: Any) -> OrderStore:
        return await self.order_stores.create("acme", platform=platform, now=1, **(HOLDS[platform] | more))

    async def push(self, to: OrderStore, body: Any, *, secret: str = "", **headers: str) -> int:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = base64.b64encode(hmac.new(SECRET.encode(), raw, hashlib.sha256).digest()).decode()
        told = {
            "shopify": {"X-Shopify-Topic": "fulfillments/create", "X-Shopify-Hmac-Sha256": signed},
            "woocommerce": {"X-WC-Webhook-Topic": "order.updated", "X-WC-Webhook-Signature": signed},
        }[to.platform]
        path = f"/order-stores/{to.id}/{secret or to.path_secret}"
        async with self.client.post(path, data=raw, headers=told | headers) as response:
            return response.status

    async def followed(self) -> list[tuple[str, str, Details]]:
        ids, _ = await self.store.page("acme", limit=500)
        found = [one.document for one in await self.ingest.get("acme", ids) if one]
        return sorted((doc.waybill, doc.carrier, doc.details) for doc in found)

    async def kept(self) -> list[Quarantined]:
        found, _ = await self.store.quarantined("acme")
        return [msgspec.json.decode(entry, type=Quarantined) for _, entry in found]
