"""The way out to a carrier, against real peers on loopback that misbehave in every way they know."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from carriers.sdk import Http, Reply
from tests.core.answers import Answer, garbles, hangs, hangs_up, says
from tracker.carrier_http.errors import CarrierLimited, CarrierRefused, CarrierUnavailable
from tracker.carrier_http.exits import CarrierHttp
from tracker.carrier_http.patience import Policy, State
from tracker.secrets import new_token

QUICK = Policy(attempt_s=0.3, deadline_s=1.0, attempts=2, retry_wait_s=0.01, failures=3, open_s=5.0, body_max=1000)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


class Access:
    id = "con_1"
    credentials: Mapping[str, str] = {"key": "k"}


class Peer:
    """A carrier on loopback that answers by a plan: one function for each request, the last one for all that follow."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.base = ""
        self.plan: list[Answer] = [says(200)]
        self.seen: list[web.Request] = []
        self.breakers: list[bool] = []
        self.clock = Clock()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        return await (self.plan.pop(0) if len(self.plan) > 1 else self.plan[0])(request)

    def breaker(self, connection: str, open: bool) -> None:
        self.breakers.append(open)

    def way(self, policy: Policy = QUICK, *, base: str = "", rate: float = 1000) -> CarrierHttp:
        return CarrierHttp(
            self.session,
            Access(),
            base=base or self.base,
            rate=rate,
            policy=policy,
            observer=self,
            clock=self.clock,
        )


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    app = web.Application()
    async with aiohttp.ClientSession() as session:
        peer = Peer(session)
        app.router.add_route("*", "/{path:.*}", peer.answer)
        async with TestServer(app) as server:
            peer.base = str(server.make_url("/api"))
            yield peer


@pytest.fixture
def http(peer: Peer) -> CarrierHttp:
    return peer.way()


def get(path: str = "/track") -> Callable[[Http], Awaitable[Reply]]:
    return lambda http: http.request("GET", path)


async def test_an_answer_comes_back_whole(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(404, "<html>no such thing</html>", Content_Type="text/html; charset=utf-8")]
    reply = await http.ask(lambda http: http.request("GET", "track", params=[("n", "A B"), ("n", "1")]))
    assert reply == Reply(404, "text/html; charset=utf-8", b"<html>no such thing</html>")
    assert peer.seen[0].path_qs == "/api/track?n=A+B&n=1"


async def test_a_redirect_is_an_answer_and_not_followed(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(302, "", Location="/elsewhere")]
    assert (await http.ask(get())).status == 302
    assert len(peer.seen) == 1


@pytest.mark.parametrize("bad", [says(500), says(503), says(599), hangs, hangs_up])
async def test_a_passing_failure_is_tried_again(peer: Peer, http: CarrierHttp, bad: Answer) -> None:
    peer.plan = [bad, says(200)]
    assert (await http.ask(get())).status == 200
    assert len(peer.seen) == 2


@pytest.mark.parametrize("bad", [says(500), hangs, hangs_up, says(200, "x" * 2000)])
async def test_a_lasting_failure_is_named(peer: Peer, http: CarrierHttp, bad: Answer) -> None:
    peer.plan = [bad]
    with pytest.raises(CarrierUnavailable):
        await http.ask(get())
    assert len(peer.seen) >= 2  # aiohttp, too, asks again where the peer hangs up


async def test_what_a_query_holds_is_in_no_error(peer: Peer, http: CarrierHttp) -> None:
    """A token stands there where a carrier wants it so, and errors go into the log with their causes."""
    peer.plan, token = [garbles], new_token()
    with pytest.raises(CarrierUnavailable, match=r"^GET \S+/track: ClientResponseError: Bad status line$") as error:
        await http.ask(lambda http: http.request("GET", "track", params=[("access_token", token)]))
    assert token not in "".join(traceback.format_exception(error.value))


async def test_nobody_listening_is_unavailable(peer: Peer) -> None:
    http = peer.way(base="http://127.0.0.1:1")
    with pytest.raises(CarrierUnavailable):
        await http.ask(get())


async def test_the_whole_question_has_a_deadline(peer: Peer) -> None:
    policy = Policy(attempt_s=5, deadline_s=0.2)
    peer.plan = [hangs]
    http = peer.way(policy)
    started = time.monotonic()
    with pytest.raises(CarrierUnavailable, match="no answer within"):
        await http.ask(get())
    assert time.monotonic() - started < 2.5  # it hangs for three seconds


# ---------------------------------------------------------------- limits


async def test_a_429_is_not_tried_again_before_its_time(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(429, Retry_After="90"), says(200)]
    for _ in range(2):
        with pytest.raises(CarrierLimited) as caught:
            await http.ask(get())
        assert caught.value.retry_at == peer.clock.now + 90
    assert len(peer.seen) == 1
    peer.clock.now += 90
    assert (await http.ask(get())).status == 200


async def test_retry_after_may_be_a_date_and_is_capped(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(503, Retry_After=formatdate(peer.clock.now + 120, usegmt=True)), says(429, Retry_After="9" * 30)]
    with pytest.raises(CarrierLimited) as caught:
        await http.ask(get())
    assert caught.value.retry_at == peer.clock.now + 120
    peer.clock.now += 121
    with pytest.raises(CarrierLimited) as caught:
        await http.ask(get())
    assert caught.value.retry_at == peer.clock.now + 3600


