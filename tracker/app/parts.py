"""The parts of a daemon, and who is handed what."""

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
from tracker.app.opening import Opened, make_private, open_all
from tracker.audit import Audit
from tracker.buyer_links import BuyerLinks
from tracker.carrier_http.exits import Exits
from tracker.config.settings import Settings
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.crowding import Crowding
from tracker.departures import Departures
from tracker.detect import Hints
from tracker.disk import DiskWatch
from tracker.drift.watch import DriftWatch
from tracker.habits import hints_of
from tracker.ingest.door import Ingest
from tracker.ingest.types import IngestSettings
from tracker.metrics import Metrics
from tracker.order_stores import Backfill, OrderStoreDestination, OrderStores, Platforms, Watermarks
from tracker.orders import OrderDestination
from tracker.poller.means import PollSettings
from tracker.poller.queues import Poller
from tracker.quarantine import Ward
from tracker.redelivery import Redelivery
from tracker.retirement import Retirement
from tracker.secrets import Sealer, decode_key, keys_of
from tracker.watch import Watch
from webhooks.destination import Webhooks
from webhooks.fulfilments import Fulfilments
from webhooks.guard import Guard
from webhooks.inbound import Inbound
from webhooks.outbound import Outbound, OutboundSettings
from webhooks.post import Poster
from webhooks.replays import Replays
from webhooks.subscriptions import Subscriptions
from webhooks.wire import Wire

_POLLED = 0.25  # of an account's quarantine, for what can be asked again: it must leave room for what can't

logger = structlog.get_logger()


async def assemble(
    stack: contextlib.AsyncExitStack, settings: Settings, readiness: probes.Readiness, metrics: Metrics
) -> Parts:
    """Open what must be opened and closed again (by `stack`), and hand it to the parts."""
    make_private(settings)
    registry, failures = load()
    for failure in failures:
        logger.error("carrier_broken", origin=failure.origin, error=failure.problem)
    platforms, broken = order_stores.load()
    for one in broken:
        logger.error("platform_broken", origin=one.origin, error=one.problem)
    opened = await open_all(stack, settings, readiness)
    return Parts(settings, registry, platforms, opened, readiness, metrics)


def _mib(number: float) -> int:
    return round(number * (1 << 20))


class Parts:
    """The parts of one daemon, each handed exactly what it needs: each is made after those that it is handed."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        platforms: Platforms,
        opened: Opened,
        readiness: probes.Readiness,
        metrics: Metrics,
    ) -> None:
        self.settings, self.registry, self.platforms = settings, registry, platforms
        self.store, self.book = store, book = opened.store, opened.book
        self.readiness, self.metrics = readiness, metrics
        metrics.may_hear([one.slug for one in (*registry, *platforms)])
        self.disk = DiskWatch(store.directory, metrics, readiness.short_of)

        keys = keys_of(settings.directory, settings.secrets.key)
        self.sealer = Sealer(keys)
        self.cookie_secret = hashlib.blake2b(decode_key(keys[0]), person=b"milepost-cookie").digest()
        self.buyer_links = BuyerLinks(keys, settings.known_url)

        # who asks, and what they did
        self.accounts = Accounts(store, clock=store.clock)
        self.audit = Audit(store, keep_days=settings.audit.keep_days, keep_entries=settings.audit.keep_entries)
        self.departures = Departures(store, [book], left=self.audit.left)

        # whom we ask, and whom we tell
        guard = from_settings.guard(settings)
        self.connections = Connections(store, registry, self.sealer, check_url=guard.check_url)
        self.webhooks = self._webhooks(opened.wire)
        self.subscriptions = self._subscriptions(guard)
        exits = order_stores.Exits(opened.platforms_http, timeout_s=settings.delivery.timeout_s, clock=store.clock)
        self.order_stores = self._order_stores(guard, exits)

        # the way in
        self.policy = from_settings.policy(settings)
        self.schedule = Schedule(self.connections, self.policy, factor=settings.poll.factor)
        self.drift = DriftWatch(store, registry, self.accounts, metrics, clock=store.clock)
        self.ingest = self._ingest()
        self.bounds = from_settings.bounds(settings)
        ward = self._ward(1.0, metrics.quarantine_full.inc)
        self.inbound = self._inbound(ward)
        self.fulfilments = self._fulfilments(ward)
        self.watermarks = Watermarks(store)
        self.backfill = self._backfill(exits)
        self.agenda = self._agenda(opened.carriers_http)
        self.retirement = self._retirement()

        # the way out
        self.outbound = self._outbound(exits)

    def _webhooks(self, wire: Wire) -> Webhooks:
        delivery, clock = self.settings.delivery, self.store.clock
        return Webhooks(
            self.store,
            self.sealer,
            Poster(wire, timeout_s=delivery.timeout_s, clock=clock),
            enough_s=delivery.disable_after_days * 86_400,
            clock=clock,
        )

    def _subscriptions(self, guard: Guard) -> Subscriptions:
        return Subscriptions(
            self.store,
            self.sealer,
            check_url=guard.check_url,
            probe=self.webhooks.probe,
            clock=self.store.clock,
        )

    def _order_stores(self, guard: Guard, exits: order_stores.Exits) -> OrderStores:
        return OrderStores(
            self.store,
            self.platforms,
            self.sealer,
            check_url=guard.check_url,
            probe=LoggedProbe(exits.probe, self.store).ask,
        )

    def _ingest(self) -> Ingest:
        parked = _mib(self.settings.limits.parked_mib)
        return Ingest(
            self.store,
            self.registry,
            due=self.schedule.due,
            settings=IngestSettings(tracking_url=self.buyer_links.url, parked_bytes=parked),
            counters=self.metrics,
            unknown=self.drift.unknown,
            closed=lambda: self.disk.full,
            made_room=Crowding(self.metrics.parked_dropped.inc).made_room,
            mask=from_settings.masks(self.settings),
            clock=self.store.clock,
        )

    def _inbound(self, ward: Ward) -> Inbound:
        return Inbound(
            self.ingest,
            ward,
            self.connections,
            self.metrics,
            heard=self.drift.heard,
            bounds=self.bounds,
            clock=self.store.clock,
            replays=Replays(self.store, self.settings.limits.replay_s),
        )

    def _fulfilments(self, ward: Ward) -> Fulfilments:
        return Fulfilments(
            self.ingest,
            ward,
            self.order_stores,
            self.hints,
            self.registry.known,
            bounds=self.bounds,
            clock=self.store.clock,
            quarantined=self.metrics.quarantined,
        )

    def _backfill(self, exits: order_stores.Exits) -> Backfill:
        return Backfill(
            self.order_stores,
            self.watermarks,
            exits,
            self.fulfilments,
            self.store,
            self.metrics,
            settings=from_settings.backfill(self.settings),
            clock=self.store.clock,
        )

    def _retirement(self) -> Retirement:
        return Retirement(
            self.store,
            self.ingest,
            self.accounts.all,
            keep_ms=round(self.settings.shipments.keep_days * 86_400_000),
            now=self.now,
            retired=self.metrics.retired.inc,
        )

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

    def _outbound(self, exits: order_stores.Exits) -> Outbound:
        delivery = self.settings.delivery
        orders = OrderDestination(self.book)
        platforms = OrderStoreDestination(self.order_stores, self.book, exits)
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
                OrderDestination.prefix: orders.handle,
                OrderStoreDestination.prefix: platforms.handle,
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
