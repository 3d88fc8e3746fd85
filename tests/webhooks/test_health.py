"""Endpoints that do nothing but fail: noted, told of, switched off; and none that works now and then."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.webhooks.receiving import ACCOUNT, Desk, Receiver, until
from tests.webhooks.test_outbound import answering, book
from tracker.store import Store
from webhooks.health import KIND, Failing, Ledger, read_notes
from webhooks.subscription import DISABLED, TEST
from webhooks.subscriptions import Standing, standing

DAY = 86_400.0


class Days:
    """A clock that is set by hand, and whom the ledger gave up."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.given_up: list[tuple[str, str, Failing]] = []

    def __call__(self) -> float:
        return self.now

    async def give_up(self, account: str, id: str, failing: Failing) -> None:
        self.given_up.append((account, id, failing))


@pytest.fixture
def days() -> Days:
    return Days()


@pytest.fixture
def ledger(store: Store, days: Days) -> Ledger:
    return another(store, days)


def another(store: Store, days: Days) -> Ledger:
    """The ledger of one more process, or of this one after a restart."""
    return Ledger(store, days.give_up, clock=days)


async def noted(store: Store) -> dict[str, Failing]:
    return {id: note for (_, id), note in read_notes(await store.records(KIND)).items()}


async def fail_for(ledger: Ledger, days: Days, seconds: float, why: str = "answered 500") -> None:
    ledger.failed("acme", "sub_1", why)
    days.now += seconds
    ledger.failed("acme", "sub_1", why)
    await ledger.keep()


async def test_a_short_failure_writes_nothing(store: Store, ledger: Ledger, days: Days) -> None:
    await fail_for(ledger, days, 59)
    assert await noted(store) == {}
    assert not ledger.failing("sub_1")


async def test_one_that_lasts_a_minute_is_noted_with_its_beginning_and_its_cause(
    store: Store, ledger: Ledger, days: Days
) -> None:
    await fail_for(ledger, days, 61, "no complete answer within 15 s")
    assert await noted(store) == {"sub_1": Failing(1_000_000_000, "no complete answer within 15 s")}
    assert ledger.failing("sub_1")


async def test_a_note_is_written_once(store: Store, ledger: Ledger, days: Days) -> None:
    await fail_for(ledger, days, 61)
    version = await store.records_version(KIND)
    for _ in range(100):
        days.now += 60
        ledger.failed("acme", "sub_1", "answered 500")
        await ledger.keep()
    assert await store.records_version(KIND) == version


async def test_a_success_takes_the_note_away(store: Store, ledger: Ledger, days: Days) -> None:
    await fail_for(ledger, days, 61)
    ledger.worked("acme", "sub_1")
    await ledger.keep()
    assert await noted(store) == {}


async def test_five_days_of_failures_are_enough(store: Store, ledger: Ledger, days: Days) -> None:
    await fail_for(ledger, days, 61)
    days.now += 5 * DAY - 70
    await fail_for(ledger, days, 0)
    assert days.given_up == []
    await fail_for(ledger, days, 10)
    assert days.given_up == [("acme", "sub_1", Failing(1_000_000_000, "answered 500"))]
    assert await noted(store) == {}


async def test_a_restart_does_not_begin_the_count_anew(store: Store, ledger: Ledger, days: Days) -> None:
    await fail_for(ledger, days, 61)
    restarted = another(store, days)
    await restarted.keep()
    days.now += 5 * DAY
    await fail_for(restarted, days, 0)
    assert len(days.given_up) == 1


async def test_a_success_in_one_process_counts_in_all(store: Store, ledger: Ledger, days: Days) -> None:
    other = another(store, days)
    await fail_for(ledger, days, 61)
    await other.keep()
    other.worked("acme", "sub_1")
    await other.keep()
    days.now += 5 * DAY
    await ledger.keep()
    await fail_for(ledger, days, 0)
    assert days.given_up == []


async def test_the_earlier_of_two_notes_holds(store: Store, ledger: Ledger, days: Days) -> None:
    await fail_for(ledger, days, 61)
    other = another(store, days)
    await fail_for(other, days, 61)
    assert (await noted(store))["sub_1"].since == 1_000_000_000
    assert other.failing("sub_1")


async def test_a_deleted_account_leaves_no_note(store: Store, ledger: Ledger, days: Days) -> None:
    await store.drop_account("acme")
    await fail_for(ledger, days, 61)
    assert await noted(store) == {}


async def test_a_note_that_can_not_be_read_is_passed_over(store: Store, ledger: Ledger) -> None:
    await store.put_record(KIND, "acme", "sub_1", b"{", create=True)
    await ledger.keep()
    assert not ledger.failing("sub_1")


