"""Prometheus metrics, all named `milepost_*`; the parts tell `Metrics` what happened through protocols of their own."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from functools import cache, partial
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
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        # pushes, and what could not be kept of them
        self._intake = counter("milepost_intake_requests", "Carrier pushes by outcome", ["carrier", "outcome"])
        self._intake_s = histogram("milepost_intake_seconds", "From the push to its acknowledgement", buckets=_FAST)
        self._quarantined = counter("milepost_quarantined", "Bodies that could not be read", ["carrier"])
        self.quarantine_full = counter("milepost_quarantine_full", "Pushed bodies that were not taken into quarantine")
        self.parked_dropped = counter(
            "milepost_parked_dropped", "Scans of waybills that nobody registered, which made room"
        )
        # polls
        self._polls = counter("milepost_polls", "Queries to carriers by outcome", ["carrier", "outcome"])
        self._polled = counter("milepost_polled_waybills", "Waybills asked about", ["carrier"])
        self._poll_s = histogram("milepost_poll_seconds", "One query to a carrier", ["carrier"])
        self._breaker = gauge("milepost_breaker_open", "1 while a connection's breaker is open", ["connection"])
        # what nothing covers
        self._unknown = counter("milepost_unknown_codes", "Scans that no table or phrase covers", ["carrier", "code"])
        self._empty = counter("milepost_empty_bodies", "Bodies without a scan, a status or trouble", ["carrier"])
        self._drift = counter(
            "milepost_drift", "What a carrier said for the first time and nothing covers", ["carrier", "kind"]
        )
        # changes, and handing them on
        self._commits = counter("milepost_changes", "Changes committed, by kind", ["kind"])
        self.retired = counter("milepost_shipments_retired", "Closed shipments that left after shipments.keep_days")
        self._deliveries = counter(
            "milepost_deliveries", "Attempts to hand a change to a destination", ["destination", "outcome"]
        )
        self._delivery_s = histogram("milepost_delivery_seconds", "One attempt", ["destination"], buckets=_FAST)
        # asking order stores
        self._backfills = counter(
            "milepost_backfills", "Attempts to ask for what was not pushed", ["platform", "outcome"]
        )
        self._backfilled = counter(
            "milepost_backfill_waybills", "Waybills that were found so, by outcome", ["platform", "outcome"]
        )
        self._backfill_lag = gauge(
            "milepost_backfill_lag_seconds", "By how much the end of a round is overdue, at most"
        )
        # the port
        self._connections = gauge("milepost_connections", "Connections to the port that are open")
        self._cut_off = counter("milepost_connections_cut_off", "Connections refused or held too long, by why", ["why"])
        # what is measured now and then: queues, parcels, the store and its disk
        self.agenda_lag = gauge("milepost_agenda_lag_seconds", "How late the most overdue shipment is")
        self.feed_age = gauge("milepost_feed_age_seconds", "Age of the oldest change not yet fanned out")
        self.lanes = gauge("milepost_lanes_backlog", "Lanes that hold changes")
        self.stalled = gauge("milepost_stalled_shipments", "Shipments flagged stalled", ["account"])
        self.open = gauge("milepost_shipments", "Shipments by status", ["account", "status"])
        self.store_up = gauge("milepost_store_up", "1 while the store answers")
        self.store_bytes = gauge("milepost_store_used_bytes", "Memory that the store uses")
        self.log_bytes = gauge("milepost_store_log_bytes", "Size of the append-only log")
        self.disk_free = gauge("milepost_disk_free_bytes", "Free space beside the log, -1: not ours to see")
        self.disk_free.set(-1)
        self._codes: set[tuple[str, str]] = set()
        self._codes_of: Tally[str] = Tally()
        # what is counted for every webhook: finding a series by its labels costs more than counting
        self._intake_of = cache(self._intake.labels)
        self._commits_of = cache(self._commits.labels)
        self._deliveries_of = cache(self._deliveries.labels)
        self._delivery_s_of = cache(self._delivery_s.labels)
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """`increase()` does not see a series being born at 1: what an alarm counts stands there from the start."""
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
