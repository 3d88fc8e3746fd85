"""The subscriber of the fault tests: takes signed webhooks and keeps an account of every arrival.

The same server plays the carrier's interface: it knows no number but those of `histories`, so that of all others
nothing but pushes can bring a scan. And it plays an order store, the last word of which it keeps in `books`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from msgspec import Struct

from webhooks.standard import BadSignature, Signer

Answer = Callable[["Arrival", int], int]  # an arrival and how often its id has come, itself included → status


class Arrival(Struct, frozen=True):
    """One genuine webhook."""

    id: str
    shipment: str
    revision: int
    type: str
    digest: str  # of the bytes
    at: float  # seconds, monotonic

    @property
    def before(self) -> str:
        """The id of the revision below."""
        return f"msg_{self.shipment[4:]}_{self.revision - 1}"


class Receiver:
    """`async with Receiver() as receiver`; subscribe `receiver.url`, then `trust` the secret."""

    def __init__(self, *, answer: Answer = lambda arrival, times: 204, delay_s: float = 0.0) -> None:
        self.arrivals: list[Arrival] = []
        self.answered: Counter[str] = Counter()  # ids that got 2xx
        self.premature: list[Arrival] = []  # first arrivals while the revision below was not accepted
        self.books: dict[str, Any] = {}  # order number → the order, as an order store was last told
        self.histories: dict[str, list[Any]] = {}  # waybill → events that the carrier's interface tells of
        self.signatures: list[
            tuple[float, int]
        ] = []  # of each webhook: when it came, s since 1970, and how many it had
        self.refused = 0
        self.asked = 0  # queries to the carrier
        self.delay_s = delay_s
        self.free_to_answer = asyncio.Event()  # cleared: arrivals wait until it is set
        self.free_to_answer.set()
        self.beat_s = 0.0  # answers wait for its next beat, so that many go out at once
        self.answer = answer
        self.under_way = 0
        self._times: Counter[str] = Counter()
        self._signer: Signer | None = None
        self._stack = AsyncExitStack()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def carrier(self) -> str:
        """The address of the carrier's interface."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ids(self) -> set[str]:
        """Every id that was accepted."""
        return set(self.answered)

    def trust(self, secret: str) -> None:
        self._signer = Signer([secret])

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/hook", self._hook)
        app.router.add_put("/orders/{number}", self._order)
        app.router.add_post("/oauth/token", self._token)
        app.router.add_post("/v1/track", self._track)
        app.router.add_post("/v1/subscriptions", self._subscribed)
        app.router.add_delete("/v1/subscriptions", self._subscribed)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # ------------------------------------------------------------ the subscriber

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert self._signer
        self.signatures.append((time.time(), len(request.headers.get("webhook-signature", "").split())))
        try:
            self._signer.verify(request.headers, body, now=time.time())
        except BadSignature as error:
            self.refused += 1
            return web.Response(status=401, text=str(error))
        arrival = _arrival(request.headers["webhook-id"], body)
        self.arrivals.append(arrival)
        self._times[arrival.id] += 1
        if self._times[arrival.id] == 1 and arrival.revision > 1 and not self.answered[arrival.before]:
            self.premature.append(arrival)
        self.under_way += 1
        try:
            await self.free_to_answer.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.beat_s:
                await asyncio.sleep(self.beat_s - time.monotonic() % self.beat_s)
            status = self.answer(arrival, self._times[arrival.id])
        finally:
            self.under_way -= 1
        if status < 300:
            self.answered[arrival.id] += 1
        return web.Response(status=status)

    # ------------------------------------------------------------ the order store

    async def _order(self, request: web.Request) -> web.Response:
        order = (await request.json())["order"]
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if order:
            self.books[request.match_info["number"]] = order
        return web.Response(status=204)

    # ------------------------------------------------------------ the carrier

    async def _token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": "drill", "token_type": "Bearer", "expires_in": 600})

    async def _track(self, request: web.Request) -> web.Response:
        self.asked += 1
        numbers = (await request.json())["numbers"]
        known = [{"number": number, "events": self.histories[number]} for number in numbers if number in self.histories]
        errors = [
            {"number": number, "code": "NOT_FOUND", "message": "no data yet"}
            for number in numbers
            if number not in self.histories
        ]
        return web.json_response({"shipments": known, "errors": errors}, status=200 if known else 404)

    async def _subscribed(self, request: web.Request) -> web.Response:
        return web.json_response({"accepted": (await request.json())["numbers"], "rejected": []})

    # ------------------------------------------------------------ what its account says

    def bytes_differ(self) -> list[str]:
        """Ids that came with different bytes at different times."""
        digests: dict[str, set[str]] = defaultdict(set)
        for arrival in self.arrivals:
            digests[arrival.id].add(arrival.digest)
        return [id for id, seen in digests.items() if len(seen) > 1]

    @property
    def refused_once(self) -> int:
        """Arrivals that got no 2xx, so that they had to come again."""
        return len(self.arrivals) - self.answered.total()

    @property
    def redelivered(self) -> int:
        """Arrivals of what had been accepted already: at least once is more than once, now and then."""
        return self.answered.total() - len(self.answered)


def _arrival(id: str, body: bytes) -> Arrival:
    told: dict[str, Any] = msgspec.json.decode(body)
    data = told["data"]
    if "shipment" not in data:  # a probe
        return Arrival(id, "", 0, told["type"], "", time.monotonic())
    return Arrival(
        id,
        data["shipment"]["id"],
        data["revision"],
        told["type"],
        blake2b(body, digest_size=16).hexdigest(),
        time.monotonic(),
    )
