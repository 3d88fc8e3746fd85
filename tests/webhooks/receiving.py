"""A subscriber's server, and an account whose shipments change, as the daemon sees them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from tracker.feeds import Audience, FanOut
from tracker.secrets import Sealer
from tracker.store import Store
from tracker.store.types import Indexed, NewChange, Write
from webhooks.destination import Webhooks
from webhooks.guard import Guard
from webhooks.handing import Handler
from webhooks.outbound import Outbound, OutboundSettings
from webhooks.post import Poster
from webhooks.subscription import KIND, Subscription, from_records
from webhooks.subscriptions import Subscriptions
from webhooks.wire import Wire

LOOPBACK = (ip_network("127.0.0.0/8"),)
ANY_PORT = range(1, 65536)
ACCOUNT = "acme"

Answering = Callable[[web.Request, int], Awaitable[web.StreamResponse]]


@dataclass
class Heard:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def revision(self) -> int:
        return int(json.loads(self.body)["data"]["revision"])

    @property
    def shipment(self) -> str:
        return str(json.loads(self.body)["data"]["shipment"]["id"])


@dataclass
class Receiver:
    """A subscriber's server; `answers` maps a path to how it answers the nth request there."""

    heard: list[Heard] = field(default_factory=list)
    answers: dict[str, Answering] = field(default_factory=dict)
    root: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heard.append(Heard(request.path, headers, await request.read(), time.time()))
        answer = self.answers.get(request.path)
        if answer is None:
            return web.Response(status=204)
        return await answer(request, len(self.at(request.path)))

    def at(self, path: str) -> list[Heard]:
        return [one for one in self.heard if one.path == path]

    def url(self, path: str) -> str:
        return self.root + path


@dataclass
class Counted:
    """An observer that remembers."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def delivered(self, destination: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((destination, outcome))


class Desk:
    """An account with subscriptions, shipments that change, and the daemon's way out."""

    def __init__(self, store: Store, sealer: Sealer, wire: Wire) -> None:
        self.store = store
        self.wire = wire
        self.sealer = sealer
        self.observer = Counted()
        self.settings = OutboundSettings(timeout_s=1.0, schedule_factor=0.01)
        self.enough_s = 100.0
        self.webhooks = Webhooks(store, sealer, Poster(wire, timeout_s=self.settings.timeout_s))
        self.subscriptions = Subscriptions(
            store, sealer, check_url=Guard(LOOPBACK, ANY_PORT).check_url, probe=self.webhooks.probe
        )
        self.shops: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def set(self, **settings: float) -> None:
        """Change how deliveries are made, before they run."""
        self.enough_s = settings.pop("enough_s", self.enough_s)
        self.settings = replace(self.settings, **settings)
        poster = Poster(self.wire, timeout_s=self.settings.timeout_s)
        self.webhooks = Webhooks(self.store, self.sealer, poster, enough_s=self.enough_s)

    async def subscribe(self, url: str, **said: Any) -> tuple[Subscription, str]:
        return await self.subscriptions.create(ACCOUNT, url=url, now=int(time.time() * 1000), **said)

    async def change(self, waybill: str, *kinds: str, shop: str = "north", status: str = "in_transit") -> str:
        """Commit one change of each kind to the shipment; its id."""
        found = (await self.store.find(ACCOUNT, [waybill]))[0]
        id = found or self.store.new_id(ACCOUNT, waybill)
        self.shops[id] = shop
        for kind in kinds:
            await self._commit(id, waybill, kind, shop, status)
        return id

    async def _commit(self, id: str, waybill: str, kind: str, shop: str, status: str) -> None:
        version = self.versions.get(id, 0)
        listed = Indexed(status="in_transit", stalled=None, open=True, order_number="O1", registered_at=1)
        shipment = {"id": id, "waybill": waybill, "shop": shop, "carrier": "simulated", "status": status}
        body = {"type": f"shipment.{kind}", "data": {"shipment": shipment, "revision": version + 1}}
        write = Write(
            account=ACCOUNT,
            id=id,
            expected=version,
            document=b"document",
            before=listed if version else None,
            after=listed,
            changes=(NewChange(kind, json.dumps(body, ensure_ascii=False).encode()),),
            waybills=() if version else (waybill,),
        )
        self.versions[id] = (await self.store.commit(write)).version

    def fan_out(self, courier: Outbound | None = None) -> FanOut:
        async def labels(ids: Iterable[str]) -> list[tuple[str, str]]:
            return [(self.shops[id], "simulated") for id in ids]

        return FanOut(self.store, Audience(self.store, {KIND: from_records}), labels, courier=courier)

    def outbound(self, orders: Handler) -> Outbound:
        return Outbound(
            self.store,
            self.webhooks,
            self.observer,
            settings=self.settings,
            handlers={"orders:": orders},
            widths={"orders:": 64},
        )

    @asynccontextmanager
    async def running(self, orders: Handler) -> AsyncIterator[Outbound]:
        """Fan-out and delivery at work; drained on leaving."""
        outbound = self.outbound(orders)
        async with asyncio.TaskGroup() as tasks:
            fanning = tasks.create_task(self.fan_out(outbound).run())
            tasks.create_task(outbound.run())
            try:
                yield outbound
            finally:
                outbound.stop()
                fanning.cancel()


async def until(holds: Callable[[], bool], within: float = 60.0) -> None:
    """Return as soon as `holds`, fail if it does not in time."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.01)
