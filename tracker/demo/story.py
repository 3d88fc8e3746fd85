"""The demo's story, played over HTTP as any user would: a shop sells, ships and follows its parcels in Milepost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from tracker.demo.goods import Sold, sell
from tracker.demo.numbers import is_ready, ready
from tracker.demo.receiver import Receiver
from tracker.demo.world import World
from tracker.errors import MilepostError

FIRST = ("DLV", "STL", "FTD", "DUP", "LKR", "CUS")  # they set out at once; the others follow
THEN = ("LNG DLV", "LST", "RTD", "SFL", "SHF", "DLY", "MOV", "TXT", "WDR", "STR", "CHD", "LNG", "CNL", "EXC")
LATER = ("DLV", "DLV", "LNG", "LKR", "FTD", "SHF", "DUP", "DLY", "CUS", "LNG DLV", "RTD", "STL")
EVERY_S = 1.2  # between two parcels of the second wave
PARKED_FOR_S = 3.0  # how long a parcel moves before its shop registers it
LATER_EVERY_S = 12.0
LATER_AT_MOST = 300

_TIMEOUT = aiohttp.ClientTimeout(total=15)


class StoryError(MilepostError):
    """The daemon or the carrier refused a step of the story; the message holds its answer."""


class Api:
    """JSON over HTTP with a bearer key."""

    def __init__(self, http: aiohttp.ClientSession, base: str, key: str) -> None:
        self._http = http
        self._base = base.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    async def __call__(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The decoded answer; StoryError for a refusal."""
        request = self._http.request(
            method, self._base + path, json=body, params=query or None, headers=self._headers, timeout=_TIMEOUT
        )
        async with request as reply:
            text = await reply.read()
            if reply.status >= 400:
                raise StoryError(f"{method} {path}: {reply.status} {text[:500].decode('utf-8', 'replace')}")
            return msgspec.json.decode(text) if text else None


