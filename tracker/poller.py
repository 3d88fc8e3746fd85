"""The poller: asks carriers for what is due, many waybills a query, each connection at its own pace.

A connection has a queue of its own, bounded by what it can do in `horizon_s`; a slow one fills its own queue and no
other. An answer that brings nothing new writes nothing but the next due times, many in one call.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
from msgspec import Struct, structs

from carriers.sdk import Ask, Carrier, ParseError, Problem, ProblemKind, Reply, Report
from tracker.agenda import Look, Schedule, Settling, answers, unheard
from tracker.carrier_http.errors import CarrierError, CarrierLimited, CarrierRefused
from tracker.carrier_http.exits import CarrierHttp, Exits
from tracker.connections.connection import Connection, Route
from tracker.connections.kept import Connections
from tracker.errors import MilepostError
from tracker.ingest.cleaning import fingerprint
from tracker.ingest.types import Received
from tracker.model import Document, Shipment
from tracker.quarantine import quarantined
from tracker.store.types import Full
from tracker.watch import Watch

_MARGIN_S = 10.0  # of a lease that must be left after the longest question

log = structlog.get_logger()


class PollSettings(Struct, frozen=True, kw_only=True):
    """How carriers are asked."""

    concurrency: int = 8  # queries under way at once for one connection
    horizon_s: float = 20.0  # a queue holds what its connection can do in so long
    queue_max: int = 800  # shipments in one queue: what waits is memory that each one under way pays for
    lease_s: float = 120.0  # as the agenda claims
    backoff_s: float = 300.0  # after an answer that nobody can use
    refused_s: float = 900.0  # after our credentials were refused
    limited_s: float = 60.0  # after an answer that says "too often" in its body


class Door(Protocol):
    """The one door, as the poller needs it."""

    async def receive(
        self,
        account: str,
        source: str,
        carrier: Carrier,
        reports: Sequence[Report],
        *,
        fingerprint: str,
        now: int,
        asked: bool = False,
    ) -> Received: ...


class Quarantine(Protocol):
    """Where bodies go that can't be read."""

    async def quarantine(self, account: str, entry: bytes) -> str: ...


class Observer(Protocol):
    """Who counts; `outcome`: answered, unreadable, refused, limited, unavailable, broken."""

    def polled(self, carrier: str, outcome: str, waybills: int, seconds: float) -> None: ...
    def quarantined(self, carrier: str) -> None: ...


