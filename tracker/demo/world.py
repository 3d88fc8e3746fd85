"""The simulated carrier as a server on loopback: tokens, queries, subscriptions, bookings, and signed pushes.

It speaks as a real carrier does: it limits, refuses, answers in batches, and pushes again what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from secrets import compare_digest, token_hex
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Struct, field

from tracker.demo.journeys import Telling
from tracker.demo.numbers import number, plan_of, ready
from tracker.demo.parcels import Books, Owed, Parcel
from tracker.demo.plans import PLANS

BATCH = 40
ATTEMPTS = 10
PUSHERS = 4
_TOKEN_LIFE_S = 600.0
_PUSH_TIMEOUT = aiohttp.ClientTimeout(total=10)

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WorldSettings(Struct, frozen=True, kw_only=True):
    """The pace, the limits and the secrets of the simulated carrier."""

    port: int = 0  # 0: any free one
    seed: int = field(default_factory=lambda: int(time.time()))  # a fresh one books numbers not seen before
    seconds_per_hour: float = 0.7  # real seconds for an hour of a journey
    rate: float = 20.0  # queries a second, and as many at once
    first_retry_s: float = 0.5  # doubled at every further attempt
    client_id: str = "demo"
    client_secret: str = field(default_factory=lambda: token_hex(16))
    webhook_secret: str = field(default_factory=lambda: token_hex(16))


@dataclass
class Counted:
    """What the world has done so far."""

    queries: int = 0
    limited: int = 0
    pushed: int = 0  # pushes that were acknowledged
    refused: int = 0  # attempts that were not
    given_up: int = 0


class Bucket:
    """Lets `rate` queries a second through, and as many at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = rate
        self._at = time.monotonic()

    def take(self) -> float:
        """0.0 if one more may pass, else the seconds until one may."""
        now = time.monotonic()
        self._left = min(self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


class World:
    """The running carrier: `async with World(settings) as world`. Its address is `world.base`."""

    def __init__(self, settings: WorldSettings | None = None) -> None:
        self.settings = settings or WorldSettings()
        self.books = Books(seed=self.settings.seed, seconds_per_hour=self.settings.seconds_per_hour)
        self.counted = Counted()
        self.trouble: Literal["", "html", "error", "garbage"] = ""  # how queries are answered instead, for fault drills
        self._webhook = ""
        self._tokens: dict[str, float] = {}
        self._bucket = Bucket(self.settings.rate)
        self._stack = AsyncExitStack()
        self._news = asyncio.Event()
        self._outbox: asyncio.Queue[Owed] = asyncio.Queue()
        self._port = 0

    @property
    def base(self) -> str:
        """The address of the carrier's interface."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def credentials(self) -> dict[str, str]:
        """What a connection to this carrier must hold."""
        ours = self.settings
        return {"client_id": ours.client_id, "client_secret": ours.client_secret, "webhook_secret": ours.webhook_secret}

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", self.settings.port).start()
        self._port = runner.addresses[0][1]
        http = await self._stack.enter_async_context(aiohttp.ClientSession(timeout=_PUSH_TIMEOUT))
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(self._live()), *(group.create_task(self._push(http)) for _ in range(PUSHERS))]
        self._stack.callback(lambda: [task.cancel() for task in tasks])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # time passes

    async def _live(self) -> None:
        while True:
            now = time.time()
            for happened in self.books.happen(now):
                if isinstance(happened, Owed):
                    self._outbox.put_nowait(happened)
                else:
                    self._announce(*happened)
            await self._rest(self.books.next_at)

    async def _rest(self, until: float | None) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(None if until is None else max(0.0, until - time.time())):
                await self._news.wait()
        except TimeoutError:
            return

    def _announce(self, parcel: Parcel, telling: Telling) -> None:
        if telling.withdrawn:  # a withdrawal is seen only by those who ask
            return
        for _ in range(telling.copies):
            self._post(parcel.journey.number, parcel.news(telling))

    def _post(self, waybill: str, shipment: Json) -> None:
        body = msgspec.json.encode({"event": "scan", "shipment": shipment})
        for url in self._listeners(waybill):
            self._outbox.put_nowait(Owed(url, body))

    def _listeners(self, waybill: str) -> set[str]:
        everyone = {self._webhook} if self._webhook else set()
        return self.books.callbacks.get(waybill, set()) | everyone

    async def _push(self, http: aiohttp.ClientSession) -> None:
        while True:
            owed = await self._outbox.get()
            if await self._delivered(http, owed):
                self.counted.pushed += 1
            else:
                self._again(owed)

    async def _delivered(self, http: aiohttp.ClientSession, owed: Owed) -> bool:
        headers = {"Content-Type": "application/json", "X-Simulated-Signature": self.signature(owed.body)}
        try:
            async with http.post(owed.url, data=owed.body, headers=headers, allow_redirects=False) as reply:
                answer = await reply.content.read(4096)
                return 200 <= reply.status < 300 and _acknowledged(answer)
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _again(self, owed: Owed) -> None:
        self.counted.refused += 1
        if owed.attempt + 1 >= ATTEMPTS:
            self.counted.given_up += 1
            return
        wait = self.settings.first_retry_s * 2**owed.attempt
        self.books.owe(time.time() + wait, Owed(owed.url, owed.body, owed.attempt + 1))
        self._news.set()

    def expire_tokens(self) -> None:
        """End every token at once, for fault drills."""
        self._tokens.clear()

    def signature(self, body: bytes) -> str:
        """The signature of a push: HMAC-SHA256 of its body in hex."""
        return hmac.new(self.settings.webhook_secret.encode(), body, sha256).hexdigest()

    # the interface

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._authorised], client_max_size=1 << 20)
        app.router.add_get("/", self._page)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_post("/v1/track", self._track)
        app.router.add_put("/v1/webhook", self._set_webhook)
        app.router.add_post("/v1/subscriptions", self._subscribe)
        app.router.add_delete("/v1/subscriptions", self._unsubscribe)
        app.router.add_post("/v1/bookings", self._book)
        app.router.add_post("/v1/pickups", self._pick_up)
        return app

    @web.middleware
    async def _authorised(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, 0.0) < time.time():
            return _refusal(401, "UNAUTHORISED", "the token is unknown or has expired")
        try:
            return await handler(request)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            return _refusal(400, "BAD_REQUEST", f"the body is not what this method takes: {error}")

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        given = (str(form.get("client_id", "")), str(form.get("client_secret", "")))
        known = (self.settings.client_id, self.settings.client_secret)
        if not all(compare_digest(mine.encode(), yours.encode()) for mine, yours in zip(known, given, strict=True)):
            return _refusal(401, "BAD_CLIENT", "client_id or client_secret is wrong")
        token = token_hex(16)
        self._tokens[token] = time.time() + _TOKEN_LIFE_S
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": int(_TOKEN_LIFE_S)})

    async def _track(self, request: web.Request) -> web.Response:
        self.counted.queries += 1
        if self.trouble:
            return _TROUBLES[self.trouble]()
        if wait := self._bucket.take():
            self.counted.limited += 1
            return _refusal(429, "TOO_MANY_REQUESTS", "slow down", {"Retry-After": str(max(1, round(wait)))})
        numbers = _numbers(await request.read())
        if len(numbers) > BATCH:
            return _refusal(400, "TOO_MANY_NUMBERS", f"at most {BATCH} numbers a query, got {len(numbers)}")
        return self._answer(numbers, time.time())

    def _answer(self, numbers: list[str], now: float) -> web.Response:
        found = {waybill: parcel for waybill in numbers if (parcel := self.books.find(waybill, now)) is not None}
        errors = [_unknown(waybill) for waybill in numbers if waybill not in found]
        shipments = [parcel.answer() for parcel in found.values()]
        self._news.set()  # some may have set out just now
        return web.json_response({"shipments": shipments, "errors": errors}, status=200 if shipments else 404)

    async def _set_webhook(self, request: web.Request) -> web.Response:
        self._webhook = str(_body(await request.read())["url"])
        return web.json_response({"url": self._webhook})

    async def _subscribe(self, request: web.Request) -> web.Response:
        body = await request.read()
        url, numbers = str(_body(body)["callback"]), _numbers(body)
        rejected = [_unknown(waybill) for waybill in numbers if plan_of(waybill) not in PLANS]
        accepted = [waybill for waybill in numbers if plan_of(waybill) in PLANS]
        for waybill in accepted:
            self._listen(waybill, url)
        return web.json_response({"accepted": accepted, "rejected": rejected})

    def _listen(self, waybill: str, url: str) -> None:
        self.books.callbacks.setdefault(waybill, set()).add(url)
        self._catch_up(waybill)
        self._news.set()

    def _catch_up(self, waybill: str) -> None:
        """Push all that was told already: to a new listener, or of a parcel whose journey is over as it begins."""
        parcel = self.books.find(waybill, time.time())
        if parcel is not None and parcel.told:
            self._post(waybill, parcel.answer())

    async def _unsubscribe(self, request: web.Request) -> web.Response:
        for waybill in _numbers(await request.read()):
            self.books.callbacks.pop(waybill, None)
        return web.json_response({})

    async def _book(self, request: web.Request) -> web.Response:
        plan = str(_body(await request.read())["plan"])
        if plan not in PLANS:
            return _refusal(400, "UNKNOWN_PLAN", f"no plan {plan!r}; there are {', '.join(PLANS)}")
        return web.json_response({"number": self.books.book(plan)}, status=201)

    async def _pick_up(self, request: web.Request) -> web.Response:
        for waybill in _numbers(await request.read()):
            self.books.pick_up(waybill, time.time())
            self._catch_up(waybill)
        self._news.set()
        return web.json_response({}, status=202)

    async def _page(self, _: web.Request) -> web.Response:
        rows = "".join(
            f"<tr><td><code>{ready(code)}<td><code>{number(code, 1)}<td>{plan.reaches}<td>{escape(plan.about)}"
            for code, plan in PLANS.items()
        )
        return web.Response(text=_PAGE.format(rows=rows), content_type="text/html")


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulated carrier 模拟快递</title>
<style>body{{font:16px/1.5 system-ui;margin:2rem}}td,th{{text-align:left;padding:.2rem 1rem .2rem 0}}</style>
<h1>Simulated carrier 模拟快递</h1><p>Test numbers: “ready” ones have their journey behind them,
“live” ones set out when they are first asked for.</p>
<table><tr><th>ready<th>live<th>ends as<th>what happens{rows}</table>"""

_TROUBLES: dict[str, Callable[[], web.Response]] = {
    "html": lambda: web.Response(text="<html><body>Maintenance 系统维护中</body></html>", content_type="text/html"),
    "error": lambda: _refusal(503, "UNAVAILABLE", "try again later"),
    "garbage": lambda: web.Response(body=b'{"shipments": [{"number": \xff\x00', content_type="application/json"),
}


def _refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status, headers=headers)


def _unknown(waybill: str) -> Json:
    if plan_of(waybill) is None:
        return {"number": waybill, "code": "BAD_NUMBER", "message": "not a number of ours: shape or check digit"}
    return {"number": waybill, "code": "NOT_FOUND", "message": "no data for this number yet"}


def _body(body: bytes) -> Json:
    return msgspec.json.decode(body, type=Json)


def _numbers(body: bytes) -> list[str]:
    numbers = _body(body)["numbers"]
    return list(dict.fromkeys(msgspec.convert(numbers, list[str])))


def _acknowledged(body: bytes) -> bool:
    try:
        return _body(body).get("received") is True
    except msgspec.DecodeError:
        return False
