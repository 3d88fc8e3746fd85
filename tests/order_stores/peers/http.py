"""A house-made platform as docs/order-stores.md describes it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any

import msgspec
from aiohttp import web
from standardwebhooks import Webhook

from tracker.order_stores.platforms.http import platform

from .peer import Peer

SECRET = "whsec_" + "bWlsZXBvc3Qtb3JkZXItc3RvcmUtdGVzdHM="


class HousePeer(Peer):
    """It checks the signature with the reference library, drops a `webhook-id` that it has seen and keeps orders whole.

    Once per id: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (webhook-id)
    """

    platform = platform
    reads_answers = False

    def __init__(self) -> None:
        super().__init__()
        self.credentials = {"signing_secret": SECRET}
        self.slow: dict[str, asyncio.Event] = {}  # by shipment: its next request waits for that
        self.taken: dict[str, bytes] = {}  # webhook-id → body
        self.orders: dict[str, dict[str, Any]] = {}
        self.steps: defaultdict[tuple[str, str], dict[tuple[str, int], str]] = defaultdict(dict)

    def sell(self, number: str, waybills: list[str]) -> None:
        pass

    def told(self, number: str, waybill: str) -> list[str]:
        return list(self.steps[number, waybill].values())

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        Webhook(SECRET).verify(body, dict(request.headers))
        assert abs(time.time() - int(request.headers["webhook-timestamp"])) < 60
        assert request.method == "PUT" and request.content_type == "application/json"
        said = msgspec.json.decode(body)
        if said.get("shipment_id") in self.slow:
            await self.slow.pop(said["shipment_id"]).wait()
        id = request.headers["webhook-id"]
        if id in self.taken:
            assert self.taken[id] == body, "one id, two bodies"
        elif said["order"] is not None:
            self._keep(request.match_info["path"], said)
        self.taken[id] = body
        return web.Response(status=204)

    def _keep(self, number: str, said: dict[str, Any]) -> None:
        self.orders[number] = said["order"]
        parcel = next(one for one in said["order"]["parcels"] if one["shipment_id"] == said["shipment_id"])
        self.steps[number, parcel["waybill"]][said["shipment_id"], said["revision"]] = parcel["status"]

    async def refuse(self, request: web.Request) -> web.Response:
        return web.Response(status=422, text="refused: no such order here")