async def test_an_endpoint_that_only_fails_is_switched_off_and_the_others_hear_of_it(
    desk: Desk, receiver: Receiver
) -> None:
    desk.set(enough_s=0.3, poll_s=0.02, schedule_factor=0.002)
    dead, _ = await desk.subscribe(receiver.url("/dead"), description="the old shop", paused=True)
    _, secret = await desk.subscribe(receiver.url("/good"))
    await desk.subscribe(receiver.url("/picky"), types=["shipment.delivered"])
    receiver.answers["/dead"] = answering(500)
    async with desk.running(book):
        for n in range(30):
            await desk.change(f"SF{n}", "updated", "delivered")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 60)  # so all are in the lanes
        await desk.subscriptions.amend(ACCOUNT, dead.id, paused=False)
        await until(lambda: any(DISABLED in str(one.body) for one in receiver.at("/good")))
        async with asyncio.timeout(60):
            while await desk.store.lanes(dead.id):
                await asyncio.sleep(0.02)
    [notice] = [one for one in receiver.at("/good") if DISABLED in str(one.body)]
    told = Webhook(secret).verify(notice.body, notice.headers)
    assert told["type"] == DISABLED
    assert told["data"]["subscription_id"] == dead.id
    assert told["data"]["description"] == "the old shop"
    assert "answered 500" in told["data"]["why"]
    assert receiver.root not in notice.body.decode()
    assert all(DISABLED not in str(one.body) for one in [*receiver.at("/dead"), *receiver.at("/picky")])
    off = await desk.subscriptions.get(ACCOUNT, dead.id)
    assert off is not None
    [stands] = await desk.subscriptions.standings(ACCOUNT, [off])
    assert (stands.state, stands.since > 0) == ("disabled", True)
    assert stands.why.endswith("answered 500")
    letters, _ = await desk.store.dead_letters(ACCOUNT, destination=dead.id, limit=200)
    assert {one.destination for one in letters} == {dead.id}
    assert len(letters) == 60  # what waited is not lost


async def test_410_is_told_to_the_other_endpoints(desk: Desk, receiver: Receiver) -> None:
    gone, _ = await desk.subscribe(receiver.url("/gone"))
    await desk.subscribe(receiver.url("/good"), types=[DISABLED])
    receiver.answers["/gone"] = answering(410)
    receiver.answers["/good"] = answering(503, 200)
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: len(receiver.at("/good")) == 2)  # a notice is retried like anything else
    first, second = receiver.at("/good")
    assert (first.id, first.body) == (second.id, second.body)
    assert json.loads(first.body)["data"]["why"] == "the receiver answered 410 Gone"
    log = [json.loads(one) for one in await desk.store.delivery_log(ACCOUNT, (await others(desk, gone.id))[0])]
    assert [(one["type"], one["shipment_id"]) for one in log] == [(DISABLED, None)] * 2


async def test_many_deliveries_that_hear_410_tell_of_it_once(desk: Desk, receiver: Receiver) -> None:
    await desk.subscribe(receiver.url("/gone"))
    await desk.subscribe(receiver.url("/good"), types=[DISABLED])

    async def gone(_: web.Request, __: int) -> web.Response:
        await asyncio.sleep(0.3)  # so that all are under way
        return web.Response(status=410)

    receiver.answers["/gone"] = gone
    async with desk.running(book):
        for n in range(20):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 20)
        await until(lambda: bool(receiver.at("/good")))
    assert len(receiver.at("/gone")) > 1
    assert len({one.id for one in receiver.at("/good")}) == 1


async def others(desk: Desk, id: str) -> list[str]:
    return [one.id for one in await desk.subscriptions.all(ACCOUNT) if one.id != id]


async def test_an_amendment_of_the_address_wipes_the_slate(desk: Desk, receiver: Receiver) -> None:
    made, _ = await desk.subscribe(receiver.url("/hook"))
    since = int(time.time() * 1000)
    await desk.store.put_record(KIND, ACCOUNT, made.id, b'{"since": %d, "why": "answered 500"}' % since)
    [failing] = await desk.subscriptions.standings(ACCOUNT, [made])
    assert (failing.state, failing.since, failing.why) == ("failing", since, "answered 500")
    moved = await desk.subscriptions.amend(ACCOUNT, made.id, url=receiver.url("/new"))
    assert [one.state for one in await desk.subscriptions.standings(ACCOUNT, [moved])] == ["active"]


async def test_the_first_attempt_that_fails_is_told_and_a_new_address_begins_anew(
    desk: Desk, receiver: Receiver
) -> None:
    """By the delivery log, long before anything is noted; a test that fails is no failure of what is delivered."""
    made, _ = await desk.subscribe(receiver.url("/bad"))
    receiver.answers["/bad"] = answering(500)
    await desk.subscriptions.test(made, TEST, now=0)
    assert await desk.subscriptions.standings(ACCOUNT, [made]) == [Standing("active")]
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: desk.observer.seen.count(("webhook", "retry")) >= 1)
        async with asyncio.timeout(60):
            while len(await desk.store.delivery_log(ACCOUNT, made.id)) < 2:
                await asyncio.sleep(0.02)
    [stands] = await desk.subscriptions.standings(ACCOUNT, [made])
    assert (stands.state, stands.failed >= 1, stands.since > 0, stands.why) == ("active", True, True, "answered 500")
    moved = await desk.subscriptions.amend(ACCOUNT, made.id, url=receiver.url("/new"))
    assert await desk.subscriptions.standings(ACCOUNT, [moved]) == [Standing("active")]


async def test_what_its_owner_switched_off_says_since_when(desk: Desk) -> None:
    made, _ = await desk.subscribe("http://127.0.0.1/hook")
    off = await desk.subscriptions.amend(ACCOUNT, made.id, enabled=False)
    assert (standing(off, None).state, standing(off, None).since > 0, off.gave_up) == ("disabled", True, False)
    paused = await desk.subscriptions.amend(ACCOUNT, made.id, enabled=True, paused=True)
    assert (standing(paused, None).state, standing(paused, None).since > 0) == ("paused", True)
    assert paused.disabled_at == 0
