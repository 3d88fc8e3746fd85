"""What a subscription may ask for: how fast, how many at once, not now; and what a dead one costs."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from aiohttp import web

from tests.webhooks.receiving import ACCOUNT, Desk, Receiver, until
from tests.webhooks.test_outbound import answering, book
from webhooks.outlet import TRIPS
from webhooks.subscription import DISABLED


async def test_a_dead_endpoint_costs_one_probe_at_a_time_and_its_lanes_no_attempts(
    desk: Desk, receiver: Receiver
) -> None:
    desk.set(schedule_factor=1.0)
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(503)
    async with desk.running(book):
        for n in range(60):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 60)
        await asyncio.sleep(0.6)
        tried = len(receiver.heard)
        assert TRIPS <= tried <= 16 + 1  # those under way when it was shut, and hardly a probe
        receiver.answers.clear()
        await until(lambda: len({one.id for one in receiver.heard if one.at}) == 60)
    log = [json.loads(one) for one in await desk.store.delivery_log(ACCOUNT, subscription.id, 200)]
    first_try = [one for one in log if one["outcome"] == "done" and one["attempt"] == 1]
    assert len(first_try) >= 60 - tried


@pytest.mark.parametrize("code", [429, 503])
async def test_an_endpoint_that_asks_for_quiet_gets_it_for_all_its_lanes(
    desk: Desk, receiver: Receiver, code: int
) -> None:
    """The message that was answered waits for its hint, the others for as long, without an attempt; a neighbour not."""
    desk.set(poll_s=0.05)
    subscription, _ = await desk.subscribe(receiver.url("/hook"), concurrency=1)
    await desk.subscribe(receiver.url("/good"))
    receiver.answers["/hook"] = answering(code, 204, headers={"Retry-After": "1"})
    async with desk.running(book):
        for n in range(20):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: len(receiver.at("/good")) == 20)
        await until(lambda: len(receiver.at("/hook")) == 21)
    [first, second, *_] = [one.at for one in receiver.at("/hook")]
    assert second - first >= 0.95
    log = [json.loads(one) for one in await desk.store.delivery_log(ACCOUNT, subscription.id, 200)]
    assert sorted(one["attempt"] for one in log) == [*[1] * 20, 2]


async def test_what_is_looked_up_by_two_at_once_is_new_to_one_of_them(desk: Desk) -> None:
    """A claim and an offer, say. What is new gets a fresh start: one that was shut meanwhile would be open again."""
    made, _ = await desk.subscribe("http://127.0.0.1/hook")
    looks = await asyncio.gather(*(desk.webhooks.directory.refresh([made.id]) for _ in range(5)))
    assert [list(found) for found in looks if found is not None] == [[made.id]]


async def test_a_hint_of_another_status_holds_for_its_message_alone(desk: Desk, receiver: Receiver) -> None:
    desk.set(poll_s=0.05)
    await desk.subscribe(receiver.url("/hook"), concurrency=1)
    receiver.answers["/hook"] = answering(425, 204, headers={"Retry-After": "90"})
    async with desk.running(book):
        for n in range(5):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: len(receiver.at("/hook")) == 5)


async def test_no_more_deliveries_are_under_way_than_the_subscription_allows(desk: Desk, receiver: Receiver) -> None:
    busy = most = 0

    async def count(_: web.Request, __: int) -> web.Response:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.01)
        busy -= 1
        return web.Response(status=204)

    receiver.answers["/hook"] = count
    await desk.subscribe(receiver.url("/hook"), concurrency=2)
    async with desk.running(book):
        for n in range(30):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: len(receiver.heard) == 30)
    assert most == 2


async def test_deliveries_begin_no_faster_than_the_rate(desk: Desk, receiver: Receiver) -> None:
    await desk.subscribe(receiver.url("/slowly"), rate=20)
    await desk.subscribe(receiver.url("/fast"))
    for n in range(16):
        await desk.change(f"SF{n}", "registered")
    async with desk.running(book):
        await until(lambda: len(receiver.at("/fast")) == 16)
        assert len(receiver.at("/slowly")) < 16
        await until(lambda: len(receiver.at("/slowly")) == 16)
    times = [one.at for one in receiver.at("/slowly")]
    assert times[-1] - times[0] >= 15 / 20 * 0.9


async def test_a_pause_keeps_what_happens_and_delivers_it_afterwards_in_order(desk: Desk, receiver: Receiver) -> None:
    desk.set(poll_s=0.05)
    paused, _ = await desk.subscribe(receiver.url("/hook"), paused=True)
    async with desk.running(book):
        ids = [await desk.change(f"SF{n}", "registered", "updated", "delivered") for n in range(3)]
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 9)
        await asyncio.sleep(0.2)
        assert receiver.heard == []
        assert await desk.store.lanes(paused.id) == 3
        await desk.subscriptions.amend(ACCOUNT, paused.id, paused=False)
        await until(lambda: len(receiver.heard) == 9)
    for id in ids:
        assert [one.revision for one in receiver.heard if one.shipment == id] == [1, 2, 3]
    log = [json.loads(one) for one in await desk.store.delivery_log(ACCOUNT, paused.id)]
    assert {one["attempt"] for one in log} == {1}  # a pause is no attempt


async def test_a_pause_that_lasts_too_long_ends_in_a_subscription_that_is_off_and_the_others_hear_of_it(
    desk: Desk, receiver: Receiver
) -> None:
    desk.set(poll_s=0.05)
    paused, _ = await desk.subscribe(receiver.url("/hook"), paused=True)
    await desk.subscribe(receiver.url("/good"), types=[DISABLED])
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: ("orders", "done") in desk.observer.seen)
        await desk.webhooks.end_pauses(60)
        assert await desk.store.lanes(paused.id) == 1  # a minute is not over
        await asyncio.sleep(0.01)
        await desk.webhooks.end_pauses(0.005)
        await until(lambda: len(receiver.at("/good")) == 1)
        async with asyncio.timeout(60):
            while await desk.store.lanes(paused.id):  # what waited does not fill the store for good
                await asyncio.sleep(0.02)
    assert receiver.at("/hook") == []
    off = await desk.subscriptions.get(ACCOUNT, paused.id)
    assert off is not None
    assert (off.enabled, off.paused) == (False, False)
    assert off.disabled_why.startswith("paused since ")
    [notice] = receiver.at("/good")
    assert json.loads(notice.body)["data"]["why"] == off.disabled_why
    on = await desk.subscriptions.amend(ACCOUNT, paused.id, enabled=True)
    assert [one.state for one in await desk.subscriptions.standings(ACCOUNT, [on])] == ["active"]


async def test_a_paused_one_that_is_switched_off_lets_go_of_what_waits(desk: Desk, receiver: Receiver) -> None:
    desk.set(poll_s=0.05)
    paused, _ = await desk.subscribe(receiver.url("/hook"), paused=True)
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: ("orders", "done") in desk.observer.seen)
        await desk.subscriptions.amend(ACCOUNT, paused.id, enabled=False)
        async with asyncio.timeout(60):
            while await desk.store.lanes(paused.id):
                await asyncio.sleep(0.02)
    assert receiver.heard == []


async def test_a_pause_begins_anew_where_a_subscription_is_switched_on_in_it(desk: Desk) -> None:
    made, _ = await desk.subscribe("http://127.0.0.1/hook", paused=True)
    await desk.subscriptions.amend(ACCOUNT, made.id, enabled=False)
    await asyncio.sleep(0.01)
    on = await desk.subscriptions.amend(ACCOUNT, made.id, enabled=True)
    assert on.paused_at > made.paused_at
    later = await desk.subscriptions.amend(ACCOUNT, made.id, description="still paused")
    assert later.paused_at == on.paused_at


async def test_a_pause_holds_what_is_claimed_already(desk: Desk, receiver: Receiver) -> None:
    desk.set(poll_s=0.05)
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    receiver.answers["/hook"] = answering(500, 204)
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: len(receiver.heard) == 1)
        await desk.subscriptions.amend(ACCOUNT, subscription.id, paused=True)
        await asyncio.sleep(0.3)
        assert len(receiver.heard) == 1
        await desk.subscriptions.amend(ACCOUNT, subscription.id, paused=False)
        await until(lambda: len(receiver.heard) == 2)


async def test_what_happens_while_a_subscription_is_off_is_skipped(desk: Desk, receiver: Receiver) -> None:
    subscription, _ = await desk.subscribe(receiver.url("/hook"), enabled=False)
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 1)
        await desk.subscriptions.amend(ACCOUNT, subscription.id, enabled=True)
        await desk.change("SF1", "delivered")
        await until(lambda: bool(receiver.heard))
    assert [one.revision for one in receiver.heard] == [2]


async def test_a_narrower_limit_holds_for_deliveries_to_come(desk: Desk, receiver: Receiver) -> None:
    desk.set(poll_s=0.05)
    subscription, _ = await desk.subscribe(receiver.url("/hook"))
    async with desk.running(book):
        await desk.change("SF0", "registered")
        await until(lambda: len(receiver.heard) == 1)
        await desk.subscriptions.amend(ACCOUNT, subscription.id, rate=10)
        await asyncio.sleep(0.2)
        for n in range(1, 9):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: len(receiver.heard) == 9)
    times = [one.at for one in receiver.heard[1:]]
    assert times[-1] - times[0] >= 7 / 10 * 0.9


async def test_stopping_does_not_wait_for_a_slow_rate(desk: Desk, receiver: Receiver) -> None:
    await desk.subscribe(receiver.url("/hook"), rate=1)
    async with desk.running(book):
        for n in range(30):
            await desk.change(f"SF{n}", "registered")
        await until(lambda: bool(receiver.heard))
        began = time.monotonic()
    assert time.monotonic() - began < 15  # those that wait have a turn a second


async def test_what_is_filtered_out_at_the_last_moment_says_nothing_of_the_endpoint(
    desk: Desk, receiver: Receiver
) -> None:
    """Neither in its log, nor as a success between its failures."""
    desk.set(schedule_factor=1.0)
    subscription, _ = await desk.subscribe(receiver.url("/hook"), statuses=["delivered"])
    receiver.answers["/hook"] = answering(503)
    async with desk.running(book):
        for n in range(60):
            await desk.change(f"SF{n}", "updated", status="delivered" if n % 2 else "in_transit")
        await until(lambda: desk.observer.seen.count(("orders", "done")) == 60)
        await asyncio.sleep(0.5)
    assert len(receiver.heard) <= 16 + 1
    log = [json.loads(one) for one in await desk.store.delivery_log(ACCOUNT, subscription.id, 200)]
    assert {one["outcome"] for one in log} == {"retry"}
