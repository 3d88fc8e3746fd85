"""An adapter's `fetch` over real HTTP, against a carrier on loopback that answers as an exchange says, and has moods.

    def test_the_acme_adapter_bears_its_carriers_moods() -> None:
        rehearsal.check(acme.carrier, Path(acme.__file__).parent / "fixtures")

Between the two stands what stands there in the daemon, `tracker.carrier_http`: its retries, limits and tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import aiohttp
from aiohttp import web
from msgspec import Struct

from carriers.conformance.verdict import judge
from carriers.sdk import Carrier, Http, ParseError, Reply, Report
from tracker.authoring.exchanges import Exchange, ExchangeError, exchanges, invented_credentials, read
from tracker.authoring.stage import Key, Mood, Stage
from tracker.authoring.witness import Witness
from tracker.carrier_http.errors import CarrierLimited, CarrierRefused, CarrierUnavailable
from tracker.carrier_http.exits import CarrierHttp
from tracker.carrier_http.patience import Policy

_NOW = 1_780_000_000.0
_PAUSE = 7  # seconds that a limit asks for
_QUICK = Policy(attempt_s=5.0, deadline_s=10.0, attempts=2, retry_wait_s=0.001)
_PAGE = "<!DOCTYPE html><html><body><h1>Scheduled maintenance</h1></body></html>"


def check(carrier: Carrier, fixtures: Path) -> None:
    """Rehearse every `exchange-*.json` in `fixtures`; NotConforming lists all that went wrong."""
    if carrier.fetch is None:
        return
    found = exchanges(fixtures)
    missing = [] if found else [f"fixtures: add {fixtures.name}/exchange-*.json, or have `milepost try --record` do it"]
    judge(carrier, [*missing, *(line for path in found for line in asyncio.run(_rehearse(carrier, path)))])


async def _rehearse(carrier: Carrier, path: Path) -> list[str]:
    try:
        exchange = read(path)
    except ExchangeError as error:
        return [str(error)]
    async with Stage.open(exchange, path.parent) as stage, aiohttp.ClientSession() as session:
        actor = _Actor(carrier, exchange, path.parent, session, stage.base)
        usual = await actor.ask()
        wrong = [*_usual(exchange, stage, usual)]
        for mood, expected in () if wrong else _MOODS:
            stage.begin(mood, spared=usual.for_tokens)
            run = await actor.ask()
            wrong += (f"{mood.what}: {line}" for line in _in_a_mood(mood, expected, usual, run))
    return [f"{path.name}: {line}" for line in wrong]


# ---------------------------------------------------------------- what must hold


def _limit() -> web.Response:
    return web.Response(status=429, headers={"Retry-After": str(_PAUSE)})


_MOODS: Sequence[tuple[Mood, type[Exception] | None]] = (  # None: the usual reports
    (Mood("a 401 once", lambda: web.Response(status=401), False), None),
    (Mood("a 401 always", lambda: web.Response(status=401), True), CarrierRefused),
    (Mood("a 500 once", lambda: web.Response(status=500, text=_PAGE), False), None),
    (Mood("a 500 always", lambda: web.Response(status=500, text=_PAGE), True), CarrierUnavailable),
    (Mood(f"a 429 with Retry-After: {_PAUSE}", _limit, True), CarrierLimited),
    (Mood("a page of HTML", lambda: web.Response(text=_PAGE, content_type="text/html"), True), ParseError),
)


def _usual(exchange: Exchange, stage: Stage, run: _Run) -> Iterator[str]:
    """When everything goes well: no error, nothing asked that is not in the exchange, every number sent and told."""
    yield from (f"asked {method} {path}, which is no step of it" for method, path in stage.unknown)
    if run.error is not None:
        yield f"fetch raised {type(run.error).__name__}: {run.error}"
        return
    told = {report.waybill for report in run.reports}
    for ask in exchange.asks:
        if not any(ask.number in sent for sent in stage.sent):
            yield f"{ask.number} stood in no request: send every number that is asked for"
        if ask.number not in told and "" not in told:
            yield f"the answers tell nothing of {ask.number}, but of {', '.join(sorted(told)) or 'nothing'}"


def _in_a_mood(mood: Mood, expected: type[Exception] | None, usual: _Run, run: _Run) -> Iterator[str]:
    as_expected = type(run.error) is expected if expected else run.error is None and run.reports == usual.reports
    if not as_expected:
        came = repr(run.error) if run.error else "reports"
        yield f"{came} instead of {expected.__name__ if expected else 'the usual reports'}: let pass what `http` raises"
    if mood.answer().status == 401 and run.tokens < 2 * usual.tokens:
        yield "no fresh token was asked for: take it from http.token for each request"
    if isinstance(run.error, CarrierLimited) and run.error.retry_at != _NOW + _PAUSE:
        yield f"asked again after {run.error.retry_at - _NOW:g} s"


# ---------------------------------------------------------------- one question


class _Run(Struct, frozen=True):
    """What came of a question: reports, or what was raised; the requests for tokens, and how many tokens were had."""

    reports: Sequence[Report] = ()
    error: Exception | None = None
    for_tokens: frozenset[Key] = frozenset()
    tokens: int = 0


class _Access(Struct, frozen=True):
    """A connection as the way out sees it."""

    id: str
    credentials: Mapping[str, str]


class _Actor:
    """The adapter, with an exchange's question, before the carrier at `base`."""

    def __init__(
        self, carrier: Carrier, exchange: Exchange, folder: Path, session: aiohttp.ClientSession, base: str
    ) -> None:
        self._carrier, self._exchange = carrier, exchange
        self._access = _Access("rehearsal", invented_credentials(carrier, folder) | dict(exchange.credentials))
        self._session, self._base = session, base

    async def ask(self) -> _Run:
        """Ask once, with nothing left of earlier questions."""
        way = CarrierHttp(self._session, self._access, base=self._base, rate=10_000, policy=_QUICK, clock=lambda: _NOW)
        witnesses: list[Witness] = []
        try:
            reports = await self._reports(way, witnesses)
        except Exception as error:
            return self._run(witnesses, error=error)
        return self._run(witnesses, reports=reports)

    async def _reports(self, way: CarrierHttp, witnesses: list[Witness]) -> list[Report]:
        async def question(http: Http) -> Sequence[Reply]:
            assert self._carrier.fetch is not None
            witnesses.append(Witness(http, at_home=True))
            return await self._carrier.fetch(witnesses[-1], self._exchange.asks)

        replies = await way.ask(question)
        return [report for reply in replies for report in self._carrier.parse(reply.body, reply.content_type)]

    def _run(
        self, witnesses: Sequence[Witness], *, reports: Sequence[Report] = (), error: Exception | None = None
    ) -> _Run:
        asked = frozenset((one.method, one.path) for witness in witnesses for one in witness.asked if one.for_token)
        return _Run(reports, error, asked, sum(len(witness.tokens) for witness in witnesses))
