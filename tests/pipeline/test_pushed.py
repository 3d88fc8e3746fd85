"""Carrier bodies pushed through a whole daemon, signed as the carrier signs: timeline, feed, webhook and order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from carriers import registry
from tests.pipeline.daemon import Desk, Subscriber, running, until
from tests.pipeline.pushes import CREDENTIALS, PUSH
from tracker.reading import read_body

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT.parent / "shared" / "carrier-samples"
FOLDERS = {"dhl": "dhl_unified"}
ERRORS = ("Problem", "errors")


def bodies(slug: str) -> list[tuple[str, bytes]]:
    """Real bodies where they are at hand, else our own fixtures; those that tell of a waybill."""
    folder = SAMPLES / FOLDERS.get(slug, slug)
    paths = (
        sorted(folder.glob("*.json"))
        if folder.exists()
        else sorted((ROOT / "carriers" / slug / "fixtures").glob("query-*.json"))
    )
    return [(path.name, path.read_bytes()) for path in paths if ".golden" not in path.name]


async def push(desk: Desk, hook: str, slug: str, body: bytes) -> int:
    pushed = PUSH[slug](body)
    async with desk.http.post(desk.url + hook, data=pushed.body, headers=dict(pushed.headers)) as reply:
        await reply.read()
        return reply.status


async def connect(desk: Desk, slug: str) -> str:
    """A connection, and the path at which it takes pushes."""
    made = await desk("POST", "/v1/connections", {"carrier": slug, "name": slug, "credentials": CREDENTIALS[slug]})
    url: str = made["webhook_url"]
    return "/hooks/" + url.partition("/hooks/")[2]


@pytest.mark.parametrize("slug", sorted(PUSH))
async def test_every_body_of_a_carrier_reaches_timeline_feed_webhook_and_order(slug: str, tmp_path: Path) -> None:
    async with running(tmp_path) as (desk, subscriber):
        await every_body_goes_the_whole_way(desk, subscriber, slug)


async def every_body_goes_the_whole_way(desk: Desk, subscriber: Subscriber, slug: str) -> None:
    """Register what each body tells of, push the body twice, and look in all four places."""
    hook = await connect(desk, slug)
    orders: dict[str, str] = {}  # by waybill
    for name, body in bodies(slug):
        told = [row for row in _read(slug, body) if row["waybill"] not in orders]
        for row in told:  # all before the push, or what it tells of the others would come with their registration
            orders[row["waybill"]] = order = f"{slug}-{len(orders) + 1}"
            waybill = {"waybill": row["waybill"], "carrier": slug, "order_number": order}
            await desk("POST", "/v1/shipments", waybill | _extra(slug))
        if told:
            assert (await push(desk, hook, slug, body), await push(desk, hook, slug, body)) == (200, 200), name
        for row in told:
            await _arrived(desk, subscriber, row, orders[row["waybill"]])


def _extra(slug: str) -> dict[str, str]:
    return {"phone_tail": "0000"} if slug == "sf" else {}


def _read(slug: str, body: bytes) -> list[dict[str, Any]]:
    carrier = registry.load()[0].get(slug)
    assert carrier is not None
    return read_body(carrier, body, "application/json", now=0)[0]


async def _arrived(desk: Desk, subscriber: Subscriber, row: dict[str, Any], order: str) -> None:
    waybill = row["waybill"]
    [listed] = (await desk("GET", f"/v1/shipments?waybill={waybill}"))["shipments"]
    shipment = await desk("GET", f"/v1/shipments/{listed['id']}")
    said = [(event["occurred_at"], event["milestone"], event["description"] or "") for event in shipment["events"]]
    assert said == [(event["occurred_at"], event["milestone"], event["description"]) for event in row["events"]]
    assert shipment["status"] == row["status"]

    revisions = [entry["revision"] for entry in await _feed(desk) if entry["shipment_id"] == listed["id"]]
    assert revisions == list(range(1, shipment["revision"] + 1))
    await until(lambda: len(subscriber.of(waybill)) == len(revisions))
    assert [body["data"]["revision"] for body in subscriber.of(waybill)] == revisions
    added = [event for body in subscriber.of(waybill) for event in body["data"]["events_added"]]
    assert len(added) == len(row["events"])

    async with asyncio.timeout(60):
        while await _parcel_status(desk, order) != row["status"]:
            await asyncio.sleep(0.05)


async def _parcel_status(desk: Desk, order: str) -> str:
    """The order's word on its parcel; "" while the order book has not heard of the order."""
    status, said = await desk.ask("GET", f"/v1/orders/{order}")
    return said["parcels"][0]["status"] if status == 200 and said["parcels"] else ""


async def _feed(desk: Desk) -> list[dict[str, Any]]:
    """Every change there is, page by page."""
    entries: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await desk("GET", "/v1/changes?limit=500" + (f"&after={after}" if after else ""))
        entries += page["changes"]
        after = page["cursor"]
        if not page["more"]:
            return entries


async def test_a_body_that_can_not_be_read_is_kept_and_acknowledged(tmp_path: Path) -> None:
    async with running(tmp_path) as (desk, _):
        hook = await connect(desk, "sf")
        assert await push(desk, hook, "sf", b"<html>busy</html>") == 200
        [kept] = (await desk("GET", "/v1/quarantine"))["quarantine"]
        assert (kept["entry"]["carrier"], kept["entry"]["text"]) == ("sf", "<html>busy</html>")


async def test_a_push_with_a_wrong_signature_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (desk, _):
        hook = await connect(desk, "fedex")
        async with desk.http.post(desk.url + hook, data=b"{}", headers={"fdx-signature": "AAAA"}) as reply:
            assert reply.status == 401
        assert (await desk("GET", "/v1/quarantine"))["quarantine"] == []


async def test_scans_of_a_waybill_that_nobody_registered_wait_until_somebody_does(tmp_path: Path) -> None:
    async with running(tmp_path) as (desk, _):
        hook = await connect(desk, "dhl")
        name, body = next((name, body) for name, body in bodies("dhl") if _read("dhl", body))
        [row] = _read("dhl", body)
        assert await push(desk, hook, "dhl", body) == 200, name
        made = await desk("POST", "/v1/shipments", {"waybill": row["waybill"], "carrier": "dhl"})
        told = await desk("GET", f"/v1/shipments/{made['id']}")
        assert (made["status"], len(told["events"])) == (row["status"], len(row["events"]))
