"""A deleted account leaves its tombstone, and nothing else: every key and value of the real store is read for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpClient

from tracker.api import mount
from tracker.departures import GRACE_S, Departures
from tracker.store import Store
from tracker.store.types import Gone, Sighting

from .everything import one_of_everything
from .world import NOW, Api, opened

LATE = NOW + round(GRACE_S * 1000) + 1


@pytest.fixture
async def api(store: Store, tmp_path: Path, aiohttp_client: AiohttpClient) -> AsyncIterator[Api]:
    async with opened(store, tmp_path) as services:
        root = web.Application()
        mount(root, services)
        api = Api(await aiohttp_client(root), services)
        await services.accounts.first_start(now=NOW)
        yield api


async def everything_in(store: Store) -> AsyncIterator[tuple[bytes, bytes]]:
    """Every key of the store with all that lies under it, but for the answers to claims, which lapse by themselves."""
    [server] = store.wire.primaries()
    for key in await server.send(b"KEYS", b"*"):
        if b"}c:" not in key:
            yield key, await _value(server, key)


async def _value(server: Any, key: bytes) -> bytes:
    kind = (await server.send(b"TYPE", key)).decode()
    read = {
        "string": (b"GET", key),
        "hash": (b"HGETALL", key),
        "list": (b"LRANGE", key, b"0", b"-1"),
        "set": (b"SMEMBERS", key),
        "zset": (b"ZRANGE", key, b"0", b"-1"),
        "stream": (b"XRANGE", key, b"-", b"+"),
    }[kind]
    return b"\0".join(_flat(await server.send(*read)))


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()


async def contents(store: Store, account: str) -> dict[Any, bytes]:
    """What lies under the account's own keys, and its records."""
    own: dict[Any, bytes] = {key: value async for key, value in everything_in(store) if account.encode() in key}
    for kind in await store.record_kinds():
        own |= {(kind, *name): value for name, value in (await store.records(kind, account)).items()}
    return own


async def filled(api: Api, account: str, number: int) -> list[bytes]:
    """One of everything in the account, and the marks by which it would be known again."""
    store = api.store
    names = await one_of_everything(api, account, number)
    await store.park(account, f"PARKED{number}", b"parked-scan-%d" % number, now_ms=NOW, limit=5, ttl_ms=600_000)
    await store.note(
        account, [Sighting("acme", "code", f"ZZZ{number}", 1, NOW, NOW, "words", names["shipment"])], limit=9
    )
    for owner in (names["connection"], names["order store"], f"console {names['key']}"):
        await store.mark(account, owner, b"once", life_ms=600_000)
    locals_ = [store.keys.split(names["shipment"])[1]]
    marks = [
        names[kind] for kind in ("account", "subscription", "connection", "order store", "key", "waybill", "order")
    ]
    return [*[mark.encode() for mark in marks], b"parked-scan-%d" % number, b"ZZZ%d" % number, *locals_]


def is_tombstone(store: Store, key: bytes) -> bool:
    return key.endswith(b"}t") and key in (*store.keys.tombs, b"{milepost}t")


async def left_of(store: Store, marks: list[bytes]) -> dict[bytes, bytes]:
    """What is left of an account beside its tombstone."""
    found = {}
    async for key, value in everything_in(store):
        said = value.replace(b"a:" + marks[0], b"") if is_tombstone(store, key) else value
        if any(mark in key + b"\0" + said for mark in marks):
            found[key] = value
    return found


def files_with(directory: Path, marks: list[bytes]) -> dict[str, list[bytes]]:
    """The order book's files that hold one of the marks."""
    files = [file for file in directory.iterdir() if file.is_file()]
    held = {file.name: [mark for mark in marks if mark in file.read_bytes()] for file in files}
    return {name: found for name, found in held.items() if found}


async def test_nothing_is_left_of_a_deleted_account_and_its_neighbour_has_all(
    api: Api, store: Store, tmp_path: Path
) -> None:
    gone, stays = await api.account("leaves-us"), await api.account("stays-here")
    marks, kept = await filled(api, gone, 71_001), await filled(api, stays, 82_002)
    before = await contents(store, stays)
    assert (await left_of(store, marks)).keys(), "the test sees what it looks for"
    orders = await api.call(stays, "GET", "/orders")
    feed = await api.call(stays, "GET", "/changes")

    assert (await api.call("default", "DELETE", f"/accounts/{gone}")).status == 204
    await api.services.departures.go_on(now=LATE * 2)

    assert await left_of(store, marks) == {}
    tombs = {key for key, _ in [one async for one in everything_in(store)] if is_tombstone(store, key)}
    assert tombs == {*store.keys.tombs, b"{milepost}t"}
    assert files_with(tmp_path, marks[:7]) == {}
    assert files_with(tmp_path, kept[:7]), "the test sees what it looks for"
    assert await contents(store, stays) == before
    assert await left_of(store, kept)
    assert (await api.call(stays, "GET", "/orders")).body == orders.body
    assert (await api.call(stays, "GET", "/changes")).body["changes"] == feed.body["changes"]
    after = await api.call(stays, "GET", "/changes", params={"after": feed.body["cursor"]})
    assert (after.status, after.body["changes"]) == (200, []), "a neighbour's cursor is as good as it was"