class _Unusable(MilepostError):
    """Answers came, and they can't be used; `pause_s` until the next try."""

    def __init__(self, outcome: str, pause_s: float, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.pause_s = pause_s


class Poller:
    """The queues of all connections. `callback` gives the address at which a connection takes pushes, "" for none.

    `heard` is told of every answer that could be read: account, carrier, body and reports.
    """

    def __init__(
        self,
        ingest: Door,
        store: Quarantine,
        connections: Connections,
        schedule: Schedule,
        watch: Watch,
        settling: Settling,
        exits: Exits,
        *,
        observer: Observer,
        callback: Callable[[Connection], str] = lambda connection: "",
        heard: Callable[[str, str, bytes, Sequence[Report]], None] = lambda account, carrier, body, reports: None,
        settings: PollSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ingest = ingest
        self.store = store
        self.connections = connections
        self.schedule = schedule
        self.watch = watch
        self.settling = settling
        self.exits = exits
        self.observer = observer
        self.callback = callback
        self.heard = heard
        self.settings = settings or PollSettings()
        self.clock = clock
        self.eased = asyncio.Event()  # some queue is at most half full
        self._desks: dict[str, _Desk] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def now(self) -> int:
        """Milliseconds since 1970."""
        return round(self.clock() * 1000)

    async def run(self) -> None:
        """Hold the workers until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await asyncio.Event().wait()

    def offer(self, route: Route, looks: Sequence[Look]) -> Sequence[Look]:
        """Queue shipments to be asked for over the route; what does not fit comes back."""
        assert self._tasks is not None, "offered before run()"
        return self._desk(route).take_in(looks, self._tasks)

    def usable(self, route: Route) -> bool:
        """Whether the route's last question was answered, or is long enough ago to try again."""
        return self.now() >= self.connections.resting_until(route.connection.id)

    def elsewhere(self, route: Route, document: Document) -> bool:
        """Whether the shipment can be asked for over another route now."""
        others = (one for one in self.connections.routes(document) if one.connection.id != route.connection.id)
        return any(answers(one, document) and self.usable(one) for one in others)

    def full(self) -> bool:
        """Whether some queue can take no more."""
        return any(desk.room <= 0 for desk in self._desks.values())

    async def worked_off(self) -> None:
        """Wait until some queue is at most half full; at once where none is full."""
        if self.full():
            self.eased.clear()
            await self.eased.wait()

    def backlog_s(self, route: Route) -> float:
        """How long the queue of the route's connection will take, at best."""
        return self._desk(route).backlog_s

    async def drain(self) -> None:
        """Give back what is queued and wait for the questions under way."""
        for desk in self._desks.values():
            desk.give_back()
        working = [task for desk in self._desks.values() for task in desk.working]
        if working:
            await asyncio.wait(working)

    def _desk(self, route: Route) -> _Desk:
        desk = self._desks.get(route.connection.id)
        if desk is None:
            desk = self._desks[route.connection.id] = _Desk(self, route)
        desk.use(route)
        return desk


def _bare(waybill: str) -> str:
    """A number without the blanks and dashes that carriers put in and leave out."""
    return "".join(filter(str.isalnum, waybill)).upper()


def pace_of(carrier: Carrier) -> float:
    """Waybills a second that one connection may ask for."""
    return max(carrier.rate, 0.001) * max(1, carrier.batch)


class _Desk:
    """One connection's queue and its workers, as many as its rate can keep busy."""

    def __init__(self, poller: Poller, route: Route) -> None:
        self._poller = poller
        self._queue: deque[Look] = deque()
        self._route = route
        self.working: set[asyncio.Task[None]] = set()
        self.use(route)

    def use(self, route: Route) -> None:
        """Ask over this route from now on: the connection may have been changed."""
        carrier, settings = route.carrier, self._poller.settings
        self._route = route
        self._pace = pace_of(carrier)
        self._workers = min(settings.concurrency, max(1, math.ceil(carrier.rate * 5)))
        self._capacity = min(settings.queue_max, max(carrier.batch, int(self._pace * settings.horizon_s)))

    @property
    def room(self) -> int:
        return self._capacity - len(self._queue)

    @property
    def backlog_s(self) -> float:
        return max(1.0, len(self._queue) / self._pace)

    def take_in(self, looks: Sequence[Look], tasks: asyncio.TaskGroup) -> Sequence[Look]:
        room = max(0, self.room)
        self._queue.extend(looks[:room])
        wanted = min(self._workers, math.ceil(len(self._queue) / self._route.carrier.batch))
        for _ in range(wanted - len(self.working)):
            worker = tasks.create_task(self._work())
            self.working.add(worker)
            worker.add_done_callback(self.working.discard)
        return looks[room:]

    def give_back(self) -> None:
        """Settle what is queued as due now."""
        while self._queue:
            look = self._queue.popleft()
            self._poller.settling.settle(look.item, look.item.due)

    async def _work(self) -> None:
        while self._queue:
            size = min(max(1, self._route.carrier.batch), len(self._queue))
            batch = [self._queue.popleft() for _ in range(size)]
            if 2 * len(self._queue) <= self._capacity:
                self._poller.eased.set()
            await _Question(self._poller, self._route, batch).run()


class _Question:
    """One batch: asked, read, taken in and settled."""

    def __init__(self, poller: Poller, route: Route, batch: Sequence[Look]) -> None:
        self._poller = poller
        self._route = route
        self._carrier = route.carrier
        self._http: CarrierHttp = poller.exits.of(
            route.connection, base=route.connection.base or route.carrier.base, rate=route.carrier.rate
        )
        longest = self._http.deadline_s + _MARGIN_S
        stale = poller.now() - round((poller.settings.lease_s - longest) * 1000)
        # a claim that might end before the answer comes is left to whoever claims it next
        self._batch = [look for look in batch if look.claimed_at > stale]

    async def run(self) -> None:
        if not self._batch:
            return
        started = time.perf_counter()
        outcome = await self._outcome()
        self._poller.observer.polled(self._carrier.slug, outcome, len(self._batch), time.perf_counter() - started)

    async def _outcome(self) -> str:
        """Ask and settle; whatever goes wrong with one connection stays with it."""
        try:
            await self._ask()
            return "answered"
        except _Unusable as error:
            return await self._later(error.outcome, error.pause_s, error)
        except CarrierLimited as error:
            return await self._later("limited", self._until(error), error)
        except CarrierRefused as error:
            return await self._later("refused", max(self._poller.settings.refused_s, self._until(error)), error)
        except CarrierError as error:
            return await self._later("unavailable", self._until(error) or self._poller.settings.backoff_s, error)
        except ParseError as error:  # a token's answer, say
            self._http.answers.failed()
            return await self._later("unreadable", self._poller.settings.backoff_s, error)
        except MilepostError as error:  # the store: the shipments come again when their lease has run out
            log.warning("poll.not_taken_in", connection=self._route.connection.id, error=str(error))
            return "unavailable"
        except Exception:
            log.exception("poll.adapter_broken", carrier=self._carrier.slug, connection=self._route.connection.id)
            return await self._later("broken", self._poller.settings.backoff_s, None)
        finally:
            self._http.answers.released()

    async def _ask(self) -> None:
        self._http.answers.admit()
        await self._subscribe()
        fetch = self._carrier.fetch
        if fetch is None:
            await self._settle({}, ())
            return
        asks = {look.item.id: self._ask_of(look.shipment.document) for look in self._batch}
        fit = [ask for ask in asks.values() if not self._lacks(ask)]
        replies = await self._http.ask(lambda http: fetch(http, fit)) if fit else ()
        reports, mark = await self._read(replies)
        received = await self._take_in(reports, mark)
        self._judge(reports)
        self._http.answers.succeeded()
        await self._poller.connections.note_answered(self._route.connection)
        await self._poller.connections.note_heard(self._route.connection, now=self._poller.now())
        await self._settle(received.shipments, received.changed)

    def _ask_of(self, document: Document) -> Ask:
        details = document.details
        return Ask(
            number=document.waybill,
            carrier=document.carrier if self._carrier.aggregator else "",
            phone_tail=details.phone_tail,
            postal_code=details.postal_code,
            ship_date=details.ship_date,
        )

    def _lacks(self, ask: Ask) -> bool:
        return bool(self._carrier.needs and self._carrier.needs(ask))

    async def _subscribe(self) -> None:
        """Have the carrier push what it has never told us of; asked again at each look until it does."""
        subscribe, callback = self._carrier.subscribe, self._poller.callback(self._route.connection)
        new = [look.shipment.document for look in self._batch if unheard(self._route, look.shipment.document)]
        asks = [ask for ask in map(self._ask_of, new) if not self._lacks(ask)]
        if subscribe is None or not callback or not asks:
            return
        try:
            refusals = await self._http.ask(lambda http: subscribe(http, asks, callback))
        except CarrierRefused as error:  # pushes may cost extra: what can be asked for is asked for
            log.warning("poll.not_subscribed", connection=self._route.connection.id, why=str(error))
            return
        for number, why in refusals.items():
            log.info("poll.not_subscribed", carrier=self._carrier.slug, waybill=number, why=why[:200])

    # ------------------------------------------------------------ reading

    async def _read(self, replies: Sequence[Reply]) -> tuple[list[Report], str]:
        """The reports of all replies, and the fingerprint of their bodies."""
        reports: list[Report] = []
        for reply in replies:
            try:
                told = self._carrier.parse(reply.body, reply.content_type)
            except ParseError as error:
                await self._keep(reply, error)
                self._http.answers.failed()
                raise _Unusable("unreadable", self._poller.settings.backoff_s, str(error)) from None
            self._poller.heard(self._route.connection.account, self._carrier.slug, reply.body, told)
            reports += told
        return reports, fingerprint(b"".join(reply.body for reply in replies))

    async def _keep(self, reply: Reply, error: ParseError) -> None:
        entry = quarantined(
            self._carrier.slug,
            self._route.connection.polls,
            reply.body,
            {"content-type": reply.content_type},
            reason=str(error),
            now=self._poller.now(),
            status=reply.status,
        )
        try:
            await self._poller.store.quarantine(self._route.connection.account, entry.encode())
        except Full as full:  # nothing is lost: it can be asked again, and is
            log.warning("poll.not_kept", connection=self._route.connection.id, error=str(full), reason=str(error)[:200])
        else:
            self._poller.observer.quarantined(self._carrier.slug)

    async def _take_in(self, reports: Sequence[Report], mark: str) -> Received:
        connection = self._route.connection
        return await self._poller.ingest.receive(
            connection.account,
            connection.polls,
            self._carrier,
            self._ours(reports),
            fingerprint=mark,
            now=self._poller.now(),
            asked=True,
        )

    def _ours(self, reports: Sequence[Report]) -> list[Report]:
        """What was said of the waybills that we asked about, under the numbers by which we know them."""
        asked = {_bare(look.shipment.document.waybill): look.shipment.document.waybill for look in self._batch}
        only = next(iter(asked.values())) if len(asked) == 1 else ""
        named = ((asked.get(_bare(report.waybill)) if report.waybill else only, report) for report in reports)
        return [
            report if waybill == report.waybill else structs.replace(report, waybill=waybill)
            for waybill, report in named
            if waybill
        ]

    def _judge(self, reports: Sequence[Report]) -> None:
        """Raise where the answer is about us or the carrier, and about no parcel at all."""
        problems = [report.problem for report in reports]
        if not problems or any(problem is None or problem.kind in _OF_PARCELS for problem in problems):
            return
        problem = problems[0]
        assert problem is not None
        outcome, pause_s = self._pause(problem)
        raise _Unusable(outcome, pause_s, problem.text)

    def _pause(self, problem: Problem) -> tuple[str, float]:
        settings = self._poller.settings
        if problem.kind is ProblemKind.LIMITED:
            self._http.limit(settings.limited_s)
            return "limited", settings.limited_s
        self._http.answers.failed()
        if problem.kind is ProblemKind.REFUSED:
            return "refused", settings.refused_s
        return "unavailable", settings.backoff_s

    # ------------------------------------------------------------ settling

    async def _settle(self, shipments: Mapping[str, Shipment], changed: Collection[str]) -> None:
        """Say when to look again. What changed, or is flagged now, had that written with its commit."""
        poller, written = self._poller, frozenset(changed)
        now = poller.now()
        for look in self._batch:
            shipment = shipments.get(look.item.id, look.shipment)
            if look.item.id not in written and not await poller.watch.look(shipment, now=now):
                poller.settling.settle(look.item, poller.schedule.after_look(shipment, now))

    def _until(self, error: CarrierError) -> float:
        return max(0.0, error.retry_at - self._poller.clock())

    async def _later(self, outcome: str, pause_s: float, error: Exception | None) -> str:
        """Look again after the pause, not all at the same moment; at once where another route can be asked."""
        if error is not None:
            log.warning(
                "poll.failed",
                carrier=self._carrier.slug,
                connection=self._route.connection.id,
                outcome=outcome,
                error=str(error)[:300],
                shipments=len(self._batch),
            )
        now, gap = self._poller.now(), 1000 / pace_of(self._carrier)
        at = now + round(pause_s * 1000)
        with suppress(MilepostError):  # where the store is away, at least this process knows
            await self._poller.connections.note_failed(self._route.connection, until=at)
        for place, look in enumerate(self._batch):
            elsewhere = self._poller.elsewhere(self._route, look.shipment.document)
            self._poller.settling.settle(look.item, round((now if elsewhere else at) + place * gap))
        return outcome


_OF_PARCELS = (ProblemKind.NOT_FOUND, ProblemKind.INVALID)
