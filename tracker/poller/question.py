"""One question to a carrier: a batch that is asked, read, taken in and settled."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import structlog
from msgspec import structs

from carriers.sdk import Ask, ParseError, Problem, ProblemKind, Reply, Report
from tracker.agenda import Look, unheard
from tracker.carrier_http.errors import CarrierError, CarrierLimited, CarrierRefused
from tracker.carrier_http.exits import CarrierHttp
from tracker.connections.connection import Route
from tracker.errors import MilepostError
from tracker.ingest.cleaning import fingerprint
from tracker.ingest.types import Received
from tracker.model import Document, Shipment
from tracker.poller.means import Means, pace_of
from tracker.quarantine import quarantined
from tracker.store.types import Full

_MARGIN_S = 10.0  # of a lease that must be left after the longest question

log = structlog.get_logger()

_OF_PARCELS = (ProblemKind.NOT_FOUND, ProblemKind.INVALID)


class _Unusable(MilepostError):
    """Answers came, and they can't be used; `pause_s` until the next try."""

    def __init__(self, outcome: str, pause_s: float, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.pause_s = pause_s


class Question:
    """One batch: asked, read, taken in and settled."""

    def __init__(self, means: Means, route: Route, batch: Sequence[Look]) -> None:
        self._means = means
        self._route = route
        self._carrier = route.carrier
        self._http: CarrierHttp = means.exits.of(
            route.connection, base=route.connection.base or route.carrier.base, rate=route.carrier.rate
        )
        longest = self._http.deadline_s + _MARGIN_S
        stale = means.now() - round((means.settings.lease_s - longest) * 1000)
        # a claim that might end before the answer comes is left to whoever claims it next
        self._batch = [look for look in batch if look.claimed_at > stale]

    async def run(self) -> None:
        """Ask, unless nobody of the batch is ours any more."""
        if not self._batch:
            return
        started = time.perf_counter()
        outcome = await self._outcome()
        self._means.observer.polled(self._carrier.slug, outcome, len(self._batch), time.perf_counter() - started)

    async def _outcome(self) -> str:
        """Ask and settle; whatever goes wrong with one connection stays with it."""
        try:
            with self._http.answers.question():
                await self._ask()
            return "answered"
        except _Unusable as error:
            return await self._later(error.outcome, error.pause_s, error)
        except CarrierLimited as error:
            return await self._later("limited", self._until(error), error)
        except CarrierRefused as error:
            return await self._later("refused", max(self._means.settings.refused_s, self._until(error)), error)
        except CarrierError as error:
            return await self._later("unavailable", self._until(error) or self._means.settings.backoff_s, error)
        except ParseError as error:  # a token's answer, say
            self._http.answers.failed()
            return await self._later("unreadable", self._means.settings.backoff_s, error)
        except MilepostError as error:  # the store: the shipments come again when their lease has run out
            log.warning("poll.not_taken_in", connection=self._route.connection.id, error=str(error))
            return "unavailable"
        except Exception:
            log.exception("poll.adapter_broken", carrier=self._carrier.slug, connection=self._route.connection.id)
            return await self._later("broken", self._means.settings.backoff_s, None)

    async def _ask(self) -> None:
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
        await self._means.connections.note_answered(self._route.connection)
        await self._means.connections.note_heard(self._route.connection, now=self._means.now())
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
        subscribe, callback = self._carrier.subscribe, self._means.callback(self._route.connection)
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
                raise _Unusable("unreadable", self._means.settings.backoff_s, str(error)) from None
            self._means.heard(self._route.connection.account, self._carrier.slug, reply.body, told)
            reports += told
        return reports, fingerprint(b"".join(reply.body for reply in replies))

    async def _keep(self, reply: Reply, error: ParseError) -> None:
        entry = quarantined(
            self._carrier.slug,
            self._route.connection.polls,
            reply.body,
            {"content-type": reply.content_type},
            reason=str(error),
            now=self._means.now(),
            status=reply.status,
        )
        try:
            await self._means.store.quarantine(self._route.connection.account, entry.encode())
        except Full as full:  # nothing is lost: it can be asked again, and is
            log.warning("poll.not_kept", connection=self._route.connection.id, error=str(full), reason=str(error)[:200])
        else:
            self._means.observer.quarantined(self._carrier.slug)

    async def _take_in(self, reports: Sequence[Report], mark: str) -> Received:
        connection = self._route.connection
        return await self._means.ingest.receive(
            connection.account,
            connection.polls,
            self._carrier,
            self._ours(reports),
            fingerprint=mark,
            now=self._means.now(),
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
        settings = self._means.settings
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
        means, written = self._means, frozenset(changed)
        now = means.now()
        for look in self._batch:
            shipment = shipments.get(look.item.id, look.shipment)
            if look.item.id not in written and not await means.watch.look(shipment, now=now):
                means.settling.settle(look.item, means.schedule.after_look(shipment, now))

    def _until(self, error: CarrierError) -> float:
        return max(0.0, error.retry_at - self._means.clock())

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
        now, gap = self._means.now(), 1000 / pace_of(self._carrier)
        at = now + round(pause_s * 1000)
        with suppress(MilepostError):  # where the store is away, at least this process knows
            await self._means.connections.note_failed(self._route.connection, until=at)
        for place, look in enumerate(self._batch):
            elsewhere = self._means.elsewhere(self._route, look.shipment.document)
            self._means.settling.settle(look.item, round((now if elsewhere else at) + place * gap))
        return outcome


def _bare(waybill: str) -> str:
    """A number without the blanks and dashes that carriers put in and leave out."""
    return "".join(filter(str.isalnum, waybill)).upper()
