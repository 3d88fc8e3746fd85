"""A queue for each connection, and the workers that ask what waits in it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from carriers.sdk import Report
from tracker.agenda import Look, Schedule, Settling
from tracker.carrier_http.exits import Exits
from tracker.connections.connection import Connection, Route
from tracker.connections.kept import Connections
from tracker.ingest.types import Hearing
from tracker.poller.means import Means, Observer, PollSettings, Quarantine, pace_of
from tracker.poller.question import Question
from tracker.watch import Watch


class Poller:
    """The queues of all connections. `callback` gives the address at which a connection takes pushes, "" for none.

    `heard` is told of every answer that could be read: account, carrier, body and reports.
    """

    def __init__(
        self,
        ingest: Hearing,
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
        self.means = Means(
            ingest=ingest,
            store=store,
            connections=connections,
            schedule=schedule,
            watch=watch,
            settling=settling,
            exits=exits,
            observer=observer,
            callback=callback,
            heard=heard,
            settings=settings or PollSettings(),
            clock=clock,
        )
        self._eased = asyncio.Event()  # some queue is at most half full
        self._desks: dict[str, _Desk] = {}
        self._tasks: asyncio.TaskGroup | None = None

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
        return self.means.usable(route)

    def full(self) -> bool:
        """Whether some queue can take no more."""
        return any(desk.room <= 0 for desk in self._desks.values())

    async def worked_off(self) -> None:
        """Wait until some queue is at most half full; at once where none is full."""
        if self.full():
            self._eased.clear()
            await self._eased.wait()

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
            desk = self._desks[route.connection.id] = _Desk(self.means, route, self._eased)
        desk.use(route)
        return desk


class _Desk:
    """One connection's queue and its workers, as many as its rate can keep busy."""

    def __init__(self, means: Means, route: Route, eased: asyncio.Event) -> None:
        self._means = means
        self._eased = eased
        self._queue: deque[Look] = deque()
        self._route = route
        self.working: set[asyncio.Task[None]] = set()
        self.use(route)

    def use(self, route: Route) -> None:
        """Ask over this route from now on: the connection may have been changed."""
        carrier, settings = route.carrier, self._means.settings
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
            self._means.settling.settle(look.item, look.item.due)

    async def _work(self) -> None:
        while self._queue:
            size = min(max(1, self._route.carrier.batch), len(self._queue))
            batch = [self._queue.popleft() for _ in range(size)]
            if 2 * len(self._queue) <= self._capacity:
                self._eased.set()
            await Question(self._means, self._route, batch).run()
