"""A mistake in a carrier's table, shipped to a shop, then corrected and replayed: who is told what, and who is not."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from carriers import simulated
from carriers.sdk import M, ParseError
from tests.pipeline.daemon import Desk, Subscriber, running, until
from tracker import cli

SECRET = "signs the carrier's pushes"
AFFECTED = {"SIMSTD000000001": ("PUP", "LOC"), "SIMSTD000000002": ("LOC",), "SIMSTD000000003": ("PUP", "LOC", "DLV")}
UNAFFECTED = {"SIMSTD000000004": ("PUP", "OFD"), "SIMSTD000000005": ("PUP", "DLV"), "SIMSTD000000006": ()}


class Shop:
    """A daemon in which parcels move, and the subscriber to whom it tells of them."""

    def __init__(self, desk: Desk, subscriber: Subscriber, hook: str) -> None:
        self.desk, self.subscriber, self.hook = desk, subscriber, hook

    async def push(self, waybill: str, *codes: str, **more: Any) -> int:
        events = [{"code": code, "time": f"2026-07-01T{8 + hour:02}:00:00+08:00"} for hour, code in enumerate(codes)]
        body = json.dumps({"shipment": {"number": waybill, "events": events, **more}}).encode()
        headers = {"X-Simulated-Signature": hmac.digest(SECRET.encode(), body, "sha256").hex()}
        async with self.desk.http.post(self.desk.url + self.hook, data=body, headers=headers) as reply:
            return reply.status

    async def follow(self, waybill: str, *codes: str) -> None:
        await self.desk("POST", "/v1/shipments", {"waybill": waybill, "carrier": "simulated"})
        if codes:
            assert await self.push(waybill, *codes) == 200

    async def shipment(self, waybill: str) -> dict[str, Any]:
        [found] = (await self.desk("GET", f"/v1/shipments?waybill={waybill}"))["shipments"]
        shipment: dict[str, Any] = await self.desk("GET", f"/v1/shipments/{found['id']}")
        return shipment

    async def revisions(self) -> dict[str, int]:
        rows = (await self.desk("GET", "/v1/shipments"))["shipments"]
        return {row["waybill"]: row["revision"] for row in rows}

    async def heard(self) -> list[dict[str, Any]]:
        """What the subscriber got, once it has got every change of the feed."""
        changes = (await self.desk("GET", "/v1/changes?limit=500"))["changes"]
        await until(lambda: len(self.subscriber.messages) >= len(changes))
        return [body for _, body in self.subscriber.messages]

    async def replay(self, **body: Any) -> dict[str, list[Any]]:
        """A whole replay over the API: every correction, and every body that could be read."""
        found: dict[str, list[Any]] = {"corrections": [], "read": []}
        cursor, first = None, True
        while first or cursor:
            page = await self.desk("POST", "/v1/replay", {"cursor": cursor, "limit": 2, **body})
            found["corrections"] += page["corrections"]
            found["read"] += page["quarantine"]["read"]
            cursor, first = page["cursor"], False
        return found

    async def command(self, *words: str) -> int:
        """`milepost replay`, as a person types it."""
        key = self.desk.key
        return await asyncio.to_thread(
            cli.main, ["replay", "--url", self.desk.url, "--key", key, "--lang", "en", *words]
        )


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with running(tmp_path) as (desk, subscriber):
        credentials = {"client_id": "I", "client_secret": "S", "webhook_secret": SECRET}
        made = await desk("POST", "/v1/connections", {"carrier": "simulated", "credentials": credentials})
        yield Shop(desk, subscriber, "/hooks/" + made["webhook_url"].partition("/hooks/")[2])


@pytest.fixture
async def mistaken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The table took `LOC` (lies in a locker) for delivered while six parcels moved; then it was corrected."""
    with monkeypatch.context() as mistake:
        mistake.setitem(simulated.MILESTONES, "LOC", M.DELIVERED)
        for waybill, codes in (AFFECTED | UNAFFECTED).items():
            await shop.follow(waybill, *codes)
        assert (await shop.shipment("SIMSTD000000001"))["status"] == "delivered"
    await shop.heard()
    return shop


async def test_exactly_the_affected_parcels_are_corrected_each_with_one_message(mistaken: Shop) -> None:
    shop, before = mistaken, len(await mistaken.heard())
    revisions = await shop.revisions()
    found = await shop.replay()
    assert sorted(row["waybill"] for row in found["corrections"]) == sorted(AFFECTED)

    told = (await shop.heard())[before:]
    assert sorted(body["data"]["shipment"]["waybill"] for body in told) == sorted(AFFECTED)
    assert {body["type"] for body in told} == {"shipment.corrected"}
    assert await shop.revisions() == {
        waybill: revision + (waybill in AFFECTED) for waybill, revision in revisions.items()
    }
    await asyncio.sleep(0.3)
    assert len(shop.subscriber.messages) == before + len(AFFECTED)  # and nothing comes after


