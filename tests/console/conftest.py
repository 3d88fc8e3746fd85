"""A console over a real store, a real ingest and a real order book."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from msgspec import Struct
from pytest_aiohttp import AiohttpClient

from carriers.registry import Registry
from carriers.sdk import Carrier, M, Moment, Report, Scan
from tracker import order_stores
from tracker.accounts import Accounts, Scope
from tracker.audit import Audit
from tracker.buyer_links import BuyerLinks
from tracker.connections.kept import Connections
from tracker.console import ConsoleSettings, console_app
from tracker.console.addresses import Addresses
from tracker.console.endpoints import Endpoints
from tracker.console.queries import CarrierNames, Queries
from tracker.console.shops import Shops
from tracker.drift.watch import DriftWatch
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.ingress.bounds import Bounds
from tracker.metrics import Metrics
from tracker.model import Certainty, Details, Shipment, Stall
from tracker.order_stores.order_store import Probe as ProbeOfStore
from tracker.order_stores.sdk import Platform
from tracker.orders import OrderBook, OrderSettings, open_book
from tracker.redelivery import Redelivery
from tracker.secrets import Sealer, new_key
from tracker.store import Store
from tracker.views import shipment_view
from webhooks.guard import check_url
from webhooks.logbook import told_lately
from webhooks.subscription import Subscription
from webhooks.subscriptions import Probe, Subscriptions

NOW = 1_795_400_000  # s
SECRET = b"a secret of the console, for tests"

ACME = Carrier(
    slug="acme",
    name="Acme Post",
    name_zh="极速快递",
    docs="https://acme.example/docs",
    milestones={
        "PUP": M.PICKED_UP,
        "HUB": M.HUB_ARRIVED,
        "OFD": M.OUT_FOR_DELIVERY,
        "DLV": M.DELIVERED,
    },
    parse=lambda body, content_type: [],
)
JOURNEY = (("PUP", "已揽收"), ("HUB", "到达<b>杭州</b>转运中心"), ("OFD", "正在派送"), ("DLV", "已签收"))

Browser = TestClient[Any, Any]


LINKS = BuyerLinks([new_key()], "https://parcels.example")


def _shown(shipment: Shipment) -> dict[str, Any]:
    return shipment_view(shipment, now=NOW * 1000, tracking_url=LINKS.url(shipment.document.id))


async def _reached(store: order_stores.OrderStore, platform: Platform) -> ProbeOfStore:
    return ProbeOfStore(True, platform.name)


async def _probe(subscription: Subscription, type: str) -> Probe:
    return Probe(delivered=True, status=200, detail="", id="msg_test_1")


class Desk(Struct):
    """What a test needs to make things happen, and to look at the pages."""

    ingest: Ingest
    book: OrderBook
    accounts: Accounts
    queries: Queries
    drift: DriftWatch
    audit: Audit
    browse: Callable[..., Awaitable[Browser]]
    store: Store
    subscriptions: Subscriptions
    connections: Connections
    shops: order_stores.OrderStores

    async def parcel(self, waybill: str, *, scans: int = 0, account: str = "default", **details: Any) -> Shipment:
        """A registered parcel that has come `scans` steps of the journey, an hour each."""
        wanted = Registration(waybill=waybill, carrier="acme", details=Details(**details))
        [registered] = await self.ingest.register(account, [wanted], now=(NOW - 86_400) * 1000)
        assert registered.shipment
        if scans:
            told = tuple(
                Scan(time=Moment(NOW - 36_000 + hour * 3600, 480, Certainty.GIVEN), code=code, text=text)
                for hour, (code, text) in enumerate(JOURNEY[:scans])
            )
            reports = [Report(waybill=waybill, scans=told)]
            await self.ingest.receive(account, "con_1/push", ACME, reports, fingerprint="f0", now=(NOW - 3600) * 1000)
        [shipment] = await self.ingest.get(account, [registered.shipment.document.id])
        assert shipment
        return shipment

    async def stalled(self, waybill: str, *, account: str = "default", **details: Any) -> Shipment:
        """A parcel that was flagged stalled after its hub."""
        shipment = await self.parcel(waybill, scans=2, account=account, **details)
        stall = Stall(NOW * 1000, NOW - 90_000, M.HUB_ARRIVED, 86_400)
        return await self.ingest.flag_stalled(account, shipment.document.id, stall, now=NOW * 1000)


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[OrderBook]:
    async with open_book(OrderSettings(directory=tmp_path)) as opened:
        yield opened


@pytest.fixture
async def desk(store: Store, book: OrderBook, aiohttp_client: AiohttpClient) -> Desk:
    accounts = Accounts(store)
    drift = DriftWatch(store, Registry([ACME]), accounts, Metrics(), clock=lambda: NOW)
    ingest = Ingest(store, Registry([ACME]), due=lambda shipment, now: None, unknown=drift.unknown)
    sealer = Sealer([new_key()])
    subscriptions = Subscriptions(store, sealer, check_url=check_url, probe=_probe, clock=lambda: NOW)
    connections = Connections(store, Registry([ACME]), sealer)
    platforms, _ = order_stores.load()
    shops = order_stores.OrderStores(store, platforms, sealer, check_url=check_url, probe=_reached)
    await accounts.first_start(now=NOW * 1000)
    audit = Audit(store)

    async def authenticate(key: str) -> str | None:
        identity = await accounts.authenticate(key)
        return identity.account if identity and identity.may(Scope.READ) else None

    queries = Queries(
        store=store,
        ingest=ingest,
        book=book,
        show=_shown,
        authenticate=authenticate,
        carriers={"acme": CarrierNames(zh="极速快递", en="Acme Post")},
        drift=drift,
    )

    endpoints = Endpoints(store, subscriptions, Redelivery(store, ingest))
    names = {one.slug: one.name for one in platforms}
    push_urls = (f"https://parcels.example/{way}/{{id}}/{{secret}}" for way in ("hooks", "order-stores"))
    watermarks = order_stores.Watermarks(store)
    addresses = Addresses(store, connections, shops, watermarks, names, *push_urls)

    pages_of_shops = Shops(store, shops, watermarks, names, told_lately)

    async def browse(account: str = "default", bounds: Bounds | None = None, *, secure: bool = False) -> Browser:
        settings = ConsoleSettings(
            secret=SECRET,
            open_account=account,
            secure=secure,
            clock=lambda: NOW,
            audit=audit,
            links=LINKS,
            bounds=bounds,
        )
        client: Browser = await aiohttp_client(console_app(queries, endpoints, addresses, pages_of_shops, settings))
        return client

    return Desk(ingest, book, accounts, queries, drift, audit, browse, store, subscriptions, connections, shops)
