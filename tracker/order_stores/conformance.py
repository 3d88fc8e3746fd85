"""The conformance suite: what every platform is held to, against a peer that keeps its documented rules.

An adapter in a package of its own calls `check(bench)` in one test; `CASES` are the single promises, for a test each.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import msgspec

from tracker.order_stores.destination import OrderStoreDestination
from tracker.order_stores.exit import Exits
from tracker.order_stores.order_store import OrderStore
from tracker.order_stores.sdk import Page, Platform, Unavailable
from tracker.orders import Answer, OrderSettings, open_book
from tracker.store.types import Delivery, Outcome
from webhooks.guard import Guard, guarded_session

RETRY_AFTER_S = 7
ORDER, WAYBILL, OTHER = "1001", "SF1000000000001", "SF1000000000002"
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
GARBAGE = (
    b"",
    b"<html>502</html>",
    b'"\xff"',
    *(b"null", b"[]", b"{}", b'{"data":null}', b'{"items":7}', b'[{"id":"x"}]'),
    b'{"items":[{"increment_id":"1001"}]}',  # what is right as far as it goes
    b'{"status":"processing","meta_data":[{"key":7}]}',
    b'{"data":{"orders":{"nodes":[{"name":"#1001","fulfillments":[{"trackingInfo":[{"number":"SF1000000000001"}]}]}]}}}',
)


class Trouble(StrEnum):
    """How a peer answers every request from now on."""

    REFUSES = "refuses"  # as the platform refuses for good, with a reason that holds the word `refused`
    LIMITS = "limits"  # as the platform limits, for about RETRY_AFTER_S
    AWAY = "away"  # 503
    STRANGER = "stranger"  # 401: the credentials do not hold
    ELSEWHERE = "elsewhere"  # 302 to itself
    LOSES_REPLIES = "loses_replies"  # does what is asked, and hangs up


class Bench(Protocol):
    """A peer of the platform and what is needed to speak to it."""

    @property
    def platform(self) -> Platform: ...
    @property
    def base(self) -> str: ...
    @property
    def credentials(self) -> Mapping[str, str]: ...
    @property
    def requests(self) -> int:
        """How many requests came."""

    @property
    def reads_answers(self) -> bool:
        """Whether the platform says yes in a body, not by the status alone."""

    def sell(self, number: str, waybills: list[str]) -> None:
        """The platform has this order, and has handed these parcels to a carrier."""

    def told(self, number: str, waybill: str) -> list[str]:
        """What the platform keeps of the parcel's way, oldest first, one entry for each thing told."""

    def trouble(self, kind: Trouble | None) -> None:
        """Answer every request like that from now on; None: as the platform does."""

    def answer(self, body: bytes) -> None:
        """Answer every request with 200 and this body from now on."""


class Desk:
    """One order store of the bench, fed as the lanes feed it, with an order book of its own."""

    def __init__(self, bench: Bench, destination: OrderStoreDestination, exits: Exits, store: OrderStore) -> None:
        self.bench = bench
        self.exits = exits
        self.store = store
        self._destination = destination

    async def deliver(self, status: str, revision: int, **more: Any) -> Answer:
        """Hand over one change of a parcel; `more`: its `waybill`, `order` and `kind`, and fields of its view."""
        body = msgspec.json.encode(_change(status, revision, **more))
        shipment = _shipment(more.get("waybill", WAYBILL))
        kind = more.get("kind", status)
        name, account = self.store.destination, self.store.account
        return await self._destination.handle(Delivery(name, account, shipment, revision, kind, 1, 0, "c", 0, body))

    def told(self, waybill: str = WAYBILL) -> list[str]:
        """What the platform keeps of the parcel."""
        return self.bench.told(ORDER, waybill)


class _Only:
    """A directory of one order store."""

    def __init__(self, store: OrderStore, platform: Platform) -> None:
        self._store = store
        self._platform = platform

    async def find(self, id: str) -> OrderStore | None:
        return self._store if id == self._store.id else None

    def platform_of(self, store: OrderStore) -> Platform | None:
        return self._platform


@asynccontextmanager
async def desk(bench: Bench, **said: Any) -> AsyncIterator[Desk]:
    """A desk with an empty book, over the bench as it stands; `said` are fields of its order store."""
    store = OrderStore(
        id="ost_bench",
        account="acme",
        platform=bench.platform.slug,
        base=bench.base,
        credentials=bench.credentials,
        **said,
    )
    with TemporaryDirectory() as directory:
        async with (
            open_book(OrderSettings(directory=Path(directory))) as book,
            guarded_session(guard=Guard(LOOPBACK, range(65_536))) as session,
        ):
            exits = Exits(session, timeout_s=5.0)
            yield Desk(bench, OrderStoreDestination(_Only(store, bench.platform), book, exits), exits, store)


