"""The feed by cursor: no gap, no wait where there is something, and a way back from a cursor that is too old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from tests.store.goods import register
from tests.store.test_tips import net, reads
from tracker.api import changes
from tracker.cli.tail import Message, read

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
    assert 0.2 <= time.monotonic() - started < 15


async def test_a_wait_for_nothing_ends_in_time(api: Api, account: str) -> None:
    started = time.monotonic()
    page = (await api.call(account, "GET", "/changes?after=now&wait=0.3")).body
    assert page["changes"] == []
    assert 0.3 <= time.monotonic() - started < 15


async def test_a_cursor_from_before_what_is_kept_says_how_to_catch_up(api: Api, account: str) -> None:
    store = api.store
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


async def test_those_who_wait_ask_the_store_nothing_for_what_others_do(api: Api, account: str) -> None:
    """A poll that waits and a stream, beside another account that is busy; then one commit of theirs reaches both."""
    store = api.store
    stream = _events(api, account, "/changes?after=now")
    with net(60):
        async with asyncio.timeout(60), aclosing(stream), asyncio.TaskGroup() as group:
            start = await anext(stream)
            path = f"/changes?after={start.data['cursor']}&wait=20"
            polls = [group.create_task(api.call(account, "GET", path)) for _ in range(8)]
            await asyncio.sleep(0.3)
            before = await reads(store)
            for n in range(20):
                await register(store, "another", f"AC0000{n:02}")
            await asyncio.sleep(0.3)
            assert await reads(store) == before
            id = await register(store, account, "AC000001")
            assert (await anext(stream)).data["shipment_id"] == id
            for poll in polls:
                assert [change["shipment_id"] for change in (await poll).body["changes"]] == [id]
            assert await reads(store) == before + 1, "one look for all of them"


# ---------------------------------------------------------------- the tally


async def test_the_tally_grows_by_what_a_reader_must_have_got(api: Api, account: str) -> None:
    before = (await api.call(account, "GET", "/changes?after=now")).body
    ids = await _register(api, account, *(f"AC0001{n:02}" for n in range(12)))
    await _register(api, await api.account(), "AC000001")  # another account's counts for nothing
    for id in ids[:5]:
        await api.call(account, "PATCH", f"/shipments/{id}", json={"shop": "b"})
    seen, page = 0, before
    while page["more"] or page is before:
        page = (await api.call(account, "GET", f"/changes?limit=3&after={page['cursor']}")).body
        seen += len(page["changes"])
        assert page["tally"] - before["tally"] == seen
        assert page["tally"] - page["tally_before"] == len(page["changes"])
    assert seen == 17


async def test_the_tally_outlives_what_is_trimmed(api: Api, account: str) -> None:
    await _register(api, account, *(f"AC0002{n:02}" for n in range(9)))
    store = api.store
    before = (await api.call(account, "GET", "/changes?after=now")).body
    for shard in range(store.shards):
        cursor, entries = await store.unfanned(shard)
        if entries:
            await store.fan_out(shard, cursor, entries[-1].position, [])
    assert await store.trim_feed(keep_ms=-1_000, keep_entries=0) == 9
    assert (await api.call(account, "GET", "/changes?after=now")).body["tally"] == before["tally"] == 9
    await _register(api, account, "AC000299")
    assert (await api.call(account, "GET", f"/changes?after={before['cursor']}")).body["tally"] == 10


async def test_an_entry_that_was_taken_out_shows(api: Api, account: str) -> None:
    """The proof sees what it is for: somebody removed a change from the feed behind our back."""
    [id] = await _register(api, account, "AC000301")
    start = (await api.call(account, "GET", "/changes?after=now")).body
    await api.call(account, "PATCH", f"/shipments/{id}", json={"shop": "b"})
    await api.call(account, "PATCH", f"/shipments/{id}", json={"shop": "c"})
    store = api.store
    shard = store.shard_of_id(id)
    [(position, _)] = await store._plain(shard, b"XREVRANGE", store.keys.feed[shard], b"+", b"-", b"COUNT", b"1")
    await store._plain(shard, b"XDEL", store.keys.feed[shard], position)
    page = (await api.call(account, "GET", f"/changes?after={start['cursor']}")).body
    assert page["tally"] - start["tally"] == 2
    assert len(page["changes"]) == 1
    whole = (await api.call(account, "GET", "/changes")).body
    assert (whole["tally_before"], whole["tally"], len(whole["changes"])) == (0, 3, 2), "its first page proves itself"


# ---------------------------------------------------------------- the stream


async def _events(api: Api, account: str, path: str, **headers: str) -> AsyncGenerator[Message]:
    told = {"Authorization": f"Bearer {await api.key(account)}", "Accept": "text/event-stream", **headers}
    async with api.client.get("/v1" + path, headers=told) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        text = b""
        async for chunk in response.content.iter_any():
            *whole, text = (text + chunk).split(b"\n\n")
            for one in whole:
                for message in read(iter([*one.split(b"\n"), b""])):
                    yield message


async def test_a_stream_tells_changes_as_they_come_and_its_cursor_after_each_page(api: Api, account: str) -> None:
    stream = _events(api, account, "/changes?after=now&shipments=true")
    async with asyncio.timeout(60), aclosing(stream):
        start = await anext(stream)
        assert start.event == "cursor"
        [id] = await _register(api, account, "AC000401")
        change, cursor = await anext(stream), await anext(stream)
        assert (change.event, change.data["shipment_id"], change.data["revision"]) == ("shipment.registered", id, 1)
        assert change.data["shipment"]["waybill"] == "AC000401"
        assert cursor.data["tally"] == start.data["tally"] + 1
    page = (await api.call(account, "GET", f"/changes?after={cursor.data['cursor']}")).body
    assert page["changes"] == []


async def test_a_stream_goes_on_from_the_last_event_id(api: Api, account: str) -> None:
    await _register(api, account, "AC000402")
    stream = _events(api, account, "/changes")
    async with asyncio.timeout(60), aclosing(stream):
        events = [await anext(stream), await anext(stream)]
    assert [event.event for event in events] == ["shipment.registered", "cursor"]
    [id] = await _register(api, account, "AC000403")
    again = _events(api, account, "/changes", **{"Last-Event-ID": events[-1].data["cursor"]})
    async with asyncio.timeout(60), aclosing(again):
        assert (await anext(again)).data["shipment_id"] == id


async def test_a_stream_from_a_cursor_that_is_none_or_too_old_is_refused_as_a_page_is(api: Api, account: str) -> None:
    accept = {"Accept": "text/event-stream"}
    assert (await api.call(account, "GET", "/changes?after=nonsense", headers=accept)).status == 422


async def test_a_stream_of_a_key_that_was_revoked_ends(api: Api, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_KEY_AGAIN_S", 0.05)
    made = await api.call(account, "POST", "/keys", json={"scopes": ["read"]})
    stream = _events(api, account, "/changes?after=now", Authorization=f"Bearer {made.body['key']}")
    async with asyncio.timeout(60), aclosing(stream):
        assert (await anext(stream)).event == "cursor"
        await api.call(account, "DELETE", f"/keys/{made.body['id']}")
        assert [event async for event in stream] == []


async def test_an_account_has_so_many_streams_and_no_more(
    api: Api, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_READERS_MOST", 1)
    stream = _events(api, account, "/changes?after=now")
    async with asyncio.timeout(60), aclosing(stream):
        await anext(stream)
        answer = await api.call(account, "GET", "/changes", headers={"Accept": "text/event-stream"})
        assert (answer.status, answer.body["detail"]) == (429, "1 readers of this account wait already: let one go")
        assert (await api.call(account, "GET", "/changes?wait=1")).status == 429
        assert (await api.call(account, "GET", "/changes")).status == 200


async def test_a_quiet_stream_says_now_and_then_that_it_is_there(
    api: Api, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_HEARTBEAT_S", 0.05)
    headers = {"Authorization": f"Bearer {await api.key(account)}", "Accept": "text/event-stream"}
    async with asyncio.timeout(60), api.client.get("/v1/changes?after=now", headers=headers) as response:
        async for line in response.content:
            if line == b": nothing new\n":
                break
        else:
            pytest.fail("the stream ended without a word")
