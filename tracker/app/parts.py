"""The parts of a daemon: what is opened, and who is handed what."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

import aiohttp
import structlog

from carriers.registry import Registry, load
from tracker import order_stores, probes
from tracker.accounts import Accounts
from tracker.agenda import Agenda, AgendaSettings, Schedule, Settling
from tracker.app import from_settings
from tracker.app.logged_probe import LoggedProbe
from tracker.audit import Audit
from tracker.buyer_links import BuyerLinks
from tracker.carrier_http.exits import Exits
from tracker.config.settings import Settings
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.crowding import Crowding
from tracker.departures import Departures
from tracker.detect import Hints
from tracker.disk import DiskWatch, cramped
from tracker.drift.watch import DriftWatch
from tracker.errors import ConfigError
from tracker.habits import hints_of
from tracker.ingest.door import Ingest
from tracker.ingest.types import IngestSettings
from tracker.metrics import Metrics
from tracker.order_stores import Backfill, OrderStoreDestination, OrderStores, Platforms, Watermarks
from tracker.orders import OrderBook, OrderDestination, OrderSettings, open_book
from tracker.poller.means import PollSettings
from tracker.poller.queues import Poller
from tracker.quarantine import Ward
from tracker.redelivery import Redelivery
from tracker.secrets import Sealer, decode_key, keys_of
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import StoreDown
from tracker.watch import Watch
from webhooks import subscriptions as subs
from webhooks.destination import Webhooks
from webhooks.fulfilments import Fulfilments
from webhooks.guard import trusting
from webhooks.inbound import Inbound
from webhooks.outbound import Outbound, OutboundSettings
from webhooks.post import Poster
from webhooks.replays import Replays
from webhooks.wire import Wire

_POLLED = 0.25  # of an account's quarantine, for what can be asked again: it must leave room for what can't

logger = structlog.get_logger()


async def assemble(
    stack: contextlib.AsyncExitStack, settings: Settings, readiness: probes.Readiness, metrics: Metrics
) -> Parts:
    """Open what must be opened and closed again (by `stack`), and hand it to the parts."""
    directory = settings.directory
    _make_private(settings)
    registry, failures = load()
    for failure in failures:
        logger.error("carrier_broken", origin=failure.origin, error=failure.problem)
    platforms, broken = order_stores.load()
    for one in broken:
        logger.error("platform_broken", origin=one.origin, error=one.problem)
    readiness.waits_for("store: starting or loading its log")
    store = await stack.enter_async_context(
        open_store(
            StoreSettings(
                directory=directory / "store",
                remembered=directory / "store.id",
                url=settings.store.url or None,
                shards=settings.store.shards,
                durability=settings.store.durability,
            )
        )
    )
    readiness.watch(store, relaxed=settings.store.durability == "relaxed")
    readiness.waits_for("order book")
    book = await stack.enter_async_context(
        open_book(
            OrderSettings(
                directory=directory,
                url=settings.orders.url or None,
                overdue_after_s=int(settings.orders.ship_within_h * 3600),
            )
        )
    )
    carriers_http = await stack.enter_async_context(from_settings.session(settings))
    wire = await stack.enter_async_context(
        contextlib.aclosing(Wire(guard=from_settings.guard(settings), tls=trusting(settings.egress.ca_file)))
    )
    platforms_http = await stack.enter_async_context(from_settings.session(settings))
    return Parts(settings, registry, platforms, store, book, carriers_http, wire, platforms_http, readiness, metrics)


def _make_private(settings: Settings) -> None:
    try:
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(f"data: {settings.directory} is a file, and must be a directory") from None
    except OSError as error:
        raise ConfigError(f"data: can't make the directory {settings.directory}: {error.strerror}") from None
    if why := cramped(settings.directory):
        raise StoreDown(f"data: {why}")


def _mib(number: float) -> int:
    return round(number * (1 << 20))


class Parts:
    """The parts of one daemon, each handed exactly what it needs."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        platforms: Platforms,
        store: Store,
        book: OrderBook,
        carriers_http: aiohttp.ClientSession,
        wire: Wire,
        platforms_http: aiohttp.ClientSession,
        readiness: probes.Readiness,
        metrics: Metrics,
    ) -> None:
        keys = keys_of(settings.directory, settings.secrets.key)
        self.settings, self.registry, self.store, self.book, self.readiness = settings, registry, store, book, readiness
        self.metrics = metrics
        metrics.may_hear([one.slug for one in (*registry, *platforms)])
        self.disk = DiskWatch(store.directory, metrics, readiness.short_of)
        self.sealer = Sealer(keys)
        self.cookie_secret = hashlib.blake2b(decode_key(keys[0]), person=b"milepost-cookie").digest()
        self.accounts = Accounts(store, clock=store.clock)
        self.audit = Audit(store, keep_days=settings.audit.keep_days, keep_entries=settings.audit.keep_entries)
        self.departures = Departures(store, [book], left=self.audit.left)
        guard = from_settings.guard(settings)
        self.connections = Connections(store, registry, self.sealer, check_url=guard.check_url)
        self.drift = DriftWatch(store, registry, self.accounts, self.metrics, clock=store.clock)
        self.policy = from_settings.policy(settings)
        self.webhooks = Webhooks(
            store,
            self.sealer,
            Poster(wire, timeout_s=settings.delivery.timeout_s, clock=store.clock),
            enough_s=settings.delivery.disable_after_days * 86_400,
            clock=store.clock,
        )
        self.subscriptions = subs.Subscriptions(
            store,
            self.sealer,
            check_url=guard.check_url,
            probe=self.webhooks.probe,
            clock=store.clock,
        )
        self.platforms = platforms
        exits_to_stores = order_stores.Exits(platforms_http, timeout_s=settings.delivery.timeout_s, clock=store.clock)
        self.order_stores = OrderStores(
            store,
            platforms,
            self.sealer,
            check_url=guard.check_url,
            probe=LoggedProbe(exits_to_stores.probe, store).ask,
        )
        self.order_telling = OrderStoreDestination(self.order_stores, book, exits_to_stores)
        self.schedule = Schedule(self.connections, self.policy, factor=settings.poll.factor)
        self.buyer_links = BuyerLinks(keys, settings.known_url)
        self.ingest = Ingest(
            store,
            registry,
            due=self.schedule.due,
            settings=IngestSettings(tracking_url=self.buyer_links.url, parked_bytes=_mib(settings.limits.parked_mib)),
            counters=self.metrics,
            unknown=self.drift.unknown,
            closed=lambda: self.disk.full,
            made_room=Crowding(metrics.parked_dropped.inc).made_room,
            mask=from_settings.masks(settings),
            clock=store.clock,
        )
        self.bounds = from_settings.bounds(settings)
        ward = self._ward(1.0, metrics.quarantine_full.inc)
        self.inbound = Inbound(
            self.ingest,
            ward,
            self.connections,
            self.metrics,
            heard=self.drift.heard,
            bounds=self.bounds,
            clock=store.clock,
            replays=Replays(store, settings.limits.replay_s),
        )
        self.fulfilments = Fulfilments(
            self.ingest,
            ward,
            self.order_stores,
            self.hints,
            registry.known,
            bounds=self.bounds,
            clock=store.clock,
            quarantined=metrics.quarantined,
        )
        self.watermarks = Watermarks(store)
        self.backfill = Backfill(
            self.order_stores,
            self.watermarks,
            exits_to_stores,
            self.fulfilments,
            store,
            self.metrics,
            settings=from_settings.backfill(settings),
            clock=store.clock,
        )
        self.agenda = self._agenda(carriers_http)
        self.outbound = self._outbound()

    def _ward(self, share: float, turned_away: Callable[[], None] = lambda: None) -> Ward:
        """The quarantine, up to that share of what an account may have there."""
        most = _mib(share * self.settings.limits.quarantine_mib)
        return Ward(self.store, lambda: self.disk.full, most=most, turned_away=turned_away)

    def _agenda(self, http: aiohttp.ClientSession) -> Agenda:
        poll = self.settings.poll
        watch = Watch(self.ingest, self.policy, self.connections.heard_at)
        settling = Settling(self.store)
        poller = Poller(
            self.ingest,
            self._ward(_POLLED),
            self.connections,
            self.schedule,
            watch,
            settling,
            Exits(http, observer=self.metrics, clock=self.store.clock),
            observer=self.metrics,
            callback=self._hook_url,
            heard=self.drift.heard,
            settings=PollSettings(concurrency=poll.concurrency),
            clock=self.store.clock,
        )
        settings = AgendaSettings(claim=poll.claim)
        return Agenda(
            self.store,
            self.connections,
            self.schedule,
            watch,
            poller,
            settling,
            settings=settings,
            clock=self.store.clock,
        )

    def _hook_url(self, connection: Connection) -> str:
        known = self.settings.known_url  # a carrier can do nothing with an address that is none
        return f"{known}/hooks/{connection.id}/{connection.path_secret}" if known else ""

    def _outbound(self) -> Outbound:
        delivery = self.settings.delivery
        return Outbound(
            self.store,
            self.webhooks,
            self.metrics,
            clock=self.store.clock,
            settings=OutboundSettings(
                per_destination=delivery.per_destination,
                total=delivery.total,
                timeout_s=delivery.timeout_s,
                schedule_factor=delivery.schedule_factor,
            ),
            handlers={
                OrderDestination.prefix: OrderDestination(self.book).handle,
                OrderStoreDestination.prefix: self.order_telling.handle,
            },
            widths={OrderDestination.prefix: 256},
        )

    def redelivery(self) -> Redelivery:
        """What sends once more."""
        return Redelivery(self.store, self.ingest, self.buyer_links.url)

    async def hints(self, account: str) -> Hints:
        """What an account's habits say of whose a number may be."""
        return await hints_of(
            account, registry=self.registry, connections=self.connections, shelves=self.store, door=self.ingest
        )

    def now(self) -> int:
        """Now in ms, by the store's time: all that is compared with what another process wrote goes by it."""
        return int(self.store.clock() * 1000)
