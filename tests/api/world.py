"""The API over real services, with two invented carriers; every answer is checked against the route table."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient
from msgspec import Struct
from pydantic import TypeAdapter

from carriers.sdk import Ask, Carrier, Credential, M
from tracker import order_stores
from tracker.accounts import Accounts, Scope
from tracker.api import PREFIX, TABLE, ApiSettings, Services
from tracker.api.problems import CATALOGUE
from tracker.api.route import Route
from tracker.audit import Audit
from tracker.connections.kept import Connections
from tracker.departures import Departures
from tracker.drift.watch import DriftWatch
from tracker.ingest.door import Ingest
from tracker.metrics import Metrics
from tracker.order_stores import OrderStore, OrderStores, Watermarks
from tracker.order_stores.order_store import Probe as ProbeOfStore
from tracker.order_stores.sdk import Platform
from tracker.orders import OrderBook, OrderSettings, open_book
from tracker.redelivery import Redelivery
from tracker.replay import Replay
from tracker.secrets import Sealer, new_key, new_token
from tracker.store import Store
from webhooks.guard import check_url
from webhooks.subscription import Subscription
from webhooks.subscriptions import Probe, Subscriptions

NOW = 1_700_000_000_000


def _needs(ask: Ask) -> str:
    return "" if ask.phone_tail else "phone_tail"


CARRIERS = {
    carrier.slug: carrier
    for carrier in (
        Carrier(
            slug="acme",
            name="Acme Post",
            docs="https://acme.example/docs",
            milestones={"DLV": M.DELIVERED},
            parse=lambda body, content_type: [],
            numbers=[r"AC\d{6}"],
            credentials=[Credential("app_key", "from the console"), Credential("note", "", False, False)],
        ),
        Carrier(
            slug="bolt",
            name="Bolt 快递",
            docs="https://bolt.example/docs",
            milestones={},
            parse=lambda body, content_type: [],
            numbers=[r"BO\d{6}"],
            needs=_needs,
        ),
    )
}


class Registry:
    """The invented carriers, one that only aggregators tell of, and one of the catalogue."""

    def get(self, slug: str) -> Carrier | None:
        return CARRIERS.get(slug)

    def known(self) -> Collection[str]:
        return frozenset(CARRIERS) | {"courier-post", "zto"}


async def _probe(subscription: Subscription, type: str) -> Probe:
    return Probe(delivered=True, status=200, detail=f"{type} to {subscription.url}", id="msg_test_1")


async def _reached(store: OrderStore, platform: Platform) -> ProbeOfStore:
    return ProbeOfStore(True, platform.name)


@contextlib.asynccontextmanager
async def opened(store: Store, directory: Path, *, key: str = "") -> AsyncIterator[Services]:
    """Everything that the API stands on, over a store, with an order book in that directory."""
    registry, sealer, accounts = Registry(), Sealer([key or new_key()]), Accounts(store)
    connections = Connections(store, registry, sealer, check_url=check_url)
    ingest = Ingest(store, registry, due=lambda shipment, now: None)
    platforms, _ = order_stores.load()
    async with open_book(OrderSettings(directory=directory)) as book:
        yield Services(
            store=store,
            ingest=ingest,
            accounts=accounts,
            departures=Departures(store, [book]),
            audit=Audit(store),
            connections=connections,
            subscriptions=Subscriptions(store, sealer, check_url=check_url, probe=_probe),
            redelivery=Redelivery(store, ingest),
            orders=book,
            drift=DriftWatch(store, registry, accounts, Metrics()),
            replay=Replay(ingest, store, connections, registry),
            order_stores=OrderStores(store, platforms, sealer, check_url=check_url, probe=_reached),
            watermarks=Watermarks(store),
            platforms=platforms,
            registry=registry,
            sealer=sealer,
            settings=ApiSettings(tracking_url="https://track.example/p/{}".format, max_body=200_000),
        )


class Answer(Struct):
    """One answer of the API."""

    status: int
    body: Any
    headers: dict[str, str]


class Api:
    """A client that checks the shape of every answer."""

    def __init__(self, client: TestClient[Any, Any] | aiohttp.ClientSession, services: Services) -> None:
        self.client = client
        self.services = services
        self._keys: dict[tuple[str, Scope], str] = {}

    @property
    def store(self) -> Store:
        """The whole store, of which the API sees what it needs."""
        store = self.services.store
        assert isinstance(store, Store)
        return store

    @property
    def book(self) -> OrderBook:
        """The whole order book."""
        book = self.services.orders
        assert isinstance(book, OrderBook)
        return book

    async def account(self, name: str = "") -> str:
        """A new account, by a name of its own."""
        name = name or f"t-{new_token(10).lower()}"
        await self.services.accounts.create(name, now=NOW)
        return name

    async def key(self, account: str, scope: Scope = Scope.ADMIN) -> str:
        """A key of that account and scope."""
        if (account, scope) not in self._keys:
            _, self._keys[account, scope] = await self.services.accounts.create_key(account, [scope], now=NOW)
        return self._keys[account, scope]

    async def call(self, account: str, method: str, path: str, *, scope: Scope = Scope.ADMIN, **how: Any) -> Answer:
        """One call with a key of `account`; the answer's shape is checked."""
        headers = {"Authorization": f"Bearer {await self.key(account, scope)}"} | how.pop("headers", {})
        return await self.raw(method, path, headers=headers, **how)

    async def raw(self, method: str, path: str, **how: Any) -> Answer:
        """One call as it is."""
        async with self.client.request(method, PREFIX + path, **how) as response:
            body = await response.json(content_type=None) if await response.read() else None
            answer = Answer(response.status, body, dict(response.headers))
        check(method, path, answer)
        return answer


def check(method: str, path: str, answer: Answer) -> None:
    """Hold the answer against what the route table says of it."""
    if answer.status >= 400:
        problem = answer.body
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert problem.keys() >= {"type", "title", "status", "detail", "instance"}
        assert problem["status"] == answer.status
        assert problem["type"].removeprefix("/docs#problem-") in CATALOGUE
        return
    route = route_of(method, path)
    assert answer.status in {route.status, *route.other}
    if answer.status != 204:
        TypeAdapter(route.answer).validate_python(answer.body)


def route_of(method: str, path: str) -> Route:
    """The route that serves this path."""
    path = path.partition("?")[0]
    [*found] = (route for route in TABLE if route.method == method and re.fullmatch(pattern(route), path))
    return min(found, key=lambda route: len(route.parameters))


def pattern(route: Route) -> str:
    return re.sub(r"\{\w+\}", "[^/]+", route.path)
