"""The composition root: every part meets its neighbours here, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from msgspec import Struct

from carriers.registry import Registry, load
from tracker import log, order_stores, probes, seals
from tracker.accounts import OPERATOR, Accounts, Scope
from tracker.agenda import Agenda, AgendaSettings, Schedule, Settling
from tracker.api import ApiSettings, Services, mount
from tracker.audit import Audit
from tracker.carrier_http import Exits
from tracker.catalogue import listed
from tracker.config import Settings, networks, secrets_of
from tracker.connections import Connection, Connections
from tracker.console import ConsoleSettings
from tracker.console import mount as mount_console
from tracker.console.endpoints import Endpoints
from tracker.console.queries import CarrierNames, Queries
from tracker.crew import crew, parted
from tracker.departures import Departures
from tracker.detect import Hints
from tracker.drift import DriftWatch
from tracker.errors import ConfigError
from tracker.feeds import Audience, FanOut
from tracker.garbage import collect_seldom
from tracker.habits import hints_of
from tracker.ingest import Ingest, IngestSettings
from tracker.ingress.addresses import Addresses
from tracker.ingress.bodies import PACE, Pace
from tracker.ingress.bounds import Bounds
from tracker.ingress.connections import Deadlines, Doors, Site
from tracker.ingress.rates import Rates
from tracker.masking import Mask
from tracker.metrics import Metrics
from tracker.model import Shipment
from tracker.order_stores import OrderStoreDestination, OrderStores, Platforms
from tracker.orders import OrderBook, OrderDestination, OrderSettings, open_book
from tracker.poller import Poller, PollSettings
from tracker.quarantine import Ward
from tracker.redelivery import Redelivery
from tracker.replay import Replay
from tracker.secrets import Sealer, decode_key, key_from
from tracker.stall import StallPolicy, policy_of
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import StoreDown
from tracker.views import shipment_view
from tracker.watch import Watch
from webhooks import subscriptions as subs
from webhooks.destination import Webhooks
from webhooks.fulfilments import Fulfilments
from webhooks.guard import PORTS, Guard, guarded_session, trusting
from webhooks.inbound import Inbound
from webhooks.outbound import Outbound, OutboundSettings
from webhooks.post import Poster
from webhooks.replays import Replays
from webhooks.wire import Wire

logger = structlog.get_logger()

_STATS_EVERY_S = 5.0
_HOUSEKEEPING_EVERY_S = 60.0
_DEPARTURES_EVERY_S = 5.0
_TIME_EVERY_S = 0.5
_TRAILS_EVERY_S = 3_600.0
_USE_EVERY_S = 30.0
_ACCOUNTS_MEASURED = 100  # accounts whose shipments are counted for the metrics
_OTHERS = "(others)"  # how an open metrics page calls every account but the operator's
_DRAIN_S = 20.0
_LONGEST_LINE = 65_536  # bytes; a cursor of a store with many shards is long
_LEAST_DISK = 1 << 30  # bytes free beside the log, below which nothing new is taken in

Loop = Coroutine[Any, Any, None]


class Daemon(Struct, frozen=True):
    """A running daemon: where it is, and the admin key if this was the first start of its store."""

    url: str
    first_key: str | None
    accounts: Accounts


async def serve(settings: Settings, *, stop: asyncio.Event | None = None) -> int:
    """Run until SIGTERM, SIGINT or `stop`, then drain."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_daemon(settings) as daemon:
        _welcome(daemon)
        await stop.wait()
        logger.info("draining")
    return 0


def _welcome(daemon: Daemon) -> None:
    if daemon.first_key:
        print(f"admin key, shown this once: {daemon.first_key}", flush=True)
    logger.info("ready", url=daemon.url)


@contextlib.asynccontextmanager
async def open_daemon(settings: Settings) -> AsyncIterator[Daemon]:
    """A daemon that serves while the context lasts; leaving it drains: what is under way ends, the rest is handed back.

    Raises:
        ConfigError: a setting, a port, a directory or the store's persistence is not as it must be.
    """
    log.configure(settings.log.level, settings.log.format, secrets=secrets_of(settings))
    async with contextlib.AsyncExitStack() as stack:
        readiness = probes.Readiness()
        metrics = Metrics()
        doors = _doors(settings, metrics)
        lobby = await _listen(probes.app(readiness), settings, doors)
        try:
            parts = await _assemble(stack, settings, readiness, metrics)
            await seals.verify(parts.store, parts.sealer)
        finally:
            await lobby.cleanup()
        await seals.renew(parts.store, parts.sealer)
        first_key = await parts.accounts.first_start(now=_ms(parts.store))
        workers: list[Settings] = []
        if settings.processes == "roles":
            settings, workers = parted(settings, parts.store.url)
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(loop) for loop in parts.workers(settings)]
            loops = [tasks.create_task(loop) for loop in parts.loops(settings)]
            runner = await _listen(parts.site(settings), settings, doors)
            collect_seldom()
            readiness.opened()
            try:
                async with crew(workers):
                    yield Daemon(_address(runner, settings), first_key, parts.accounts)
            finally:
                readiness.draining()
                await runner.cleanup()
                parts.stop()
                await _ended(working)
                for loop in loops:
                    loop.cancel()