async def test_the_message_says_what_it_was_and_what_it_is(mistaken: Shop) -> None:
    await mistaken.replay()
    [told] = [body for body in await mistaken.heard() if body["type"] == "shipment.corrected" and _of(body, 1)]
    data = told["data"]
    assert (data["previous_status"], data["shipment"]["status"]) == ("delivered", "available_for_pickup")
    [event] = data["events_corrected"]
    assert (event["code"], event["was"]["milestone"], event["milestone"]) == (
        "LOC",
        "delivered",
        "available_for_pickup",
    )
    assert (await mistaken.shipment("SIMSTD000000001"))["events"][-1]["milestone"] == "available_for_pickup"


def _of(body: dict[str, Any], number: int) -> bool:
    return bool(body["data"]["shipment"]["waybill"] == f"SIMSTD{number:09}")


async def test_a_dry_run_names_them_and_changes_nothing(mistaken: Shop) -> None:
    before, feed = await mistaken.revisions(), await mistaken.desk("GET", "/v1/changes?limit=500")
    dry = await mistaken.replay(dry_run=True)
    assert sorted(row["waybill"] for row in dry["corrections"]) == sorted(AFFECTED)
    assert await mistaken.revisions() == before
    assert await mistaken.desk("GET", "/v1/changes?limit=500") == feed
    assert (await mistaken.replay())["corrections"] == dry["corrections"]


async def test_a_second_replay_changes_nothing(mistaken: Shop) -> None:
    await mistaken.replay()
    before = await mistaken.revisions()
    assert await mistaken.replay() == {"corrections": [], "read": []}
    assert await mistaken.revisions() == before


async def test_another_account_is_replayed_by_itself_or_by_an_operator_and_by_nobody_else(mistaken: Shop) -> None:
    made = await mistaken.desk("POST", "/v1/accounts", {"name": "other"})
    stranger = Desk(mistaken.desk.http, mistaken.desk.url, made["key"]["key"])
    assert (await stranger.ask("POST", "/v1/replay", {"account": "default"}))[0] == 404
    assert (await stranger.ask("POST", "/v1/replay", {"account": "never-was"}))[0] == 404
    page = await stranger("POST", "/v1/replay", {"cursor": "s."})
    assert (page["looked_at"], page["account"]) == (0, "other")
    assert await mistaken.replay(account="other") == {"corrections": [], "read": []}
    assert len((await mistaken.replay(account="default"))["corrections"]) == len(AFFECTED)


async def test_a_wrong_carrier_or_cursor_is_named(shop: Shop) -> None:
    for body, field in (({"carrier": "simulatd"}, "carrier"), ({"cursor": "x.y"}, "cursor"), ({"limit": 0}, "limit")):
        status, said = await shop.desk.ask("POST", "/v1/replay", body)
        assert (status, [error["field"] for error in said["errors"]]) == (422, [field])


async def test_the_command_shows_first_then_corrects_some_then_all(
    mistaken: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await mistaken.command("--dry-run") == 0
    said = capsys.readouterr().out
    assert "SIMSTD000000001" in said
    assert "Delivered → Ready for collection" in said
    assert "LOC         delivered → available_for_pickup" in said
    assert "3 of 6 shipments would be corrected" in said
    assert await mistaken.command("--limit", "1", "--carrier", "simulated") == 0
    assert "1 of " in capsys.readouterr().out
    assert await mistaken.command("--limit", "0") == 64
    assert "at least 1" in capsys.readouterr().err
    assert await mistaken.command("--json", "--account", "default") == 0
    pages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(len(page["corrections"]) for page in pages) == 2
    assert await mistaken.command() == 0
    assert "0 of 6 shipments were corrected" in capsys.readouterr().out


async def test_a_body_that_a_corrected_adapter_can_read_leaves_the_quarantine(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(row: dict[str, Any], key: str, path: str) -> int | None:
        raise ParseError(f"{path}.{key}", "a mistake in the adapter")

    await shop.follow("SIMSTD000000001", "PUP")
    with monkeypatch.context() as mistake:
        mistake.setattr(simulated, "_whole", refuse)
        assert await shop.push("SIMSTD000000001", "PUP", "OFD") == 200
    assert await shop.push("SIMSTD000000001", "PUP", "ARR", weight_g="heavy") == 200
    assert len((await shop.desk("GET", "/v1/quarantine"))["quarantine"]) == 2
    assert len((await shop.replay())["read"]) == 1
    assert (await shop.shipment("SIMSTD000000001"))["status"] == "out_for_delivery"
    [left] = (await shop.desk("GET", "/v1/quarantine"))["quarantine"]
    assert "heavy" in left["entry"]["text"]
    assert await shop.replay() == {"corrections": [], "read": []}


async def test_what_nothing_covers_is_told_until_it_is_mapped(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.follow("SIMSTD000000001", "PUP", "WAT")
    async with asyncio.timeout(60):
        while not (found := (await shop.desk("GET", "/v1/drift?kind=code"))["drift"]):
            await asyncio.sleep(0.1)
    [one] = found
    assert (one["carrier"], one["key"], one["account"]) == ("simulated", "WAT", "default")
    assert one["shipment_id"] == (await shop.shipment("SIMSTD000000001"))["id"]
    monkeypatch.setitem(simulated.MILESTONES, "WAT", M.OUT_FOR_DELIVERY)
    [corrected] = (await shop.replay())["corrections"]
    assert corrected["events"][0]["was"] == {"milestone": "unknown", "reason": None}
    assert (await shop.shipment("SIMSTD000000001"))["status"] == "out_for_delivery"