async def test_a_429_that_does_not_say_how_long_waits_longer_each_time(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(429, Retry_After="soon")]
    pauses = []
    for _ in range(3):
        with pytest.raises(CarrierLimited) as caught:
            await http.ask(get())
        pauses.append(caught.value.retry_at - peer.clock.now)
        peer.clock.now = caught.value.retry_at
    assert pauses == [30, 60, 120]


async def test_requests_keep_to_the_rate(peer: Peer) -> None:
    http = peer.way(rate=20)
    started = time.monotonic()
    await asyncio.gather(*(http.ask(get()) for _ in range(8)))
    assert time.monotonic() - started >= 0.25


# ---------------------------------------------------------------- tokens


def asking_with_token(made: list[str]) -> Callable[[Http], Awaitable[Reply]]:
    async def obtain(http: Http) -> tuple[str, float]:
        await http.request("POST", "/token")
        made.append(f"t{len(made) + 1}")
        return made[-1], 100.0

    async def question(http: Http) -> Reply:
        token = await http.token("bearer", obtain)
        return await http.request("GET", "/track", headers={"Authorization": token})

    return question


async def test_a_token_is_fetched_once_for_all_who_wait(peer: Peer, http: CarrierHttp) -> None:
    made: list[str] = []
    await asyncio.gather(*(http.ask(asking_with_token(made)) for _ in range(10)))
    assert made == ["t1"]
    peer.clock.now += 91  # a tenth of its life is not used
    await http.ask(asking_with_token(made))
    assert made == ["t1", "t2"]


async def test_a_401_fetches_a_fresh_token_and_asks_once_more(peer: Peer, http: CarrierHttp) -> None:
    made: list[str] = []

    async def wants_newest(request: web.Request) -> web.StreamResponse:
        stale = request.path.endswith("/track") and request.headers["Authorization"] != "t2"
        return web.Response(status=401 if stale else 200)

    peer.plan = [wants_newest]
    replies = await asyncio.gather(*(http.ask(asking_with_token(made)) for _ in range(6)))
    assert made == ["t1", "t2"]
    assert {reply.status for reply in replies} == {200}


async def test_a_401_that_stays_is_a_refusal(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(401)]
    with pytest.raises(CarrierRefused):
        await http.ask(get())
    assert len(peer.seen) == 2
    assert state(http) is State.CLOSED


# ---------------------------------------------------------------- breaker


def state(http: CarrierHttp) -> State:
    return http.breaker.state


async def fail(http: CarrierHttp, times: int) -> None:
    for _ in range(times):
        with pytest.raises(CarrierUnavailable):
            await http.ask(get())


async def test_the_breaker_opens_tries_and_heals(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(500)]
    await fail(http, 2)
    assert state(http) is State.OPEN
    assert len(peer.seen) == 3
    with pytest.raises(CarrierUnavailable) as caught:
        await http.ask(get())
    assert caught.value.retry_at > peer.clock.now
    assert len(peer.seen) == 3

    peer.clock.now += 6
    assert state(http) is State.HALF_OPEN
    await fail(http, 1)
    assert state(http) is State.OPEN
    assert len(peer.seen) == 4

    peer.clock.now += 6  # twice as long the second time
    assert state(http) is State.OPEN
    peer.clock.now += 6
    peer.plan = [says(200)]
    assert (await http.ask(get())).status == 200
    assert state(http) is State.CLOSED
    assert peer.breakers == [True, False]


async def test_only_one_question_is_on_trial(peer: Peer, http: CarrierHttp) -> None:
    peer.plan = [says(500)]
    await fail(http, 2)
    peer.clock.now += 6
    peer.plan, seen = [hangs], len(peer.seen)
    results = await asyncio.gather(*(http.ask(get()) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, CarrierUnavailable) for result in results)
    assert len(peer.seen) == seen + 1


async def test_answers_that_nobody_can_use_open_it_too(peer: Peer, http: CarrierHttp) -> None:
    for _ in range(3):
        with http.answers.question():
            http.answers.failed()
    with pytest.raises(CarrierUnavailable), http.answers.question():
        pass
    peer.clock.now += 6
    with http.answers.question():
        with pytest.raises(CarrierUnavailable), http.answers.question():
            pass
        http.answers.succeeded()
    with http.answers.question():
        assert peer.breakers == [True, False]


async def test_one_that_is_not_on_trial_does_not_end_the_trial(peer: Peer, http: CarrierHttp) -> None:
    """Neither one that was refused, nor one from before the breaker opened; the trial itself leaves it to the next."""
    with contextlib.ExitStack() as older:
        older.enter_context(http.answers.question())
        for _ in range(3):
            http.answers.failed()
        peer.clock.now += 6
        with http.answers.question():
            for _ in range(2):
                with pytest.raises(CarrierUnavailable), http.answers.question():
                    pass
            older.close()
            with pytest.raises(CarrierUnavailable), http.answers.question():
                pass
    with http.answers.question():
        http.answers.succeeded()
    assert http.answers.closed