async def _ended(running: Sequence[asyncio.Task[None]]) -> None:
    """Give what is under way some time to end, then end it; its leases bring it back."""
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=_DRAIN_S)
    for task in late:
        task.cancel()


def _ms(store: Store) -> int:
    """Now, by the store's time: everything that is compared with what another process wrote goes by it."""
    return int(store.clock() * 1000)


async def _listen(app: web.Application, settings: Settings, doors: Doors) -> web.AppRunner:
    runner = web.AppRunner(app, shutdown_timeout=_DRAIN_S, handle_signals=False)
    await runner.setup()
    host, port = settings.http.host, settings.http.port
    try:
        await Site(runner, host, port, doors, max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"http.port: can't listen on {host}:{port}: {error.strerror or error}") from None
    return runner


def _address(runner: web.AppRunner, settings: Settings) -> str:
    if settings.http.public_url:
        return settings.public_url
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _assemble(
    stack: contextlib.AsyncExitStack, settings: Settings, readiness: probes.Readiness, metrics: Metrics
) -> Parts:
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
    carriers_http = await stack.enter_async_context(_session(settings))
    wire = await stack.enter_async_context(
        contextlib.aclosing(Wire(guard=_guard(settings), tls=trusting(settings.egress.ca_file)))
    )
    platforms_http = await stack.enter_async_context(_session(settings))
    return Parts(settings, registry, platforms, store, book, carriers_http, wire, platforms_http, readiness, metrics)


def _make_private(settings: Settings) -> None:
    try:
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data: can't make the directory {settings.directory}: {error.strerror}") from None


def _guard(settings: Settings) -> Guard:
    egress = settings.egress
    return Guard(networks(egress.allow), {*PORTS, *egress.ports}, deny=networks(egress.deny))