class Story:
    """One showing: `async with Story(base, key, world, receiver) as story`, then `play()` beside `until_done()`."""

    def __init__(
        self, base: str, key: str, world: World, receiver: Receiver, *, say: Callable[[str], None] = print
    ) -> None:
        self._base, self._key = base.rstrip("/"), key
        self._world, self._receiver, self._say = world, receiver, say
        self._stack = AsyncExitStack()
        self._tag = time.strftime("%y%m%d%H%M%S")
        self._sold = 0

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        self.milepost = Api(self._http, self._base, self._key)
        self._carrier = Api(self._http, self._world.base, await self._sign_in())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _sign_in(self) -> str:
        form = {"grant_type": "client_credentials", **self._world.credentials}
        async with self._http.post(f"{self._world.base}/oauth/token", data=form, timeout=_TIMEOUT) as reply:
            answer: dict[str, str] = await reply.json()
            return answer["access_token"]

    # the scenes

    async def play(self) -> None:
        """Everything, then a new order now and then; ends only after some hundreds of them."""
        await self.connect()
        orders = await self.open_shop()
        await self.ship([order for order in orders if order.plans])
        await self.go_on()

    async def connect(self) -> None:
        """Tell Milepost of the carrier and of the subscriber, and the carrier of Milepost."""
        await self._forget_earlier_showings()
        connection = await self.milepost("POST", "/v1/connections", self._connection())
        await self._carrier("PUT", "/v1/webhook", {"url": self._absolute(connection["webhook_url"])})
        wanted = {"url": self._receiver.url, "types": [], "description": "demo"}
        subscription = await self.milepost("POST", "/v1/subscriptions", wanted)
        self._receiver.trust(subscription["secret"])

    async def _forget_earlier_showings(self) -> None:
        """An earlier showing's carrier and subscriber are gone: their ports and secrets were its own."""
        for row in (await self.milepost("GET", "/v1/connections"))["connections"]:
            if row["carrier"] == "simulated":
                await self.milepost("DELETE", f"/v1/connections/{row['id']}")
        for row in (await self.milepost("GET", "/v1/subscriptions"))["subscriptions"]:
            if row["description"] == "demo":
                await self.milepost("DELETE", f"/v1/subscriptions/{row['id']}")

    def _connection(self) -> dict[str, Any]:
        return {
            "carrier": "simulated",
            "name": "模拟快递",
            "base": self._world.base,
            "credentials": self._world.credentials,
        }

    def _absolute(self, url: str) -> str:
        return self._base + url if url.startswith("/") else url

    async def open_shop(self) -> list[Sold]:
        """State all orders: paid ones wait for their shipment, one is unpaid, one cancelled, one long over."""
        orders = [self._sell(plans) for plans in (*FIRST, *THEN)]
        odd = [self._sell("", paid=False), self._sell("", cancelled=True), self._sell("")]
        for order in (*orders, *odd):
            await self._state(order)
        arrived = ready("DLV", int(self._tag[-6:]))
        await self._state(self._sell(""), [arrived])
        await self._pick_up([arrived])
        return orders

    async def ship(self, orders: Sequence[Sold]) -> None:
        """Hand the parcels over, the first ones at once; one of them before it is registered."""
        first, then = orders[: len(FIRST)], orders[len(FIRST) :]
        for order in first:
            await self._ship(order)
        early = await self._book("DLV")
        await self._pick_up([early])
        for order in then:
            await asyncio.sleep(EVERY_S)
            await self._ship(order)
            if order is then[min(len(then) - 1, int(PARKED_FOR_S / EVERY_S))]:
                await self._state(self._sell(""), [early])

    async def go_on(self) -> None:
        """Sell and ship a little more, for as long as somebody watches."""
        dice = random.Random(self._tag)
        for _ in range(LATER_AT_MOST):
            await asyncio.sleep(LATER_EVERY_S)
            order = self._sell(dice.choice(LATER))
            await self._state(order)
            await self._ship(order)

    def _sell(self, plans: str, *, paid: bool = True, cancelled: bool = False) -> Sold:
        self._sold += 1
        number = f"D{self._tag}-{self._sold:03d}"
        return sell(number, tuple(plans.split()), now=datetime.now().astimezone(), paid=paid, cancelled=cancelled)

    async def _state(self, order: Sold, waybills: Sequence[str] = ()) -> None:
        named = [{"waybill": waybill, "carrier": "simulated"} for waybill in waybills]
        await self.milepost("PUT", f"/v1/orders/{order.number}", {**order.body, "waybills": named})

    async def _ship(self, order: Sold) -> None:
        waybills = [await self._book(plan) for plan in order.plans]
        labels = {"order_number": order.number, "shop": order.body["shop"], "warehouse": order.body["warehouse"]}
        for waybill in waybills:
            await self.milepost("POST", "/v1/shipments", {"waybill": waybill, "carrier": "simulated", **labels})
        await self._pick_up(waybills)

    async def _book(self, plan: str) -> str:
        waybill: str = (await self._carrier("POST", "/v1/bookings", {"plan": plan}))["number"]
        return waybill

    async def _pick_up(self, waybills: Sequence[str]) -> None:
        await self._carrier("POST", "/v1/pickups", {"numbers": list(waybills)})

    # what must be seen

    async def until_done(self, *, timeout: float = 60.0) -> bool:
        """Poll until all that the demo promises has happened; False after `timeout` seconds. Says what happens when."""
        began = time.monotonic()
        open_steps: dict[str, Step] = dict(self._steps())
        while open_steps and time.monotonic() - began < timeout:
            for name, step in list(open_steps.items()):
                if seen := await self._seen(step):
                    del open_steps[name]
                    self._say(f"  ✓ {time.monotonic() - began:5.1f} s  {name}: {seen}")
            await asyncio.sleep(0.5)
        for name in open_steps:
            self._say(f"  ✗ {timeout:5.1f} s  {name}: 未发生 has not happened")
        return not open_steps

    def _steps(self) -> Mapping[str, Step]:
        return {
            "包裹已移动 a parcel has moved": self._moved,
            "签名推送已送达 a signed webhook has arrived": self._heard,
            "订单已完成 an order is completed": self._completed,
            "停滞已标记 a stalled parcel is flagged": self._stalled,
        }

    async def _seen(self, step: Step) -> str:
        try:
            return await step()
        except (aiohttp.ClientError, TimeoutError, StoryError):
            return ""  # not up yet, or draining: asked again

    async def _moved(self) -> str:
        rows = (await self.milepost("GET", "/v1/shipments", status="in_transit"))["shipments"]
        for row in rows:
            if row["last_event"] and await self._page_shows(row):
                return f"{row['waybill']} {_both(row['status_label'])}  {self._page(row)}"
        return ""

    async def _page_shows(self, row: Mapping[str, Any]) -> bool:
        async with self._http.get(self._page(row), timeout=_TIMEOUT) as reply:
            return reply.status == 200 and row["last_event"]["description"] in await reply.text()

    def _page(self, row: Mapping[str, Any]) -> str:
        return f"{self._base}/parcels/{row['id']}"

    async def _heard(self) -> str:
        latest = self._receiver.messages
        return f"{latest[0].waybill} {latest[0].label}" if latest else ""

    async def _completed(self) -> str:
        rows = (await self.milepost("GET", "/v1/orders", status="completed", number=f"D{self._tag}"))["orders"]
        moved = (row for row in rows if not any(is_ready(parcel["waybill"]) for parcel in row["parcels"]))
        return next((f"{row['number']} {_both(row['status_label'])}" for row in moved), "")

    async def _stalled(self) -> str:
        rows = (await self.milepost("GET", "/v1/stalled"))["shipments"]
        return next((f"{row['waybill']} {row['stalled']['for_s']} s" for row in rows), "")


Step = Callable[[], Awaitable[str]]


def _both(label: Mapping[str, str]) -> str:
    return f"{label['zh']} {label['en']}"


async def perform(
    base: str,
    key: str,
    world: World,
    receiver: Receiver,
    *,
    until_done: bool = False,
    timeout: float = 60.0,
    say: Callable[[str], None] = print,
) -> bool:
    """Play the story; with `until_done` end once all has happened (True) or `timeout` seconds have passed (False)."""
    async with Story(base, key, world, receiver, say=say) as story, asyncio.TaskGroup() as group:
        playing = group.create_task(story.play())
        done = await story.until_done(timeout=timeout)
        if until_done:
            playing.cancel()
        return done
