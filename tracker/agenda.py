"""The agenda: claims the shipments whose hour has come, has each polled or watched, and settles when to look again."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from tracker.connections.connection import Route
from tracker.connections.kept import Connections
from tracker.errors import MilepostError
from tracker.model import Document, Shipment
from tracker.routing import choose
from tracker.stall import HOUR, StallPolicy, deadline, expires, next_poll
from tracker.store.types import DueItem, Stored
from tracker.timeline.derived import derive
from tracker.underway import UnderWay
from tracker.watch import Watch

_SLICE = 50  # shipments read between two turns of the loop: nobody else waits longer than for these
_UNSEEN_MS = HOUR * 1000  # how soon to look again at a parcel whose carrier is silent
_UNROUTED_MS = 15 * 60_000  # how soon a new shipment without a route is looked at again: one may be added

log = structlog.get_logger()

_decode = msgspec.msgpack.Decoder(Document).decode


class Schedule:
    """When to look at a shipment next: the earliest of its poll, its stall deadline and its expiry."""

    def __init__(self, connections: Connections, policy: StallPolicy, *, factor: float = 1.0) -> None:
        self._connections = connections
        self.policy = policy
        self._factor = factor

    def due(self, shipment: Shipment, now: int) -> int | None:
        """The next look, in ms; None: never. A deadline that has passed is due now."""
        return _earliest(self._poll(shipment, now), *(end and max(end, now) for end in self._ends(shipment)))

    def after_look(self, shipment: Shipment, now: int) -> int | None:
        """The next look at a shipment that was just looked at: what is overdue and was not flagged waits an hour."""
        ends = (end if end is None or end > now else now + _UNSEEN_MS for end in self._ends(shipment))
        return _earliest(self._poll(shipment, now), *ends)

    def only_watched(self, item: DueItem, shipment: Shipment) -> bool:
        """Whether the item is due for its stall deadline or its expiry, and not for a poll."""
        return item.due in self._ends(shipment)

    def _ends(self, shipment: Shipment) -> tuple[int | None, int | None]:
        ends = deadline(shipment, self.policy), expires(shipment, self.policy)
        return _ms(ends[0]), _ms(ends[1])

    def _poll(self, shipment: Shipment, now: int) -> int | None:
        routes = self._connections.routes(shipment.document)
        if not routes:
            return self._unrouted(shipment, now)
        gaps = [route.carrier.min_interval for route in routes if answers(route, shipment.document)]
        if not gaps:
            return None
        return next_poll(shipment, now=now, factor=self._factor, min_interval=max(gaps))

    def _unrouted(self, shipment: Shipment, now: int) -> int | None:
        at = next_poll(shipment, now=now, factor=self._factor)
        young = now - shipment.document.registered_at < 24 * HOUR * 1000
        return min(at, now + _UNROUTED_MS) if at is not None and young else at


def answers(route: Route, document: Document) -> bool:
    """Whether there is anything to ask over the route: a query, or that it push what it has not told of yet."""
    return route.carrier.fetch is not None or (route.carrier.subscribe is not None and unheard(route, document))


def unheard(route: Route, document: Document) -> bool:
    """Whether the route's connection has never told of this parcel."""
    return all(source.name.partition("/")[0] != route.connection.id for source in document.sources)


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


def _earliest(*times: int | None) -> int | None:
    return min((at for at in times if at is not None), default=None)


class Look(Struct, frozen=True):
    """A due shipment as it was read. `claimed_at`: ms."""

    item: DueItem
    shipment: Shipment
    claimed_at: int


class Store(Protocol):
    """The store as the agenda needs it."""

    async def read(self, ids: Sequence[str]) -> list[Stored | None]: ...
    async def claim_due(self, claim: str, *, limit: int, lease_ms: int) -> list[DueItem]: ...
    async def settle_due(self, items: Sequence[tuple[DueItem, int | None]]) -> None: ...


class Settling:
    """Gathers what was settled and says it to the store many at a time."""

    _GATHER_S = 0.02

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[DueItem, int | None]] = []
        self._some = asyncio.Event()

    def settle(self, item: DueItem, due: int | None) -> None:
        """Look again at `due` (ms; None: never)."""
        self._waiting.append((item, due))
        self._some.set()

    async def run(self) -> None:
        """Write until cancelled; a write that is under way ends first."""
        under_way = UnderWay()
        try:
            while True:
                await self._some.wait()
                await asyncio.sleep(self._GATHER_S)
                await under_way.run(self.flush())
        finally:
            await under_way.ended()

    async def flush(self) -> None:
        """Write what waits. What can't be written comes again when its lease has run out."""
        waiting, self._waiting = self._waiting, []
        self._some.clear()
        try:
            if waiting:
                await self._store.settle_due(waiting)
        except MilepostError as error:
            log.warning("agenda.not_settled", shipments=len(waiting), error=str(error))


