"""A subscription of an account and the lanes behind it, worked by hand: for what only a delivery brings about."""

from __future__ import annotations

from typing import Any

import msgspec

from tracker.store import Store
from tracker.store.types import Delivery, LaneRef, Outcome, Settlement

from .world import Api


class Lanes:
    """The lanes of one destination; `store` is the real one."""

    def __init__(self, store: Store, id: str) -> None:
        self.store = store
        self.id = id
        self._claims = 0

    async def fan_out(self, *others: str) -> None:
        """Put what was committed into the lanes of this destination, and of others."""
        for shard in range(self.store.shards):
            cursor, entries = await self.store.unfanned(shard)
            if entries:
                refs = [
                    LaneRef(id, one.account, one.id, one.revision, one.kind)
                    for one in entries
                    for id in (self.id, *others)
                ]
                assert (await self.store.fan_out(shard, cursor, entries[-1].position, refs)).moved

    async def settle(self, outcome: Outcome = Outcome.DONE, **said: Any) -> list[Delivery]:
        """Claim all that is due, and settle it; what was claimed. `said`: what the log says besides."""
        self._claims += 1
        found: list[Delivery] = await self.store.claim_lanes(
            f"{self.id}-{self._claims}", free={}, default_free=500, limit=500, lease_ms=60_000
        )
        await self.store.settle_lanes([settlement(one, outcome, **said) for one in found])
        return found


class Desk(Lanes):
    """A subscription of an account, and the lanes behind it."""

    def __init__(self, api: Api, account: str, id: str) -> None:
        super().__init__(api.store, id)
        self.api = api
        self.account = account

    async def call(self, method: str, path: str, **how: Any) -> Any:
        answer = await self.api.call(self.account, method, f"/subscriptions/{self.id}{path}", **how)
        return answer.body if answer.status < 300 else answer

    async def ship(self, *waybills: str, shop: str = "") -> None:
        for waybill in waybills:
            body = {"waybill": waybill, "carrier": "acme", "shop": shop}
            await self.api.call(self.account, "POST", "/shipments", json=body)


def settlement(delivery: Delivery, outcome: Outcome, **said: Any) -> Settlement:
    log: dict[str, Any] = {
        "at": "2026-11-20T10:00:00.000Z",
        "id": f"msg_{delivery.id[4:]}_{delivery.revision}",
        "type": f"shipment.{delivery.kind}",
        "shipment_id": delivery.id,
        "revision": delivery.revision,
        "attempt": delivery.attempt,
        "outcome": outcome.value,
        "status": 200,
        "latency_ms": 12.5,
        "error": None,
        "response": None,
    }
    return Settlement(delivery=delivery, outcome=outcome, log=msgspec.json.encode(log | said))


async def subscribed(api: Api, account: str, **said: Any) -> Desk:
    body = {"url": "https://receiver.example/hook"} | said
    return Desk(api, account, (await api.call(account, "POST", "/subscriptions", json=body)).body["id"])
