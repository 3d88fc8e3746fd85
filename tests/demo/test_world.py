"""The simulated carrier's world over real HTTP on loopback: what it answers, limits, pushes and pushes again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp import web

from carriers.sdk import Push
from carriers.simulated import carrier
from tracker.demo.numbers import number, ready
from tracker.demo.plans import PLANS
from tracker.demo.world import World, WorldSettings
from tracker.model import Report

FAST = WorldSettings(seconds_per_hour=0.01, first_retry_s=0.05, rate=1000)
Client = Callable[..., Any]


@asynccontextmanager
async def signed_in(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the carrier, with a token."""
    form = {"grant_type": "client_credentials", **world.credentials}
    async with aiohttp.ClientSession(world.base) as http:
        async with http.post("/oauth/token", data=form) as reply:
            token = (await reply.json())["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


async def track(http: aiohttp.ClientSession, *numbers: str) -> tuple[int, list[Report]]:
    """One query, read by the adapter."""
    async with http.post("/v1/track", json={"numbers": numbers}) as reply:
        return reply.status, list(carrier.parse(await reply.read(), reply.content_type))


class Ears:
    """A daemon's hook that keeps what it hears; the first `deaf` pushes are refused."""

    def __init__(self, deaf: int = 0) -> None:
        self.deaf = deaf
        self.heard: list[tuple[Mapping[str, str], bytes]] = []

    async def hook(self, request: web.Request) -> web.Response:
        if self.deaf:
            self.deaf -= 1
            return web.Response(status=503)
        self.heard.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        status, kind, body = carrier.acknowledge(True) if carrier.acknowledge else (200, "", b"")
        return web.Response(status=status, content_type=kind, body=body)

    def codes(self) -> list[str]:
        return [scan.code for _, body in self.heard for report in carrier.parse(body, "") for scan in report.scans]


@asynccontextmanager
async def listening(ears: Ears) -> AsyncIterator[str]:
    """A server with that hook; yields its URL."""
    app = web.Application()
    app.router.add_post("/hook", ears.hook)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def until(met: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for it, at most that long."""
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.01)


async def test_a_query_without_a_token_is_refused() -> None:
    async with World(FAST) as world, aiohttp.ClientSession(world.base) as http:
        status, reports = await track(http, ready("DLV"))
        assert status == 401
        assert reports[0].problem is not None
        assert reports[0].problem.kind == "refused"


async def test_a_wrong_client_gets_no_token() -> None:
    wrong = {"client_id": "demo", "client_secret": "guess"}
    async with World(FAST) as world, aiohttp.ClientSession(world.base) as http:
        reply = await http.post("/oauth/token", data=wrong)
        assert reply.status == 401


async def test_forty_numbers_are_answered_at_once_and_forty_one_are_not() -> None:
    async with World(FAST) as world, signed_in(world) as http:
        numbers = [ready("DLV", serial) for serial in range(41)]
        status, reports = await track(http, *numbers[:40])
        assert (status, [report.waybill for report in reports]) == (200, numbers[:40])
        status, reports = await track(http, *numbers)
        assert status == 400


async def test_what_the_carrier_does_not_know_is_404_and_named() -> None:
    async with World(FAST) as world, signed_in(world) as http:
        wrong = ready("DLV")[:-1] + str((int(ready("DLV")[-1]) + 1) % 10)
        status, reports = await track(http, ready("PND"), wrong)
        kinds = {report.waybill: report.problem.kind.value for report in reports if report.problem}
        assert (status, kinds) == (404, {ready("PND"): "not_found", wrong: "invalid"})


async def test_over_the_limit_is_429_with_a_time_to_wait() -> None:
    async with World(WorldSettings(rate=2)) as world, signed_in(world) as http:
        assert [(await track(http, ready("DLV")))[0] for _ in range(2)] == [200, 200]
        async with http.post("/v1/track", json={"numbers": [ready("DLV")]}) as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "1")


@pytest.mark.parametrize("plan", [plan for plan in PLANS if plan != "PND"])
async def test_a_ready_number_tells_its_whole_journey_at_once(plan: str) -> None:
    async with World(FAST) as world, signed_in(world) as http:
        _, [report] = await track(http, ready(plan))
        withdrawn = sum(step.withdrawn > 0 for step in PLANS[plan].steps)
        assert len(report.scans) == len(PLANS[plan].steps) - withdrawn
        assert report.full


async def test_the_same_seed_and_number_make_the_same_journey() -> None:
    async def places(seed: int) -> list[str]:
        async with World(WorldSettings(seed=seed)) as world, signed_in(world) as http:
            return [scan.text for scan in (await track(http, ready("LNG")))[1][0].scans]

    assert await places(1) == await places(1) != await places(2)


async def test_a_booked_parcel_sets_out_when_it_is_picked_up_and_every_scan_is_pushed_signed() -> None:
    ears = Ears()
    async with World(FAST) as world, signed_in(world) as http, listening(ears) as hook:
        async with http.put("/v1/webhook", json={"url": hook}) as reply:
            assert reply.status == 200
        async with http.post("/v1/bookings", json={"plan": "DLV"}) as reply:
            waybill = (await reply.json())["number"]
        assert (await track(http, waybill))[0] == 404
        async with http.post("/v1/pickups", json={"numbers": [waybill]}) as reply:
            assert reply.status == 202
        await until(lambda: world.counted.pushed == len(PLANS["DLV"].steps))
        assert sorted(ears.codes()) == sorted(scan.code for scan in (await track(http, waybill))[1][0].scans)
        assert carrier.verify is not None
        for headers, body in ears.heard:
            assert carrier.verify(Push(headers=headers, query={}, body=body), world.credentials)
            assert not carrier.verify(Push(headers=headers, query={}, body=body + b" "), world.credentials)


async def test_a_push_that_is_not_acknowledged_comes_again() -> None:
    ears = Ears(deaf=3)
    async with World(FAST) as world, signed_in(world) as http, listening(ears) as hook:
        subscription = {"numbers": [number("PUP", 7), "SIMXXX000000000"], "callback": hook}
        async with http.post("/v1/subscriptions", json=subscription) as reply:
            answer = await reply.json()
        assert (answer["accepted"], len(answer["rejected"])) == ([number("PUP", 7)], 1)
        await until(lambda: world.counted.pushed == 2)
        assert (sorted(ears.codes()), world.counted.refused) == (["BKD", "PUP"], 3)


async def test_a_subscription_brings_what_is_known_already_and_its_end_silences_it() -> None:
    ears = Ears()
    async with World(FAST) as world, signed_in(world) as http, listening(ears) as hook:
        known = {"numbers": [ready("RTD")], "callback": hook}
        async with http.post("/v1/subscriptions", json=known) as reply:
            assert reply.status == 200
        await until(lambda: len(ears.heard) == 1)
        assert ears.codes()[-1] == "RTD"
        live = {"numbers": [number("DLV", 7)], "callback": hook}
        async with http.post("/v1/subscriptions", json=live), http.delete("/v1/subscriptions", json=live) as reply:
            assert reply.status == 200
        await asyncio.sleep(0.5)
        assert len(ears.heard) <= 2


async def test_duplicates_come_twice_and_late_scans_after_newer_ones() -> None:
    ears = Ears()
    async with World(FAST) as world, signed_in(world) as http, listening(ears) as hook:
        body = {"numbers": [number("DUP", 7), number("SHF", 7)], "callback": hook}
        async with http.post("/v1/subscriptions", json=body):
            pass
        expected = sum(step.copies for plan in ("DUP", "SHF") for step in PLANS[plan].steps)
        await until(lambda: world.counted.pushed == expected)
        told = [json.loads(heard)["shipment"] for _, heard in ears.heard]
        late = [row["events"][0] for row in told if row["number"] == number("SHF", 7)]
        assert late != sorted(late, key=lambda event: event["id"])
        assert late[-1]["code"] == "DEP"


async def test_a_withdrawn_signature_is_gone_from_the_next_answer() -> None:
    settings = WorldSettings(seconds_per_hour=0.02, rate=1000)
    async with World(settings) as world, signed_in(world) as http:
        seen: list[list[str]] = []
        async with asyncio.timeout(60):
            while not seen or len(seen[-1]) < len(PLANS["WDR"].steps) - 1:
                async with http.post("/v1/track", json={"numbers": [number("WDR", 7)]}) as reply:
                    seen += [[event["code"] for event in row["events"]] for row in (await reply.json())["shipments"]]
                await asyncio.sleep(0.005)
        assert any(codes[-1:] == ["DLV"] and later[-1:] == ["OFD"] for codes, later in pairwise(seen))


@pytest.mark.parametrize(("trouble", "status"), [("html", 200), ("error", 503), ("garbage", 200)])
async def test_the_carrier_can_be_put_into_trouble(trouble: Literal["html", "error", "garbage"], status: int) -> None:
    async with World(FAST) as world, signed_in(world) as http:
        world.trouble = trouble
        async with http.post("/v1/track", json={"numbers": [ready("DLV")]}) as reply:
            assert reply.status == status


async def test_its_page_lists_every_test_number() -> None:
    async with World(FAST) as world, aiohttp.ClientSession(world.base) as http, http.get("/") as reply:
        page = await reply.text()
        assert all(ready(plan) in page for plan in PLANS)