class Polls(Protocol):
    """Who asks the carriers. What does not fit into a connection's queue comes back."""

    def offer(self, route: Route, looks: Sequence[Look]) -> Sequence[Look]: ...
    def full(self) -> bool: ...
    def usable(self, route: Route) -> bool: ...
    async def worked_off(self) -> None: ...
    def backlog_s(self, route: Route) -> float: ...
    async def run(self) -> None: ...
    async def drain(self) -> None: ...


class AgendaSettings(Struct, frozen=True, kw_only=True):
    """How the agenda is worked off."""

    claim: int = 500  # shipments at once: a thousand more in memory make each dearer
    lease_s: float = 120.0
    idle_s: float = 0.5  # between two looks at an agenda where nothing is due
    full_s: float = 0.5  # the longest that a queue that is full holds up the carriers of others
    heard_s: float = 60.0  # between two looks at what other processes heard


class Agenda:
    """The loop. One a process; any number of processes."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        schedule: Schedule,
        watch: Watch,
        polls: Polls,
        settling: Settling,
        *,
        settings: AgendaSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._connections = connections
        self._schedule = schedule
        self._watch = watch
        self._polls = polls
        self._settling = settling
        self._settings = settings or AgendaSettings()
        self._clock = clock
        self._heard_at = float("-inf")
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what was begun is settled."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(self._polls.run()), tasks.create_task(self._settling.run())]
            while not self._stopping.is_set():
                if await self._turn():
                    await self._rest(self._settings.idle_s)
                elif self._polls.full():
                    await self._eased()
            await self._polls.drain()
            await self._settling.flush()
            for worker in workers:
                worker.cancel()

    async def _turn(self) -> bool:
        """One step; True where a rest is due. A store that is down is waited for."""
        try:
            return await self.step()
        except MilepostError as error:
            log.warning("agenda.waits", error=str(error))
            return True

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _eased(self) -> None:
        """Claim on when a full queue is half worked off: what is claimed before would only be given back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.full_s):
                await self._polls.worked_off()

    async def step(self) -> bool:
        """Claim what is due and see to it; True where the agenda was worked off."""
        await self._connections.refresh()
        await self._learn_heard()
        limit = self._settings.claim
        claim = f"due-{secrets.token_hex(8)}"
        items = await self._store.claim_due(claim, limit=limit, lease_ms=round(self._settings.lease_s * 1000))
        looks = await self._read(items)
        await self._see_to(looks)
        return len(items) < limit

    async def _learn_heard(self) -> None:
        if time.monotonic() - self._heard_at >= self._settings.heard_s:
            self._heard_at = time.monotonic()
            await self._connections.refresh_heard()

    async def _read(self, items: Sequence[DueItem]) -> list[Look]:
        now = self._now()
        found = await self._store.read([item.id for item in items]) if items else []
        looks = []
        for place, (item, stored) in enumerate(zip(items, found, strict=True)):
            if place % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            if stored is None:
                self._settling.settle(item, None)
            else:
                document = structs.replace(_decode(stored.document), revision=stored.revision)
                looks.append(Look(item, derive(document), now))
        return looks

    async def _see_to(self, looks: Sequence[Look]) -> None:
        by_connection: dict[str, tuple[Route, list[Look]]] = {}
        watched = []
        for look in looks:
            route = self._route(look)
            if route is None:
                watched.append(look)
            else:
                by_connection.setdefault(route.connection.id, (route, []))[1].append(look)
        for route, some in by_connection.values():
            self._postpone(route, self._polls.offer(route, some))
        for start in range(0, len(watched), _SLICE):
            await asyncio.gather(*(self._look(look) for look in watched[start : start + _SLICE]))

    def _route(self, look: Look) -> Route | None:
        """The route to ask over; None where there is nothing to ask."""
        document = look.shipment.document
        if document.details.paused or self._schedule.only_watched(look.item, look.shipment):
            return None
        if self._watch.ready(look.shipment, now=self._now()):  # a push said enough: no need to ask
            return None
        routes = self._connections.routes(document)
        if len(routes) > 1:
            routes = tuple(route for route in routes if self._polls.usable(route)) or routes
            ids = [route.connection.id for route in routes]
            routes = (routes[choose(look.shipment, ids, self._schedule.policy, now=self._now())],)
        return routes[0] if routes and answers(routes[0], document) else None

    async def _look(self, look: Look) -> None:
        now = self._now()
        if not await self._watch.look(look.shipment, now=now):
            self._settling.settle(look.item, self._schedule.after_look(look.shipment, now))

    def _postpone(self, route: Route, looks: Sequence[Look]) -> None:
        """What does not fit into the queue comes back, one after the other, when the queue has been worked off."""
        if not looks:
            return
        now, backlog_ms = self._now(), self._polls.backlog_s(route) * 1000
        pace = backlog_ms / max(1, len(looks))
        for place, look in enumerate(looks):
            self._settling.settle(look.item, round(now + backlog_ms + place * pace))

    def _now(self) -> int:
        return round(self._clock() * 1000)