def _session(settings: Settings) -> aiohttp.ClientSession:
    return guarded_session(guard=_guard(settings), tls=trusting(settings.egress.ca_file))


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
        key = settings.secrets.key or key_from(settings.directory)
        self.settings, self.registry, self.store, self.book, self.readiness = settings, registry, store, book, readiness
        self.metrics = metrics
        self._full = ""
        self.sealer = Sealer(key.split(","))
        self.cookie_secret = hashlib.blake2b(decode_key(key.split(",")[0]), person=b"milepost-cookie").digest()
        self.accounts = Accounts(store, clock=store.clock)
        self.audit = Audit(store, keep_days=settings.audit.keep_days, keep_entries=settings.audit.keep_entries)
        self.departures = Departures(store, [book], left=self.audit.left)
        guard = _guard(settings)
        self.connections = Connections(store, registry, self.sealer, check_url=guard.check_url)
        self.drift = DriftWatch(store, registry, self.accounts, self.metrics, clock=store.clock)
        self.policy = _policy(settings)
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
            probe=exits_to_stores.probe,
        )
        self.order_telling = OrderStoreDestination(self.order_stores, book, exits_to_stores)
        self.schedule = Schedule(self.connections, self.policy, factor=settings.poll.factor)
        self.tracking_url = f"{settings.public_url}/parcels/{{id}}"
        self.ingest = Ingest(
            store,
            registry,
            due=self.schedule.due,
            settings=IngestSettings(tracking_url=self.tracking_url),
            counters=self.metrics,
            unknown=self.drift.unknown,
            closed=lambda: self._full,
            mask=_masks(settings),
        )
        self.bounds = _bounds(settings)
        ward = Ward(store, lambda: self._full)
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
            self.ingest, ward, self.order_stores, self._hints, registry.known, bounds=self.bounds, clock=store.clock
        )
        self.agenda = self._agenda(carriers_http)
        self.outbound = self._outbound()

    def _agenda(self, http: aiohttp.ClientSession) -> Agenda:
        poll = self.settings.poll
        watch = Watch(self.ingest, self.policy, self.connections.heard_at)
        settling = Settling(self.store)
        poller = Poller(
            self.ingest,
            self.store,
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
        return f"{self.settings.public_url}/hooks/{connection.id}/{connection.path_secret}"

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

    # ------------------------------------------------------------ what runs

    def workers(self, settings: Settings) -> list[Loop]:
        """What runs in this process, by its roles, until `stop`, and then ends what it began."""
        workers: list[Loop] = []
        if "poller" in settings.roles:
            workers.append(self.agenda.run())
        if "delivery" in settings.roles:
            workers.append(self.outbound.run())
        return workers

    def loops(self, settings: Settings) -> list[Loop]:
        """What runs beside them and can be cut off at any point."""
        loops: list[Loop] = [self._measure(), self._keep_house(), _regularly(1.0, self.connections.refresh)]
        loops.append(_regularly(_TIME_EVERY_S, self.store.learn_time))
        loops.append(self.drift.run())
        loops += [self._see_off(), self.audit.run(), self._keep_trails(), self._note_use()]
        if "delivery" in settings.roles:
            audience = Audience(self.store, {subs.KIND: subs.from_records, order_stores.KIND: order_stores.listeners})
            loops.append(FanOut(self.store, audience, self._labels, courier=self.outbound).run())
        return loops

    def stop(self) -> None:
        """Take no more work; what is under way ends by itself."""
        self.outbound.stop()
        self.agenda.stop()

    async def _labels(self, ids: Sequence[str]) -> list[tuple[str, str] | None]:
        found = await self.ingest.peek(ids)
        return [(doc.details.shop, doc.carrier) if doc else None for doc in found]

    async def _measure(self) -> None:
        await _regularly(_STATS_EVERY_S, self._measure_once)

    async def _measure_once(self) -> None:
        metrics = self.metrics
        try:
            stats = await self.store.stats()
        except StoreDown:
            metrics.store_up.set(0)
            raise
        metrics.store_up.set(1)
        metrics.feed_age.set(stats.unfanned_age_ms / 1000)
        metrics.agenda_lag.set(stats.agenda_lag_ms / 1000)
        metrics.lanes.set(stats.lanes)
        metrics.store_bytes.set(stats.used_memory)
        metrics.log_bytes.set(stats.aof_bytes)
        self._mind_disk(stats.disk_free, stats.aof_bytes)
        if stats.disk_free >= 0:  # the disk of a store elsewhere is not ours to see
            metrics.disk_free.set(stats.disk_free)
        await self._count_shipments()

    async def _count_shipments(self) -> None:
        """Shipments by account and status; a page that asks for no token does not tell which accounts there are."""
        metrics, found = self.metrics, Counter[tuple[str, str]]()
        for account in (await self.accounts.all())[:_ACCOUNTS_MEASURED]:
            told = bool(self.settings.http.metrics_token) or account.name == OPERATOR
            for status, number in (await self.store.counts(account.name)).items():
                found[account.name if told else _OTHERS, status] += number
        metrics.forget_accounts()  # those that left are named no more
        for (name, status), number in found.items():
            gauge = metrics.stalled.labels(name) if status == "stalled" else metrics.open.labels(name, status)
            gauge.set(number)

    def _mind_disk(self, free: int, log_bytes: int) -> None:
        """Close the door before the disk is full: a server that can't write its log ends, and a rewrite needs room."""
        wanted = max(2 * log_bytes, _LEAST_DISK)
        full = f"{free >> 20} MiB free beside the log, {wanted >> 20} MiB are needed" if 0 <= free < wanted else ""
        if bool(full) != bool(self._full):
            logger.warning("intake", closed=bool(full), why=full)
        self._full = full
        self.readiness.short_of(full)

    async def _see_off(self) -> None:
        try:
            await _regularly(_DEPARTURES_EVERY_S, lambda: self.departures.go_on(now=_ms(self.store)))
        finally:
            await self.departures.stop()

    async def _keep_trails(self) -> None:
        await _regularly(_TRAILS_EVERY_S, self._trim_trails)

    async def _trim_trails(self) -> None:
        for account in await self.accounts.all():
            await self.audit.trim(account.name)

    async def _note_use(self) -> None:
        try:
            await _regularly(_USE_EVERY_S, self.accounts.write_use)
        finally:
            with contextlib.suppress(StoreDown):
                await self.accounts.write_use()

    async def _keep_house(self) -> None:
        await _regularly(_HOUSEKEEPING_EVERY_S, self._keep_house_once)

    async def _keep_house_once(self) -> None:
        feed = self.settings.feed
        await self.store.trim_feed(keep_ms=int(feed.keep_days * 86_400_000), keep_entries=feed.keep_entries)
        await self.book.sweep(_ms(self.store))
        longest = min(self.settings.delivery.pause_days, feed.keep_days)
        await self.webhooks.end_pauses(longest * 86_400)

    # ------------------------------------------------------------ what is served

    def site(self, settings: Settings) -> web.Application:
        """Everything that this process answers on its port."""
        root = web.Application(middlewares=[probes.with_request_id], client_max_size=4 * 1024 * 1024)
        root[PACE] = Pace(total_s=settings.http.body_s)
        probes.add_routes(root, self.readiness, self.metrics, token=settings.http.metrics_token)
        if "intake" in settings.roles:
            root.add_routes(self.inbound.routes())
            root.add_routes(self.fulfilments.routes())
            mount(root, self._services())
            self._mount_console(root, settings)
        return root

    def _services(self) -> Services:
        return Services(
            store=self.store,
            ingest=self.ingest,
            accounts=self.accounts,
            departures=self.departures,
            audit=self.audit,
            connections=self.connections,
            subscriptions=self.subscriptions,
            redelivery=self._redelivery(),
            orders=self.book,
            drift=self.drift,
            replay=Replay(self.ingest, self.store, self.connections, self.registry),
            order_stores=self.order_stores,
            platforms=self.platforms,
            registry=self.registry,
            sealer=self.sealer,
            bounds=self.bounds,
            settings=ApiSettings(
                tracking_url=self.tracking_url,
                webhook_url=f"{self.settings.public_url}/hooks/{{id}}/{{secret}}",
                fulfilment_url=f"{self.settings.public_url}/order-stores/{{id}}/{{secret}}",
            ),
        )

    def _redelivery(self) -> Redelivery:
        return Redelivery(self.store, self.ingest, self.tracking_url)

    def _mount_console(self, root: web.Application, settings: Settings) -> None:
        queries = Queries(
            store=self.store,
            ingest=self.ingest,
            book=self.book,
            show=self._show,
            authenticate=self._reader,
            drift=self.drift,
            carriers={c.slug: CarrierNames(c.name_zh or c.name, c.name) for c in self.registry}
            | {one.slug: CarrierNames(one.zh, one.en) for one in listed().values()},
        )
        mount_console(
            root,
            queries,
            Endpoints(self.store, self.subscriptions, self._redelivery()),
            ConsoleSettings(
                secret=self.cookie_secret,
                open_account=OPERATOR if settings.http.open_console else "",
                secure=settings.public_url.startswith("https://"),
                bounds=self.bounds,
                audit=self.audit,
            ),
        )

    async def _hints(self, account: str) -> Hints:
        return await hints_of(
            account, registry=self.registry, connections=self.connections, shelves=self.store, door=self.ingest
        )

    def _show(self, shipment: Shipment) -> dict[str, Any]:
        return shipment_view(
            shipment, now=_ms(self.store), tracking_url=self.tracking_url.replace("{id}", shipment.document.id)
        )

    async def _reader(self, key: str) -> str | None:
        identity = await self.accounts.authenticate(key)
        return identity.account if identity and identity.may(Scope.READ) else None


def _addresses(settings: Settings) -> Addresses:
    return Addresses(networks(settings.http.trusted_proxies), settings.http.forwarded)


def _doors(settings: Settings, metrics: Metrics) -> Doors:
    http = settings.http
    deadlines = Deadlines(header_s=http.header_s, idle_s=http.idle_s, write_s=http.write_s)
    return Doors(deadlines, _addresses(settings), metrics, most=http.max_connections, most_of_one=http.max_per_address)


def _bounds(settings: Settings) -> Bounds:
    limits = settings.limits
    return Bounds(
        addresses=_addresses(settings),
        keys=Rates(limits.key_rate, limits.window_s, policy="key"),
        pushes=Rates(limits.push_rate, limits.window_s, policy="connection"),
        strangers=Rates(limits.stranger_rate, limits.window_s, policy="address"),
    )


def _masks(settings: Settings) -> Callable[[str], Mask]:
    """What is masked of what an account's carriers say."""
    usual, own = Mask(settings.privacy.mask), {name: Mask(how) for name, how in settings.privacy.accounts.items()}
    return lambda account: own.get(account, usual)


def _policy(settings: Settings) -> StallPolicy:
    stall = settings.stall
    return policy_of(
        hours=stall.hours,
        carriers=stall.carriers,
        accounts=stall.accounts,
        factor=stall.factor,
        expire_days=stall.expire_days,
    )


async def _regularly(every_s: float, once: Callable[[], Awaitable[None]]) -> None:
    """Do it again and again; a store that is away is nothing that this could help."""
    while True:
        with contextlib.suppress(StoreDown):
            await once()
        await asyncio.sleep(every_s)
