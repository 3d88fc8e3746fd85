"""What the API stands on: each service as a protocol, handed over by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web
from msgspec import Struct

from carriers.sdk import Carrier
from tracker.accounts import Accounts
from tracker.audit import Audit
from tracker.buyer_links import no_link
from tracker.departures import Departures
from tracker.drift.kinds import Drifting
from tracker.ingest.types import Registered, Registration
from tracker.ingress.bounds import Bounds
from tracker.model import Document, Shipment
from tracker.order_stores import OrderStores, Platforms, Watermarks
from tracker.orders import Order, OrderPage, OrderQuery, Placed, StatedOrder
from tracker.path_secrets import Address
from tracker.redelivery import Redelivery
from tracker.replay import Page, Wanted
from tracker.secrets import Sealer
from tracker.store.tips import Tip
from tracker.store.types import DeadLetter, FeedPage
from tracker.subscribers import Subscriptions


class ApiSettings(Struct, frozen=True, kw_only=True):
    """Bounds of the API. `tracking_url` makes a shipment's link for its buyer."""

    max_body: int = 2 * 1024 * 1024  # bytes
    max_wait: float = 60.0  # seconds that GET /changes may wait
    scan_limit: int = 2_000  # shipments read at most for one page of a filtered list
    tracking_url: Callable[[str], str] = no_link
    webhook_url: str = "/hooks/{id}/{secret}"  # where carriers push for a connection; a template
    fulfilment_url: str = "/order-stores/{id}/{secret}"  # where a platform pushes for an order store; a template
    first_backfill_s: float = 2 * 86_400.0  # so far back an order store is asked that never was


class Door(Protocol):
    """The one door to shipments."""

    async def get(self, account: str, ids: Sequence[str]) -> list[Shipment | None]: ...
    async def register(self, account: str, wanted: Sequence[Registration], *, now: int) -> list[Registered]: ...
    async def amend(self, account: str, id: str, change: Callable[[Document], Document], *, now: int) -> Shipment: ...
    async def retrack(self, account: str, id: str, *, now: int) -> Shipment: ...
    async def delete(self, account: str, id: str, *, now: int) -> None: ...


class Shelves(Protocol):
    """What the API reads of the store by itself."""

    @property
    def clock(self) -> Callable[[], float]: ...
    async def find(self, account: str, waybills: Sequence[str]) -> list[str | None]: ...
    async def find_order(self, account: str, order_number: str) -> list[str]: ...
    async def page(
        self,
        account: str,
        *,
        status: str | None = None,
        stalled: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[str], str | None]: ...
    async def counts(self, account: str) -> dict[str, int]: ...
    def following(self, account: str) -> AbstractContextManager[Tip]: ...
    async def changes(self, account: str, cursor: str | None, limit: int = 100) -> FeedPage: ...
    async def head(self) -> str: ...
    async def cursor_at(self, at: int) -> str: ...
    async def dead_letters(
        self, account: str, *, destination: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[DeadLetter], str | None]: ...
    async def replay_dead(self, account: str, ids: Sequence[str], *, but: Collection[str] = ()) -> int: ...
    async def lanes(self, destination: str) -> int: ...
    async def delivery_log(self, account: str, destination: str, limit: int = 50) -> list[bytes]: ...
    async def quarantined(
        self, account: str, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[tuple[str, bytes]], str | None]: ...
    async def quarantined_body(self, account: str, id: str) -> bytes | None: ...
    async def release(self, account: str, id: str) -> bool: ...


class Registry(Protocol):
    """The carriers that are installed, and the slugs that registrations may name."""

    def get(self, slug: str) -> Carrier | None: ...
    def known(self) -> Collection[str]: ...


class Orders(Protocol):
    """The order book."""

    async def put(self, account: str, order: StatedOrder, *, now: int) -> Placed: ...
    async def get(self, account: str, number: str) -> Order | None: ...
    async def list(self, account: str, query: OrderQuery) -> OrderPage: ...


class Connection(Address, Protocol):
    """A connection as the API shows it."""

    @property
    def id(self) -> str: ...
    @property
    def carrier(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def base(self) -> str: ...
    @property
    def credentials(self) -> Collection[str]: ...
    @property
    def auto_register(self) -> bool: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def created_at(self) -> int: ...


class Connections(Protocol):
    """The accounts' access to carriers. `said`: the fields of a connection."""

    async def all(self, account: str) -> Sequence[Connection]: ...
    async def get(self, account: str, id: str) -> Connection | None: ...
    async def create(
        self,
        account: str,
        *,
        carrier: str,
        name: str = "",
        base: str = "",
        credentials: Mapping[str, str] | None = None,
        auto_register: bool = False,
        enabled: bool = True,
        now: int,
    ) -> Connection: ...
    async def amend(self, account: str, id: str, **said: Any) -> Connection: ...
    async def rotate(self, account: str, id: str, *, overlap_s: float, now: int) -> Connection: ...
    async def remove(self, account: str, id: str) -> None: ...
    def resting_until(self, id: str) -> int: ...
    async def orders(self, account: str) -> Mapping[str, list[str]]: ...
    async def order(self, account: str, carrier: str, ids: Sequence[str]) -> None: ...
    async def forget_order(self, account: str, carrier: str) -> bool: ...


class Drift(Protocol):
    """What carriers said that nothing covers."""

    async def of(self, account: str) -> Sequence[Drifting]: ...
    async def of_all(self) -> Sequence[Drifting]: ...


class Replay(Protocol):
    """What reads again what is stored."""

    async def page(self, account: str, wanted: Wanted, *, now: int) -> Page: ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that a handler may use."""

    store: Shelves
    ingest: Door
    accounts: Accounts
    departures: Departures
    audit: Audit
    connections: Connections
    subscriptions: Subscriptions
    redelivery: Redelivery
    orders: Orders
    drift: Drift
    replay: Replay
    order_stores: OrderStores
    watermarks: Watermarks
    platforms: Platforms
    registry: Registry
    sealer: Sealer
    bounds: Bounds = field(default_factory=Bounds)
    settings: ApiSettings = field(default_factory=ApiSettings)


SERVICES = web.AppKey("services", Services)
