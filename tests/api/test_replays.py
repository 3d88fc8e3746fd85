"""Changes once more, over HTTP: since a time, after a cursor, one alone, and whatever died."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tracker.store.types import Delivery, Outcome

from .desk import Desk, settlement, subscribed
from .world import Api


@pytest.fixture
async def desk(api: Api, account: str) -> Desk:
    return await subscribed(api, account)


def ago(**span: int) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def told(delivery: Delivery) -> Any:
    return msgspec.json.decode(delivery.body)


async def test_what_was_delivered_goes_again_rendered_anew_under_its_own_id(desk: Desk) -> None:
    await desk.ship("AC000001", "AC000002")
    await desk.fan_out()
    before = {(one.id, one.revision): told(one) for one in await desk.settle()}
    answer = await desk.call("POST", "/replay", json={"since": ago(hours=1)})
    assert {name: answer[name] for name in ("kept", "rendered", "waiting", "lost", "more")} == {
        "kept": 0,
        "rendered": 2,
        "waiting": 0,
        "lost": 0,
        "more": False,
    }
    again = {(one.id, one.revision): told(one) for one in await desk.settle()}
    assert again.keys() == before.keys()
    for key, body in again.items():
        assert (body["type"], body["schema"], body["data"]["rendered_anew"]) == ("shipment.registered", 1, True)
        assert body["data"]["revision"] == before[key]["data"]["revision"]
        assert body["data"]["shipment"] == before[key]["data"]["shipment"]
        assert body["data"]["events_added"] == []


async def test_what_another_destination_still_waits_for_goes_with_the_same_bytes(desk: Desk) -> None:
    await desk.ship("AC000001")
    other = await subscribed(desk.api, desk.account)
    await desk.fan_out(other.id)
    both = await desk.store.claim_lanes("both", free={}, default_free=5, limit=5, lease_ms=60_000)
    [mine] = [one for one in both if one.destination == desk.id]
    assert (await desk.call("POST", "/replay", json={"since": ago(hours=1)}))["waiting"] == 1
    await desk.store.settle_lanes([settlement(mine, Outcome.DONE)])
    assert (await desk.call("POST", "/replay", json={"since": ago(hours=1)}))["kept"] == 1
    [again] = await desk.settle()
    assert (again.destination, again.body) == (desk.id, mine.body)


async def test_a_replay_goes_on_from_its_cursor_until_there_is_no_more(desk: Desk) -> None:
    await desk.ship(*[f"AC00000{n}" for n in range(7)])
    await desk.fan_out()
    await desk.settle()
    answer = await desk.call("POST", "/replay", json={"since": ago(hours=1), "limit": 2})
    rendered = answer["rendered"]
    while answer["more"]:
        answer = await desk.call("POST", "/replay", json={"after": answer["cursor"], "limit": 2})
        rendered += answer["rendered"]
    assert rendered == 7
    assert len({one.id for one in await desk.settle()}) == 7
    assert (await desk.call("POST", "/replay", json={"after": answer["cursor"]}))["rendered"] == 0


async def test_a_replay_sends_what_passes_the_filters_and_comes_after_the_time(api: Api, account: str) -> None:
    north = await subscribed(api, account, shops=["north"], statuses=["pending"])
    none = await subscribed(api, account, types=["shipment.delivered"])
    await north.ship("AC000001", shop="north")
    await north.ship("AC000002", shop="south")
    await north.fan_out()
    await north.settle()
    assert (await north.call("POST", "/replay", json={"since": ago(hours=1)}))["rendered"] == 1
    [again] = await north.settle()
    assert told(again)["data"]["shipment"]["waybill"] == "AC000001"
    assert (await none.call("POST", "/replay", json={"since": ago(hours=1)}))["rendered"] == 0
    assert (await north.call("POST", "/replay", json={"since": ago(hours=-1)}))["rendered"] == 0


async def test_a_shipment_that_was_deleted_can_not_be_rendered(desk: Desk) -> None:
    await desk.ship("AC000001")
    await desk.fan_out()
    [delivery] = await desk.settle()
    await desk.api.call(desk.account, "DELETE", f"/shipments/{delivery.id}")
    await desk.fan_out()
    await desk.settle()
    assert (await desk.call("POST", "/replay", json={"since": ago(hours=1)}))["lost"] == 2


async def test_a_replay_from_before_what_is_kept_is_refused(desk: Desk) -> None:
    await desk.ship("AC000001")
    await desk.fan_out()
    await desk.settle()
    await desk.store.trim_feed(keep_ms=0, keep_entries=0)
    since = ago(hours=1)
    refused = await desk.call("POST", "/replay", json={"since": since})
    assert (refused.status, refused.body["type"]) == (410, "/docs#problem-cursor-too-old")
    told = f"some of the changes since {since} are no longer kept (feed.keep_days): ask for a later `since`"
    assert refused.body["detail"] == told


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "since"),
        ({"since": "2026-11-20T10:00:00Z", "after": "x"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-20T10:00:00"}, "since"),
        ({"after": "not a cursor"}, "after"),
        ({"since": "2026-11-20T10:00:00Z", "limit": 0}, "limit"),
    ],
)
async def test_a_wrong_replay_names_its_field(desk: Desk, body: dict[str, Any], field: str) -> None:
    refused = await desk.call("POST", "/replay", json=body)
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, field)


async def test_one_message_of_the_log_is_sent_again(desk: Desk) -> None:
    await desk.ship("AC000001")
    await desk.fan_out()
    await desk.settle()
    [logged] = (await desk.call("GET", "/deliveries"))["deliveries"]
    assert await desk.call("POST", f"/deliveries/{logged['id']}/resend") == {"result": "rendered"}
    assert await desk.call("POST", f"/deliveries/{logged['id']}/resend") == {"result": "waiting"}
    [again] = await desk.settle()
    assert (again.id, again.revision) == (logged["shipment_id"], 1)
    assert told(again)["timestamp"] == "2026-11-20T10:00:00Z"
    assert (await desk.call("POST", "/deliveries/msg_00unknown000_1/resend")).status == 404


async def test_a_dead_message_is_sent_again_with_the_same_bytes(desk: Desk) -> None:
    await desk.ship("AC000001")
    await desk.fan_out()
    [dead] = await desk.settle(Outcome.DEAD)
    [logged] = (await desk.call("GET", "/deliveries"))["deliveries"]
    assert await desk.call("POST", f"/deliveries/{logged['id']}/resend") == {"result": "kept"}
    [again] = await desk.settle()
    assert again.body == dead.body
    assert await desk.store.dead_letters(desk.account) == ([], None)


async def test_all_that_died_is_recovered_and_nothing_of_anothers(desk: Desk) -> None:
    other = await subscribed(desk.api, desk.account)
    await desk.ship(*[f"AC00000{n}" for n in range(5)])
    await desk.fan_out()
    dead = await desk.settle(Outcome.DEAD)
    assert await other.call("POST", "/recover") == {"replayed": 0, "more": False}
    assert await desk.call("POST", "/recover") == {"replayed": 5, "more": False}
    assert {one.body for one in await desk.settle()} == {one.body for one in dead}


@pytest.mark.parametrize("path", ["/replay", "/recover", "/deliveries/msg_1_1/resend"])
async def test_nothing_is_sent_again_to_what_is_switched_off(desk: Desk, path: str) -> None:
    await desk.call("PATCH", "", json={"enabled": False})
    body = {"json": {"since": ago(hours=1)}} if path == "/replay" else {}
    refused = await desk.call("POST", path, **body)
    assert (refused.status, refused.body["errors"][0]["code"]) == (422, "disabled")


async def test_a_test_is_in_the_delivery_log_marked_as_one_and_is_no_message_to_send_again(desk: Desk) -> None:
    tested = await desk.call("POST", "/test", json={"type": "shipment.delivered"})
    [logged] = (await desk.call("GET", "/deliveries"))["deliveries"]
    said = {name: logged[name] for name in ("id", "type", "outcome", "status", "test", "shipment_id", "next_at")}
    assert said == {
        "id": tested["id"],
        "type": "shipment.delivered",
        "outcome": "done",
        "status": 200,
        "test": True,
        "shipment_id": None,
        "next_at": None,
    }
    assert (await desk.call("POST", f"/deliveries/{tested['id']}/resend")).status == 404
    assert (await desk.call("GET", ""))["failed_in_a_row"] == 0