# ---------------------------------------------------------------- the promises


async def each_step_is_told_once_and_in_order(desk: Desk) -> None:
    """What the platform keeps grows by one with each step."""
    for revision, status in enumerate(("picked_up", "in_transit", "out_for_delivery", "delivered"), 1):
        _expect(await desk.deliver(status, revision), Outcome.DONE)
        _equal(len(desk.told()), revision, f"things told after {status}")
    _equal(len(set(desk.told())), 4, "different things told")


async def the_same_revision_twice_is_once(desk: Desk) -> None:
    """A delivery that comes again, to a process that knows nothing of the first, tells nothing new."""
    await desk.deliver("picked_up", 1)
    async with _another(desk) as other:
        _expect(await other.deliver("picked_up", 1), Outcome.DONE)
    _equal(len(desk.told()), 1, "things told")


async def a_lost_reply_makes_nothing_twice(desk: Desk) -> None:
    """What was done and not acknowledged is told again, and is there once."""
    desk.bench.trouble(Trouble.LOSES_REPLIES)
    _expect(await desk.deliver("picked_up", 1), Outcome.RETRY)
    desk.bench.trouble(None)
    _expect(await desk.deliver("picked_up", 1), Outcome.DONE)
    _equal(len(desk.told()), 1, "things told")


async def an_older_revision_is_ignored(desk: Desk) -> None:
    """It is not even asked about."""
    await desk.deliver("delivered", 7)
    before, requests = desk.told(), desk.bench.requests
    _expect(await desk.deliver("picked_up", 6), Outcome.DONE)
    _equal((desk.told(), desk.bench.requests), (before, requests), "things told, and requests")


async def any_order_of_arrival_ends_the_same(desk: Desk) -> None:
    """The last thing told is of the newest revision."""
    for revision, status in ((2, "in_transit"), (4, "delivered"), (1, "picked_up"), (3, "out_for_delivery")):
        await desk.deliver(status, revision)
    newest = desk.told()[-1]
    await desk.deliver("delivered", 4)
    _equal(desk.told()[-1], newest, "the last thing told")
    _equal(len(desk.told()), 2, "things told")


async def parcels_of_one_order_are_told_apart(desk: Desk) -> None:
    """What is told of one is not told of the other."""
    await desk.deliver("picked_up", 1)
    await desk.deliver("picked_up", 1, waybill=OTHER)
    await desk.deliver("delivered", 2, waybill=OTHER)
    _equal((len(desk.told()), len(desk.told(OTHER))), (1, 2), "things told of each")


async def what_is_refused_is_dead_with_its_reason(desk: Desk) -> None:
    """At once, and in the platform's words."""
    desk.bench.trouble(Trouble.REFUSES)
    answer = _expect(await desk.deliver("picked_up", 1), Outcome.DEAD)
    if "refused" not in answer.detail.removeprefix("refused: "):
        raise AssertionError(f"the platform's reason is lost: {answer.detail}")


async def a_limit_is_kept_for_every_parcel(desk: Desk) -> None:
    """Retry-After is heeded, and nothing else is sent meanwhile."""
    desk.bench.trouble(Trouble.LIMITS)
    answer = _expect(await desk.deliver("picked_up", 1), Outcome.RETRY)
    if not 1_000 <= answer.retry_after_ms <= 60_000:
        raise AssertionError(f"tried again after {answer.retry_after_ms} ms, asked for about {RETRY_AFTER_S} s")
    desk.bench.trouble(None)
    requests = desk.bench.requests
    held = _expect(await desk.deliver("picked_up", 1, waybill=OTHER), Outcome.RETRY)
    _equal(desk.bench.requests, requests, "requests while it is held")
    if held.retry_after_ms <= 0:
        raise AssertionError("a parcel that is held must say until when")


async def what_is_unavailable_is_left_to_the_schedule(desk: Desk) -> None:
    """A platform that is away, answers with a redirect, or does not take the credentials."""
    for kind in (Trouble.AWAY, Trouble.STRANGER, Trouble.ELSEWHERE):
        desk.bench.trouble(kind)
        answer = _expect(await desk.deliver("picked_up", 1), Outcome.RETRY)
        _equal(answer.retry_after_ms, 0, f"its own time to try again, {kind}")
    desk.bench.trouble(None)
    _expect(await desk.deliver("picked_up", 1), Outcome.DONE)


async def garbage_is_never_taken_for_a_yes(desk: Desk) -> None:
    """Whatever comes back instead of an answer is tried again."""
    if not desk.bench.reads_answers:
        return
    for body in GARBAGE:
        desk.bench.answer(body)
        answer = await desk.deliver("picked_up", 1)
        if answer.outcome not in (Outcome.RETRY, Outcome.DEAD):
            raise AssertionError(f"{body!r} was taken for a yes")
        _equal(desk.told(), [], f"things told after {body!r}")


