"""The simulated adapter asks the world through the same way out as every adapter: tokens, limits, troubles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from carriers.sdk import Ask, Report
from carriers.simulated import carrier, fetch, parse, subscribe, unsubscribe
from tracker.carrier_http.errors import CarrierLimited, CarrierRefused, CarrierUnavailable
from tracker.carrier_http.exits import CarrierHttp
from tracker.carrier_http.patience import Policy
from tracker.demo.numbers import number, ready
from tracker.demo.world import World, WorldSettings

QUICK = Policy(attempts=1, retry_wait_s=0.01)
FAST = WorldSettings(seconds_per_hour=0.01, rate=1000)


@dataclass(frozen=True)
class Connection:
    id: str
    credentials: Mapping[str, str]


@asynccontextmanager
async def asking(world: World, **other: str) -> AsyncIterator[CarrierHttp]:
    """The way out to that world; `other` credentials over the right ones."""
    connection = Connection("con_1", {**world.credentials, **other})
    async with aiohttp.ClientSession() as session:
        yield CarrierHttp(session, connection, base=world.base, rate=1000, policy=QUICK)


async def reports(http: CarrierHttp, *numbers: str) -> list[Report]:
    replies = await http.ask(lambda way: fetch(way, [Ask(number=one) for one in numbers]))
    return [report for reply in replies for report in parse(reply.body, reply.content_type)]


async def test_a_full_batch_is_one_query_with_one_answer_for_each_number() -> None:
    async with World(FAST) as world, asking(world) as http:
        numbers = [ready("LKR", serial) for serial in range(carrier.batch)]
        assert [report.waybill for report in await reports(http, *numbers)] == numbers
        assert world.counted.queries == 1


async def test_an_unknown_number_is_a_problem_and_not_an_error() -> None:
    async with World(FAST) as world, asking(world) as http:
        [report] = await reports(http, ready("PND"))
        assert report.problem is not None
        assert report.problem.kind == "not_found"


async def test_a_token_that_ended_early_is_replaced_without_anybody_noticing() -> None:
    async with World(FAST) as world, asking(world) as http:
        await reports(http, ready("DLV"))
        world.expire_tokens()
        assert [report.waybill for report in await reports(http, ready("DLV"))] == [ready("DLV")]


async def test_wrong_credentials_are_refused() -> None:
    async with World(FAST) as world, asking(world, client_secret="guess") as http:
        with pytest.raises(CarrierRefused):
            await reports(http, ready("DLV"))


async def test_its_limit_is_told_with_the_time_to_come_back() -> None:
    async with World(WorldSettings(rate=1)) as world, asking(world) as http:
        await reports(http, ready("DLV"))
        with pytest.raises(CarrierLimited) as limited:
            await reports(http, ready("DLV"))
        assert limited.value.retry_at > http.now()


async def test_its_503_is_unavailable() -> None:
    async with World(FAST) as world, asking(world) as http:
        world.trouble = "error"
        with pytest.raises(CarrierUnavailable):
            await reports(http, ready("DLV"))


async def test_a_subscription_names_what_the_carrier_refuses_and_can_be_ended() -> None:
    async with World(FAST) as world, asking(world) as http:
        asks = [Ask(number=number("DLV", 3)), Ask(number="SIMDLV000000000")]
        refused = await http.ask(lambda way: subscribe(way, asks, "http://127.0.0.1:9/hook"))
        assert list(refused) == ["SIMDLV000000000"]
        assert set(world.books.callbacks) == {number("DLV", 3)}
        await http.ask(lambda way: unsubscribe(way, asks))
        assert not world.books.callbacks
