"""The feed by cursor: no gap, no wait where there is something, and a way back from a cursor that is too old."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .world import Api


async def _register(api: Api, account: str, *waybills: str) -> list[str]:
    items = [{"waybill": waybill, "carrier": "acme"} for waybill in waybills]
    answer = await api.call(account, "POST", "/shipments", json={"shipments": items})
    return [item["shipment"]["id"] for item in answer.body["results"]]


async def _follow(api: Api, account: str, limit: int) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    path = f"/changes?limit={limit}"
    more = True
    cursor = ""
    while more:
        page = (await api.call(account, "GET", path + cursor)).body
        seen += page["changes"]
        cursor, more = f"&after={page['cursor']}", page["more"]
    return seen


async def test_a_reader_sees_every_change_once_in_the_order_of_its_revisions(api: Api, account: str) -> None:
    ids = await _register(api, account, *(f"AC0000{n:02}" for n in range(10)))
    for shop in ("a", "b"):
        for id in ids:
            await api.call(account, "PATCH", f"/shipments/{id}", json={"shop": shop})
    seen = await _follow(api, account, 7)
    assert sorted((change["shipment_id"], change["revision"]) for change in seen) == sorted(
        (id, revision) for id in ids for revision in (1, 2, 3)
    )
    for id in ids:
        assert [change["revision"] for change in seen if change["shipment_id"] == id] == [1, 2, 3]
    assert {change["type"] for change in seen} == {"shipment.registered", "shipment.updated"}


async def test_shipments_come_along_as_they_stand_now(api: Api, account: str) -> None:
    [id] = await _register(api, account, "AC000001")
    page = (await api.call(account, "GET", "/changes?shipments=true")).body
    assert [shipment["id"] for shipment in page["shipments"]] == [id]


async def test_now_is_after_all_that_was(api: Api, account: str) -> None:
    await _register(api, account, "AC000001")
    page = (await api.call(account, "GET", "/changes?after=now")).body
    assert page["changes"] == []
    [id] = await _register(api, account, "AC000002")
    after = (await api.call(account, "GET", f"/changes?after={page['cursor']}")).body
    assert [change["shipment_id"] for change in after["changes"]] == [id]


async def test_a_wait_ends_with_the_first_change(api: Api, account: str) -> None:
    cursor = (await api.call(account, "GET", "/changes?after=now")).body["cursor"]
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(api.call(account, "GET", f"/changes?after={cursor}&wait=20"))
        await asyncio.sleep(0.2)
        group.create_task(_register(api, account, "AC000001"))
    assert len(waiting.result().body["changes"]) == 1
    assert 0.2 <= time.monotonic() - started < 5


async def test_a_wait_for_nothing_ends_in_time(api: Api, account: str) -> None:
    started = time.monotonic()
    page = (await api.call(account, "GET", "/changes?after=now&wait=0.3")).body
    assert page["changes"] == []
    assert 0.3 <= time.monotonic() - started < 3


async def test_a_cursor_from_before_what_is_kept_says_how_to_catch_up(api: Api, account: str) -> None:
    store: Any = api.services.store
    first = (await api.call(account, "GET", "/changes?after=now")).body["cursor"]
    await _register(api, account, *(f"AC0000{n:02}" for n in range(10)))
    for shard in range(store.shards):
        cursor, entries = await store.unfanned(shard)
        if entries:
            assert (await store.fan_out(shard, cursor, entries[-1].position, [])).moved
    assert await store.trim_feed(keep_ms=0, keep_entries=0) > 0
    answer = await api.call(account, "GET", f"/changes?after={first}")
    assert answer.status == 410
    resync = answer.body["resync"]
    assert resync["list"] == "/v1/shipments"
    [id] = await _register(api, account, "AC000099")
    page = (await api.call(account, "GET", f"/changes?after={resync['cursor']}")).body
    assert [change["shipment_id"] for change in page["changes"]] == [id]
