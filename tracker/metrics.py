"""Prometheus metrics, all named `milepost_*`; the parts tell `Metrics` what happened through protocols of their own."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tracker.model import ChangeKind

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CODES_SHOWN = 500  # series of unknown codes; the rest are counted under "(more)"
_CODES_OF_ONE = 50  # of them of one carrier, so that one that says nothing else leaves the others theirs
_CUT_OFF = ("full", "address", "header", "write", "room")
_DESTINATIONS = ("webhook", "orders", "store")
_OUTCOMES = ("done", "retry", "dead", "discard")
_FOUND = ("found", "registered", "failed")


class Metrics:
    """Every metric of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._intake = Counter(
            "milepost_intake_requests", "Carrier pushes by outcome", ["carrier", "outcome"], registry=r
        )
        self._intake_s = Histogram(
            "milepost_intake_seconds", "From the push to its acknowledgement", registry=r, buckets=_FAST
        )
        self._quarantined = Counter("milepost_quarantined", "Bodies that could not be read", ["carrier"], registry=r)
        self.quarantine_full = Counter(
            "milepost_quarantine_full", "Pushed bodies that were not taken into quarantine", registry=r
        )
        self.parked_dropped = Counter(
            "milepost_parked_dropped", "Scans of waybills that nobody registered, which made room", registry=r
        )
        self._polls = Counter("milepost_polls", "Queries to carriers by outcome", ["carrier", "outcome"], registry=r)
        self._polled = Counter("milepost_polled_waybills", "Waybills asked about", ["carrier"], registry=r)
        self._poll_s = Histogram("milepost_poll_seconds", "One query to a carrier", ["carrier"], registry=r)
        self._breaker = Gauge(
            "milepost_breaker_open", "1 while a connection's breaker is open", ["connection"], registry=r
        )
        self._unknown = Counter(
            "milepost_unknown_codes", "Scans that no table or phrase covers", ["carrier", "code"], registry=r
        )
        self._empty = Counter(
            "milepost_empty_bodies", "Bodies without a scan, a status or trouble", ["carrier"], registry=r
        )
        self._drift = Counter(
            "milepost_drift",
            "What a carrier said for the first time and nothing covers",
            ["carrier", "kind"],
            registry=r,
        )
        self._commits = Counter("milepost_changes", "Changes committed, by kind", ["kind"], registry=r)
        self._deliveries = Counter(
            "milepost_deliveries", "Attempts to hand a change to a destination", ["destination", "outcome"], registry=r
        )
        self._delivery_s = Histogram(
            "milepost_delivery_seconds", "One attempt", ["destination"], registry=r, buckets=_FAST
        )
        self._backfills = Counter(
            "milepost_backfills", "Attempts to ask for what was not pushed", ["platform", "outcome"], registry=r
        )
        self._backfilled = Counter(
            "milepost_backfill_waybills", "Waybills that were found so, by outcome", ["platform", "outcome"], registry=r
        )
        self._backfill_lag = Gauge(
            "milepost_backfill_lag_seconds", "By how much the end of a round is overdue, at most", registry=r
        )
        self._connections = Gauge("milepost_connections", "Connections to the port that are open", registry=r)
        self._cut_off = Counter(
            "milepost_connections_cut_off",
            "Connections refused or held too long, by why",
            ["why"],
            registry=r,
        )
        self.agenda_lag = Gauge("milepost_agenda_lag_seconds", "How late the most overdue shipment is", registry=r)
        self.feed_age = Gauge("milepost_feed_age_seconds", "Age of the oldest change not yet fanned out", registry=r)
        self.lanes = Gauge("milepost_lanes_backlog", "Changes waiting in lanes", registry=r)
        self.stalled = Gauge("milepost_stalled_shipments", "Shipments flagged stalled", ["account"], registry=r)
        self.open = Gauge("milepost_shipments", "Shipments by status", ["account", "status"], registry=r)
        self.store_up = Gauge("milepost_store_up", "1 while the store answers", registry=r)
        self.store_bytes = Gauge("milepost_store_used_bytes", "Memory that the store uses", registry=r)
        self.log_bytes = Gauge("milepost_store_log_bytes", "Size of the append-only log", registry=r)
        self.disk_free = Gauge("milepost_disk_free_bytes", "Free space beside the log, -1: not ours to see", registry=r)
        self.disk_free.set(-1)
        self._codes: set[tuple[str, str]] = set()
        self._codes_of: Tally[str] = Tally()
        # what is counted for every webhook: finding a series by its labels costs more than counting
        self._intake_of = cache(self._intake.labels)
        self._commits_of = cache(self._commits.labels)
        self._deliveries_of = cache(self._deliveries.labels)
        self._delivery_s_of = cache(self._delivery_s.labels)
        # `increase()` does not see a series being born at 1: what an alarm counts stands there from the start, at 0
        for why in _CUT_OFF:
            self._cut_off.labels(why)
        for destination, outcome in product(_DESTINATIONS, _OUTCOMES):
            self._deliveries_of(destination, outcome)

    def page(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)

    def may_hear(self, sources: Iterable[str]) -> None:
        """Carriers and platforms whose bodies may come, and may be unreadable: each begins at 0."""
        for source in sources:
            self._quarantined.labels(source)

    # -------------------------------------------------------- what the parts tell

    def connections(self, number: int) -> None:
        """So many are open."""
        self._connections.set(number)

    def cut_off(self, why: str) -> None:
        """A connection was refused (`full`, `address`) or ended (`header`, `write`, `room`)."""
        self._cut_off.labels(why).inc()

    def intake(self, carrier: str, outcome: str, seconds: float) -> None:
        """A push was answered: `accepted`, `quarantined`, `refused`, `unavailable`."""
        self._intake_of(carrier, outcome).inc()
        self._intake_s.observe(seconds)

    def quarantined(self, carrier: str) -> None:
        """A body went into quarantine."""
        self._quarantined.labels(carrier).inc()

    def polled(self, carrier: str, outcome: str, waybills: int, seconds: float) -> None:
        """A query was answered or failed."""
        self._polls.labels(carrier, outcome).inc()
        self._polled.labels(carrier).inc(waybills)
        self._poll_s.labels(carrier).observe(seconds)

    def forget_accounts(self) -> None:
        """Drop the figures of every account; those that are left are set again."""
        self.open.clear()
        self.stalled.clear()

    def breaker(self, connection: str, open: bool) -> None:
        """A connection's breaker opened or closed."""
        self._breaker.labels(connection).set(open)

    def unknown_code(self, carrier: str, code: str) -> None:
        """A scan that nothing covers; bounded, since codes come from outside."""
        label = (carrier, code[:40] or "(text)")
        if label not in self._codes:
            if len(self._codes) >= _CODES_SHOWN or self._codes_of[carrier] >= _CODES_OF_ONE:
                label = (carrier, "(more)")
            else:
                self._codes_of[carrier] += 1
                self._codes.add(label)
        self._unknown.labels(*label).inc()

    def empty_body(self, carrier: str) -> None:
        """A body that could be read and says nothing."""
        self._empty.labels(carrier).inc()

    def drifted(self, carrier: str, kind: str) -> None:
        """A code, a text, a shape or an empty body that this store had not seen before."""
        self._drift.labels(carrier, kind).inc()

    def committed(self, kinds: Sequence[ChangeKind]) -> None:
        """A commit announced these changes."""
        for kind in kinds:
            self._commits_of(kind.value).inc()

    def delivered(self, destination: str, outcome: str, seconds: float) -> None:
        """An attempt ended; `destination` is its kind (`webhook`, `orders`), never an address."""
        self._deliveries_of(destination, outcome).inc()
        self._delivery_s_of(destination).observe(seconds)

    def backfilled(self, platform: str, outcome: str) -> None:
        """An attempt to ask an order store for what was not pushed ended."""
        self._backfills.labels(platform, outcome).inc()

    def backfill_found(self, platform: str, found: int, registered: int, failed: int) -> None:
        """A page of such an attempt: waybills, those of them that are new, and those that can't be followed."""
        for outcome, number in zip(_FOUND, (found, registered, failed), strict=True):
            self._backfilled.labels(platform, outcome).inc(number)

    def backfill_lag(self, seconds: float) -> None:
        """The end of a round is overdue by so much, of the order store where that is longest."""
        self._backfill_lag.set(seconds)
