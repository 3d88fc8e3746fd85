"""An account that is being deleted when the daemon is killed is deleted by the next one, to the last key."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from tests.api.test_departures import everything_in, files_with, is_tombstone
from tests.faults.daemon import Daemon, Tenant, tenant, until
from tracker.orders import OrderSettings, open_book
from tracker.store import EmbeddedServer, Store, StoreSettings, open_store

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

NAME = "leaves-under-load"
PARCELS = 6_000


async def fill(account: Tenant, first: int, count: int, order: str = NAME) -> None:
    for start in range(first, first + count, 1_000):
        wanted = [
            {"waybill": f"YT8{number:012}", "carrier": "yto", "order_number": f"{order}-{number}"}
            for number in range(start, start + 1_000)
        ]
        await account.call("POST", "/v1/shipments", {"shipments": wanted})


@pytest.mark.parametrize("after_s", [0.02, 0.3, 0.8])
async def test_a_daemon_killed_in_the_midst_of_a_deletion_ends_it_after_its_next_start(
    daemon: Daemon, after_s: float
) -> None:
    await daemon.start()
    leaves, stays = await tenant(daemon, NAME), await tenant(daemon, "stays")
    await fill(leaves, 0, PARCELS)
    await fill(stays, 0, 1_000, "SO")
    deletion = asyncio.create_task(daemon.call("DELETE", f"/v1/accounts/{NAME}"))
    late = asyncio.create_task(fill(leaves, PARCELS, 3_000))
    await asyncio.sleep(after_s)
    await daemon.kill()
    with contextlib.suppress(aiohttp.ClientError, AssertionError):
        await deletion
    with contextlib.suppress(aiohttp.ClientError, AssertionError):
        await late
    await daemon.start()
    if deletion.exception() and NAME in str(await daemon.call("GET", "/v1/accounts")):
        await daemon.call("DELETE", f"/v1/accounts/{NAME}")  # it was killed before it heard of it
    await until(lambda: daemon.log.count("account_swept"), within=60, what="the sweep")
    assert len((await stays.call("GET", "/v1/shipments", limit="200"))["shipments"]) == 200
    assert await daemon.end() == 0
    with EmbeddedServer(daemon.directory / "store") as server:
        await server.ready()
        async with open_store(StoreSettings(directory=server.directory, url=server.url)) as store:
            assert await named(store) == {b"{milepost}r:leaving", store.keys.trail("default")[1]}
    async with open_book(OrderSettings(directory=daemon.directory)) as book:
        assert sum((await book.counts(NAME)).values()) == 0
        await book.compact()
    assert files_with(daemon.directory, [NAME.encode()]) == {}


async def named(store: Store) -> set[bytes]:
    """Keys other than tombstones that tell of the account: until two minutes are over, the note that it leaves."""
    found = [one async for one in everything_in(store)]
    return {key for key, value in found if NAME.encode() in key + value and not is_tombstone(store, key)}
