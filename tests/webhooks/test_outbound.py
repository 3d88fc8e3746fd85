"""Deliveries over real HTTP from a real store: signed, in order, retried, and never at a neighbour's cost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.store.lines import unreliable
from tests.webhooks.naming import Naming
from tests.webhooks.receiving import ACCOUNT, Answering, Desk, Receiver, until
from tracker.store.types import Delivery, Outcome
from webhooks.attempts import SCHEDULE_S, wait_before
from webhooks.destination import Result
from webhooks.post import retry_after
from webhooks.subscription import TEST


async def book(_: Delivery) -> Result:
    """An order book that takes everything."""
    return Result(outcome=Outcome.DONE)


def answering(*statuses: int, headers: dict[str, str] | None = None) -> Answering:
    """Answers with each status in turn, then with the last one for ever."""

    async def answer(_: web.Request, nth: int) -> web.Response:
        return web.Response(status=statuses[min(nth, len(statuses)) - 1], headers=headers, text="said")

    return answer


async def hang(_: web.Request, __: int) -> web.Response:
    await asyncio.sleep(3)
    return web.Response()


async def test_a_change_arrives_signed_as_the_official_library_wants_it(desk: Desk, receiver: Receiver) -> None:
    subscription, secret = await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        id = await desk.change("SF1", "registered")
        await until(lambda: bool(receiver.heard))
    heard = receiver.heard[0]
    assert Webhook(secret).verify(heard.body, heard.headers)["type"] == "shipment.registered"
    assert heard.id == f"msg_{id[4:]}_1"
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["user-agent"].startswith("Milepost/")
    assert await desk.store.lanes(subscription.id) == 0


async def test_the_changes_of_each_shipment_arrive_in_order(desk: Desk, receiver: Receiver) -> None:
    await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(200, 503, 200, 500, 200)
    async with desk.running(book):
        ids = [await desk.change(f"SF{n}", *["updated"] * 6) for n in range(10)]
        await until(lambda: len({one.id for one in receiver.heard}) == 60)
    for id in ids:
        revisions = [one.revision for one in receiver.heard if one.shipment == id]
        assert revisions == sorted(revisions)
        assert set(revisions) == {1, 2, 3, 4, 5, 6}


async def test_a_failed_delivery_is_retried_with_the_same_id_and_bytes(desk: Desk, receiver: Receiver) -> None:
    subscription, secret = await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(500, 200)
    async with desk.running(book):
        await desk.change("SF1", "delivered")
        await until(lambda: len(receiver.heard) == 2)
    first, second = receiver.heard
    assert (first.id, first.body) == (second.id, second.body)
    assert second.at - first.at >= SCHEDULE_S[1] * desk.settings.schedule_factor * 0.85
    Webhook(secret).verify(second.body, second.headers)
    done, failed = (json.loads(entry) for entry in await desk.store.delivery_log(ACCOUNT, subscription.id))
    assert (failed["attempt"], failed["status"], failed["outcome"], failed["error"]) == (
        1,
        500,
        "retry",
        "answered 500",
    )
    assert (done["attempt"], done["status"], done["outcome"], done["error"]) == (2, 200, "done", None)
    assert failed["response"] == "said"
    assert failed["latency_ms"] >= 0
    assert desk.observer.seen.count(("webhook", "retry")) == 1


async def test_a_change_that_nobody_takes_dies_and_can_be_replayed(desk: Desk, receiver: Receiver) -> None:
    desk.set(schedule_factor=0.0)
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(*[500] * len(SCHEDULE_S), 200)
    async with desk.running(book):
        await desk.change("SF1", "delivered", "corrected")
        await until(lambda: len(receiver.heard) == len(SCHEDULE_S) + 1)  # the next of the lane follows the dead one
        letters, _ = await desk.store.dead_letters(ACCOUNT)
        assert [(one.destination, one.revision, one.attempts) for one in letters] == [(subscription.id, 1, 10)]
        assert letters[0].detail == "answered 500"
        assert await desk.store.replay_dead(ACCOUNT, [letters[0].id]) == 1
        await until(lambda: len(receiver.heard) == len(SCHEDULE_S) + 2)
    first, replayed = receiver.heard[0], receiver.heard[-1]
    assert (replayed.id, replayed.body) == (first.id, first.body)
    assert ("webhook", "dead") in desk.observer.seen


async def test_a_dead_and_a_hanging_receiver_delay_nobody_else(desk: Desk, receiver: Receiver) -> None:
    released = asyncio.Event()

    async def hold(_: web.Request, __: int) -> web.Response:
        await released.wait()
        return web.Response()

    desk.set(timeout_s=300.0)
    receiver.answers["/slow"] = hold
    slow, _ = await desk.subscribe(receiver.url("/slow"))
    await desk.subscribe("http://127.0.0.1:9/refuses")
    await desk.subscribe(receiver.url("/good"))
    async with desk.running(book):
        for n in range(60):
            await desk.change(f"SF{n}", "updated", "delivered")
        await until(lambda: len(receiver.at("/good")) == 120)
        assert await desk.store.delivery_log(ACCOUNT, slow.id) == []  # before the first of the hanging ones ended
        receiver.answers.clear()
        released.set()


async def test_410_switches_the_subscription_off(desk: Desk, receiver: Receiver) -> None:
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(410)
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: bool(receiver.heard))
        await until(lambda: ("webhook", "discard") in desk.observer.seen)
        await desk.change("SF1", "updated", "delivered")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 3)
    assert len(receiver.heard) == 1
    off = await desk.subscriptions.get(ACCOUNT, subscription.id)
    assert off is not None
    assert (off.enabled, off.disabled_why) == (False, "the receiver answered 410 Gone")
    assert await desk.store.lanes(subscription.id) == 0


async def test_an_answer_too_long_is_cut_off_and_counts_by_its_status(desk: Desk, receiver: Receiver) -> None:
    async def flood(request: web.Request, _: int) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for part in range(2_000):
                sent[:] = [part]
                await response.write(b"x" * 65_536)
        finally:
            ended.set()
        return response

    sent: list[int] = []
    ended = asyncio.Event()
    receiver.answers["/hook"] = flood
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: ("webhook", "done") in desk.observer.seen)
        await asyncio.wait_for(ended.wait(), 60)
    assert sent[0] < 200  # of 2,000
    entry = json.loads((await desk.store.delivery_log(ACCOUNT, subscription.id))[0])
    assert entry["response"] == "x" * 1024


async def test_an_answer_that_drips_is_given_up_at_the_deadline(desk: Desk, receiver: Receiver) -> None:
    async def drip(request: web.Request, nth: int) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(40 if nth == 1 else 1):
                await response.write(b"x")
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        return response

    desk.set(timeout_s=0.4)
    receiver.answers["/hook"] = drip
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: ("webhook", "done") in desk.observer.seen)
    entries = [json.loads(entry) for entry in await desk.store.delivery_log(ACCOUNT, subscription.id)]
    assert entries[-1]["error"] == "no complete answer within 0.4 s"
    assert 350 < entries[-1]["latency_ms"] < 3_000  # to its end it would take four seconds


async def test_a_redirect_is_not_followed(desk: Desk, receiver: Receiver) -> None:
    receiver.answers["/hook"] = answering(302, 204, headers={"Location": "/elsewhere"})
    await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: len(receiver.heard) == 2)
    assert receiver.at("/elsewhere") == []


async def test_retry_after_is_waited_for_where_it_is_longer_than_the_schedule(desk: Desk, receiver: Receiver) -> None:
    receiver.answers["/hook"] = answering(429, 204, headers={"Retry-After": "1"})
    await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: len(receiver.heard) == 2)
    assert receiver.heard[1].at - receiver.heard[0].at >= 0.95


async def test_an_address_that_is_not_public_is_refused_and_logged(desk: Desk, receiver: Receiver) -> None:
    subscription, _ = await desk.subscribe("http://metadata.example/", types=["shipment.delivered"])
    desk.wire._resolver = Naming("169.254.169.254")
    async with desk.running(book):
        await desk.change("SF1", "delivered")
        await until(lambda: ("webhook", "retry") in desk.observer.seen)
    entry = json.loads((await desk.store.delivery_log(ACCOUNT, subscription.id))[-1])
    assert entry["error"] == "169.254.169.254 is refused: a cloud's metadata service"


async def test_the_order_book_gets_every_change_through_its_handler(desk: Desk) -> None:
    seen: list[tuple[str, int]] = []

    async def remember(delivery: Delivery) -> Result:
        if len(seen) < 2 and (delivery.id, delivery.revision) not in seen:
            seen.append((delivery.id, delivery.revision))
            return Result(outcome=Outcome.RETRY, detail="away", retry_after_ms=20)
        seen.append((delivery.id, delivery.revision))
        return Result(outcome=Outcome.DONE)

    async with desk.running(remember):
        id = await desk.change("SF1", "registered", "updated", "delivered")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 3)
    assert list(dict.fromkeys(seen)) == [(id, 1), (id, 2), (id, 3)]


async def test_a_handler_that_raises_is_retried(desk: Desk) -> None:
    tried: list[int] = []

    async def stumble(delivery: Delivery) -> Result:
        tried.append(delivery.attempt)
        if len(tried) == 1:
            raise KeyError("a bug")
        return Result(outcome=Outcome.DONE)

    async with desk.running(stumble):
        await desk.change("SF1", "registered")
        await until(lambda: ("orders", "done") in desk.observer.seen)
    assert tried == [1, 2]


async def test_a_subscription_hears_only_what_it_asked_for(desk: Desk, receiver: Receiver) -> None:
    await desk.subscribe(receiver.url("/all"))
    await desk.subscribe(receiver.url("/done"), types=["shipment.delivered"])
    await desk.subscribe(receiver.url("/south"), shops=["south"])
    await desk.subscribe(receiver.url("/other"), carriers=["sf"])
    async with desk.running(book):
        north = await desk.change("SF1", "registered", "delivered", shop="north")
        south = await desk.change("SF2", "registered", shop="south")
        await until(lambda: len(receiver.heard) == 5)
        await until(lambda: len(desk.observer.seen) == 8)
    assert {(one.shipment, one.revision) for one in receiver.at("/all")} == {(north, 1), (north, 2), (south, 1)}
    assert [(one.shipment, one.revision) for one in receiver.at("/done")] == [(north, 2)]
    assert [one.shipment for one in receiver.at("/south")] == [south]
    assert receiver.at("/other") == []


async def test_a_new_subscription_hears_the_very_next_change(desk: Desk, receiver: Receiver) -> None:
    async with desk.running(book):
        wanted = set()
        for n in range(20):
            await desk.subscribe(receiver.url(f"/{n}"))
            wanted.add((f"/{n}", await desk.change(f"SF{n}", "registered")))
        await until(lambda: wanted <= {(one.path, one.shipment) for one in receiver.heard})


async def test_a_removed_subscription_hears_nothing_more(desk: Desk, receiver: Receiver) -> None:
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: bool(receiver.heard))
        await desk.subscriptions.remove(ACCOUNT, subscription.id)
        await desk.change("SF1", "updated")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 2)
    assert len(receiver.heard) == 1


async def test_a_rotated_secret_signs_beside_the_old_one(desk: Desk, receiver: Receiver) -> None:
    subscription, old = await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        _, new = await desk.subscriptions.rotate(ACCOUNT, subscription.id)
        await desk.change("SF1", "registered")
        await until(lambda: bool(receiver.heard))
    heard = receiver.heard[0]
    Webhook(old).verify(heard.body, heard.headers)
    Webhook(new).verify(heard.body, heard.headers)


async def test_a_test_event_says_what_the_receiver_answered(desk: Desk, receiver: Receiver) -> None:
    subscription, secret = await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(204, 418)
    good = await desk.subscriptions.test(subscription, TEST, now=0)
    bad = await desk.subscriptions.test(subscription, TEST, now=0)
    assert (good.delivered, good.status) == (True, 204)
    assert (bad.delivered, bad.status, bad.detail) == (False, 418, "answered 418")
    assert (good.id, bad.id) == (receiver.heard[0].id, receiver.heard[1].id)
    assert good.latency_ms > 0
    told = Webhook(secret).verify(receiver.heard[0].body, receiver.heard[0].headers)
    assert (told["type"], told["schema"], told["test"]) == ("milepost.test", 1, True)


async def test_a_redirect_is_told_as_what_it_is(desk: Desk, receiver: Receiver) -> None:
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(308)
    said = await desk.subscriptions.test(subscription, TEST, now=0)
    assert said.detail == "answered 308, and no redirect is followed: give the address that it leads to"


async def test_stopping_finishes_what_is_under_way_and_begins_nothing(desk: Desk, receiver: Receiver) -> None:
    released = asyncio.Event()

    async def hold(_: web.Request, __: int) -> web.Response:
        await released.wait()
        return web.Response()

    receiver.answers["/hook"] = hold
    desk.set(per_destination=2)
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        for n in range(8):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 8)  # so all are in the lanes
        assert await desk.store.lanes(subscription.id) == 8
        await until(lambda: len(receiver.heard) == 2)
        asyncio.get_running_loop().call_later(0.2, released.set)
    assert len(receiver.heard) == 2
    assert desk.observer.seen.count(("webhook", "done")) == 2
    assert await desk.store.lanes(subscription.id) == 6
    receiver.answers.clear()
    async with desk.running(book):  # what was given back is there at once, not when a lease ends
        await until(lambda: len({one.id for one in receiver.heard}) == 8, within=25.0)


async def test_what_is_claimed_for_a_courier_that_stops_meanwhile_is_given_back_at_once(
    desk: Desk, receiver: Receiver, tmp_path: Path
) -> None:
    """A fan-out was under way, and nobody has to wait for the end of its lease."""
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    await desk.change("SF1", "registered")
    async with unreliable(desk.store, tmp_path) as (line, far):
        outbound = desk.outbound(book)
        running = asyncio.create_task(outbound.run())
        await asyncio.sleep(0.05)
        line.hold("milepost_fan_out")
        turn = asyncio.create_task(Desk(far, desk.sealer, desk.wire).fan_out(outbound).turn())
        await line.asked(5)
        outbound.stop()
        await asyncio.sleep(0.05)
        line.let_go()
        await asyncio.gather(turn, running)
    waiting = await desk.store.claim_lanes("next", free={}, default_free=9, limit=9, lease_ms=60_000)
    assert {one.destination for one in waiting} == {subscription.id, f"orders:{ACCOUNT}"}
    assert not receiver.heard


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("0", 0), ("-5", 0), ("soon", 0), ("999999", 86_400)])
def test_retry_after_is_read_in_seconds_and_capped_at_a_day(value: str, seconds: float) -> None:
    assert retry_after(value, 0.0) == seconds


def test_retry_after_is_read_as_a_date() -> None:
    assert retry_after("Thu, 01 Jan 1970 00:02:00 GMT", 60.0) == 60
    assert retry_after("Thu, 01 Jan 1970 00:00:10 GMT", 60.0) == 0
    assert retry_after(None, 60.0) == 0


def test_the_schedule_is_ten_attempts_over_three_days() -> None:
    waits = [wait_before(attempt, factor=1.0, jitter=lambda: 0.5) for attempt in range(1, 12)]
    assert waits == [*SCHEDULE_S, None]
    assert sum(SCHEDULE_S) == pytest.approx(75.6 * 3600, rel=0.01)


def test_the_wait_is_jittered_and_never_shorter_than_the_hint() -> None:
    assert wait_before(3, factor=1.0, jitter=lambda: 0.0) == pytest.approx(270)
    assert wait_before(3, factor=1.0, jitter=lambda: 1.0) == pytest.approx(330)
    assert wait_before(3, factor=0.01, jitter=lambda: 0.5) == pytest.approx(3)
    assert wait_before(2, factor=1.0, hint_s=3600, jitter=lambda: 0.5) == 3600