async def a_parcel_that_left_its_order_is_not_told(desk: Desk) -> None:
    """Deleted, or taken out of the order: there is nothing to say."""
    requests = desk.bench.requests
    _expect(await desk.deliver("picked_up", 2, kind="deleted"), Outcome.DONE)
    _expect(await desk.deliver("picked_up", 1), Outcome.DONE)
    _equal(desk.bench.requests, requests, "requests")


async def a_test_says_whether_it_is_reached(desk: Desk) -> None:
    """With the right credentials yes, else no and why."""
    for kind in (None, Trouble.STRANGER, Trouble.AWAY):
        desk.bench.trouble(kind)
        probe = await desk.exits.probe(desk.store, desk.bench.platform)
        _equal(probe.reached, kind is None, f"reached, {kind or 'no trouble'}: {probe.detail}")


async def what_it_handed_over_is_found_by_asking(desk: Desk) -> None:
    """Where it can be asked; and what can't be read is no answer."""
    if desk.bench.platform.recent is None:
        return
    exit, an_hour_ago = desk.exits.of(desk.store, desk.bench.platform), datetime.now(UTC) - timedelta(hours=1)
    page = await exit.recent(an_hour_ago, "")
    _equal(sorted(one.waybill for one in page.fulfilments), [WAYBILL, OTHER], "waybills found")
    if page.updated_to is None or page.updated_to < an_hour_ago:
        raise AssertionError(f"the latest update was {page.updated_to}")
    for body in GARBAGE:
        desk.bench.answer(body)
        with contextlib.suppress(Unavailable):
            _equal(await exit.recent(an_hour_ago, ""), Page(), f"the page in {body!r}")


async def no_secret_is_ever_told(desk: Desk) -> None:
    """Not in a reason, not in a representation."""
    shown = [repr(desk.store)]
    for kind in Trouble:
        desk.bench.trouble(kind)
        async with _another(desk) as other:
            shown.append((await other.deliver("picked_up", 1)).detail)
    for name, secret in desk.store.credentials.items():
        if any(secret in text for text in shown):
            raise AssertionError(f"the credential {name} is shown")


Case = Callable[[Desk], Awaitable[None]]
CASES: tuple[Case, ...] = (
    each_step_is_told_once_and_in_order,
    the_same_revision_twice_is_once,
    a_lost_reply_makes_nothing_twice,
    an_older_revision_is_ignored,
    any_order_of_arrival_ends_the_same,
    parcels_of_one_order_are_told_apart,
    what_is_refused_is_dead_with_its_reason,
    a_limit_is_kept_for_every_parcel,
    what_is_unavailable_is_left_to_the_schedule,
    garbage_is_never_taken_for_a_yes,
    a_parcel_that_left_its_order_is_not_told,
    a_test_says_whether_it_is_reached,
    what_it_handed_over_is_found_by_asking,
    no_secret_is_ever_told,
)


async def check(bench: Callable[[], Bench]) -> None:
    """Hold a platform to every promise, each on a bench of its own; raises AssertionError that names what is broken."""
    for case in CASES:
        await run(case, bench())


async def run(case: Case, bench: Bench) -> None:
    """Hold a platform to one promise."""
    bench.sell(ORDER, [WAYBILL, OTHER])
    async with desk(bench) as fed:
        await case(fed)


@asynccontextmanager
async def _another(desk_: Desk) -> AsyncIterator[Desk]:
    async with desk(desk_.bench) as other:
        yield other


def _expect(answer: Answer, outcome: Outcome) -> Answer:
    if answer.outcome is not outcome:
        raise AssertionError(f"expected {outcome}, got {answer.outcome}: {answer.detail}")
    return answer


def _equal(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise AssertionError(f"{what}: expected {wanted!r}, found {found!r}")


def _shipment(waybill: str) -> str:
    return f"shp_{waybill}"


def _change(
    status: str, revision: int, *, waybill: str = WAYBILL, order: str = ORDER, kind: str = "", **more: Any
) -> dict[str, Any]:
    """A change's body as the feed freezes it."""
    at = f"2026-11-20T{8 + revision:02}:00:00+08:00"
    last = {"occurred_at": at, "milestone": status, "reason": None, "description": f"scan {revision}", "location": ""}
    view = {
        "id": _shipment(waybill),
        "waybill": waybill,
        "carrier": "sf",
        "status": status,
        "status_at": at,
        "registered_at": "2026-11-19T00:00:00Z",
        "updated_at": f"2026-11-20T00:{revision:02}:00Z",
        "order_number": order,
        "last_event": last,
    } | more
    data = {"shipment": view, "revision": revision, "previous_status": None, "events_added": [last]}
    return {"type": f"shipment.{kind or status}", "data": data}
