"""What a question needs of the daemon: the door, connections, the way out, who counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from carriers.sdk import Carrier, Report
from tracker.agenda import Schedule, Settling, answers
from tracker.carrier_http.exits import Exits
from tracker.connections.connection import Connection, Route
from tracker.connections.kept import Connections
from tracker.ingest.types import Hearing
from tracker.model import Document
from tracker.watch import Watch


class PollSettings(Struct, frozen=True, kw_only=True):
    """How carriers are asked."""

    concurrency: int = 8  # queries under way at once for one connection
    horizon_s: float = 20.0  # a queue holds what its connection can do in so long
    queue_max: int = 800  # shipments in one queue: what waits is memory that each one under way pays for
    lease_s: float = 120.0  # as the agenda claims
    backoff_s: float = 300.0  # after an answer that nobody can use
    refused_s: float = 900.0  # after our credentials were refused
    limited_s: float = 60.0  # after an answer that says "too often" in its body


class Quarantine(Protocol):
    """Where bodies go that can't be read."""

    async def quarantine(self, account: str, entry: bytes) -> str: ...


class Observer(Protocol):
    """Who counts; `outcome`: answered, unreadable, refused, limited, unavailable, broken."""

    def polled(self, carrier: str, outcome: str, waybills: int, seconds: float) -> None: ...
    def quarantined(self, carrier: str) -> None: ...


class Means(Struct, kw_only=True):
    """What a question is asked with, read by, taken in and settled by. Whose words they are: see `Poller`."""

    ingest: Hearing
    store: Quarantine
    connections: Connections
    schedule: Schedule
    watch: Watch
    settling: Settling
    exits: Exits
    observer: Observer
    callback: Callable[[Connection], str]
    heard: Callable[[str, str, bytes, Sequence[Report]], None]
    settings: PollSettings
    clock: Callable[[], float]

    def now(self) -> int:
        """Milliseconds since 1970."""
        return round(self.clock() * 1000)

    def usable(self, route: Route) -> bool:
        """Whether the route's last question was answered, or is long enough ago to try again."""
        return self.now() >= self.connections.resting_until(route.connection.id)

    def elsewhere(self, route: Route, document: Document) -> bool:
        """Whether the shipment can be asked for over another route now."""
        others = (one for one in self.connections.routes(document) if one.connection.id != route.connection.id)
        return any(answers(one, document) and self.usable(one) for one in others)


def pace_of(carrier: Carrier) -> float:
    """Waybills a second that one connection may ask for."""
    return max(carrier.rate, 0.001) * max(1, carrier.batch)
