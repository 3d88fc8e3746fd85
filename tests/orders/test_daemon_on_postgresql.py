"""A whole daemon whose order book is a PostgreSQL, and what an outage of that costs: time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from yarl import URL

from tests import postgres
from tests.pipeline.daemon import running, until
from tests.pipeline.pushes import CREDENTIALS

PUSH = Path(__file__).parents[2] / "carriers" / "sf" / "fixtures" / "push-delivered.json"
WAYBILL = "SF1390000000117"


@pytest.mark.skipif(bool(postgres.lacking()), reason=postgres.lacking())
async def test_an_order_follows_its_parcel_through_an_outage_of_its_database(tmp_path: Path) -> None:
    """The carrier is answered and subscribers are told meanwhile; the order catches up by itself."""
    with postgres.running() as database:
        flags = {"orders.url": database.url, "delivery.schedule_factor": "0.0001"}
        async with running(tmp_path, **flags) as (desk, subscriber):
            made = await desk("POST", "/v1/connections", {"carrier": "sf", "credentials": dict(CREDENTIALS["sf"])})
            wanted = {"waybills": [{"waybill": WAYBILL, "carrier": "sf", "phone_tail": "0000"}]}
            assert (await desk("PUT", "/v1/orders/SO-1", wanted))["order"]["number"] == "SO-1"
            await until(lambda: len(subscriber.messages) == 1)
            await asyncio.to_thread(database.stop)
            url = desk.url + URL(made["webhook_url"]).raw_path
            async with desk.http.post(
                url, data=PUSH.read_bytes(), headers={"Content-Type": "application/json"}
            ) as told:
                assert told.status == 200
            await until(lambda: any(body["type"] == "shipment.delivered" for _, body in subscriber.messages))
            status, _ = await desk.ask("GET", "/v1/orders/SO-1")
            assert status == 503
            await asyncio.to_thread(database.start)
            async with asyncio.timeout(60):
                while (await desk.ask("GET", "/v1/orders/SO-1"))[1].get("status") != "completed":
                    await asyncio.sleep(0.1)
            assert (await desk("GET", "/v1/dead-letters"))["dead_letters"] == []