async def test_a_closed_account_is_heard_no_more_while_its_sweep_waits(api: Api, store: Store, account: str) -> None:
    services = api.services
    key = await api.key(account)
    await one_of_everything(api, account)
    await services.departures.close(account, now=NOW)
    refused = await api.raw("GET", "/shipments", headers={"Authorization": f"Bearer {key}"})
    assert refused.status == 401
    with pytest.raises(Gone):
        await store.park(account, "W", b"scan", now_ms=NOW, limit=5, ttl_ms=1000)
    assert account not in str((await api.call("default", "GET", "/accounts")).body)
    assert (await api.call("default", "DELETE", f"/accounts/{account}")).status == 204, "again: it is finished"


@pytest.mark.parametrize("steps", [1, 5, 40, 150, 400])
async def test_a_sweep_that_was_cut_off_is_finished_by_another_process(
    api: Api, store: Store, tmp_path: Path, account: str, steps: int
) -> None:
    """Cut off after so many commands, at whatever place that is."""
    marks = await filled(api, account, 71_001)
    await api.services.departures.close(account, now=NOW)
    here = asyncio.create_task(_stopped_after(steps, store, account))
    with contextlib.suppress(asyncio.CancelledError):
        await here
    there = Departures(store, [api.book])
    await there.go_on(now=NOW)
    await there.go_on(now=LATE)
    assert await left_of(store, marks) == {}
    assert await store.records("leaving") == {}


async def _stopped_after(steps: int, store: Store, account: str) -> None:
    task = asyncio.create_task(store.drop_account(account))
    [server] = store.wire.primaries()
    send, sent = server.send, 0

    def counted(*args: bytes, **how: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == steps:
            task.cancel()
        return send(*args, **how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(server, "send", counted)
        await task


async def test_what_was_under_way_when_it_was_closed_is_swept_after_it(api: Api, account: str, store: Store) -> None:
    """A row that a late delivery made goes with the second sweep, and only then is the account forgotten."""
    book = api.book
    said: list[str] = []
    leaving = Departures(store, [book], left=said.append)
    await leaving.close(account, now=NOW)
    await leaving.go_on(now=NOW)
    await api.services.orders.put(account, _order(), now=NOW)
    await leaving.go_on(now=NOW + 1000)
    assert await book.get(account, "LATE-1")
    assert said == []
    await leaving.go_on(now=LATE)
    assert await book.get(account, "LATE-1") is None
    assert said == [account]


def _order() -> Any:
    from tracker.orders import stated_from

    return stated_from("LATE-1", {})


async def test_a_thousand_pushes_beside_a_deletion_leave_nothing(api: Api, store: Store, account: str) -> None:
    """Registrations race with the sweep: each is taken in before it, or is refused."""
    headers = {"Authorization": f"Bearer {await api.key(account)}"}

    async def register(number: int) -> int:
        body = {"waybill": f"AC{number:06}", "carrier": "acme", "order_number": f"SO-{number}"}
        async with asyncio.timeout(60):
            return (await api.raw("POST", "/shipments", headers=headers, json=body)).status

    async with asyncio.TaskGroup() as group:
        pushes = [group.create_task(register(number)) for number in range(200)]
        await asyncio.sleep(0.05)
        deletion = group.create_task(api.call("default", "DELETE", f"/accounts/{account}"))
    assert deletion.result().status == 204
    assert {push.result() for push in pushes} <= {201, 401, 404}
    await api.services.departures.go_on(now=LATE * 2)
    assert await left_of(store, [account.encode()]) == {}


async def test_the_log_of_the_store_is_written_anew_once_an_account_has_left(api: Api, account: str) -> None:
    store = api.store
    [server] = store.wire.primaries()

    async def rewrites() -> int:
        text = (await server.send(b"INFO", b"commandstats")).decode()
        return int(text.partition("cmdstat_bgrewriteaof:calls=")[2].partition(",")[0] or 0)

    before = await rewrites()
    assert (await api.call("default", "DELETE", f"/accounts/{account}")).status == 204
    assert await rewrites() == before
    await api.services.departures.go_on(now=LATE * 2)
    assert await rewrites() == before + 1
