"""Somebody emptied the server: it answers, and nothing that it says is true of the store any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tracker.errors import ConfigError
from tracker.store import EmbeddedServer, Store, StoreSettings, open_store
from tracker.store.connect import ask, hang_up, open_connection, server_of
from tracker.store.flush import Emptied
from tracker.store.types import StoreDown

from .goods import creation, register


async def told(url: str, *words: str | bytes) -> object:
    """One command to the server, past the store."""
    connection = await open_connection(server_of(url))
    try:
        return await ask(connection, *words)
    finally:
        await hang_up(connection)


@pytest.fixture(autouse=True)
async def emptied_for_good(store_server: EmbeddedServer) -> AsyncIterator[None]:
    """Half of a store is none that others could open."""
    yield
    await told(store_server.url, "FLUSHALL")


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB ASYNC"])
async def test_what_goes_out_together_with_the_mistake_is_not_answered_either(store: Store, command: str) -> None:
    """Calls before it and after it in one flush: a write that nothing has any more is not acknowledged."""
    id = await register(store, "acme", "W1")
    for number in ("W2", "W3"):
        before = [asyncio.ensure_future(store.read([id])), asyncio.ensure_future(store.quarantine("acme", b"body"))]
        await asyncio.sleep(0)  # they are queued, and not sent
        emptied = store.wire.control().send(*command.encode().split())
        after = [
            asyncio.ensure_future(store.commit(creation(store, "acme", number))),
            asyncio.ensure_future(store.find("acme", ["W1"])),
        ]
        answers = await asyncio.gather(*before, emptied, *after, return_exceptions=True)
        assert [type(one) for one in answers] == [Emptied] * 5, answers


async def test_nothing_is_read_or_written_until_what_it_held_is_back(store: Store) -> None:
    """Reads and writes fail alike, with words that say why."""
    id = await register(store, "acme", "W1")
    await told(store.url, "FLUSHALL")
    for _ in range(3):
        with pytest.raises(StoreDown, match="it was emptied"):
            await store.read([id])
        with pytest.raises(StoreDown, match="it was emptied"):
            await store.commit(creation(store, "acme", "W2"))
        with pytest.raises(StoreDown, match="it was emptied"):
            await store.ping()
    assert await told(store.url, "DBSIZE") in (0, 1)  # the commit that found it out, at most
    for shard in range(store.shards):
        await told(store.url, "SET", store.keys.id[shard], store.id)
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(StoreDown):
                assert await store.read([id]) == [None]
                break


async def test_an_empty_store_in_the_place_of_one_that_is_remembered_is_refused(
    store_server: EmbeddedServer, tmp_path: Path
) -> None:
    """And nothing is written into it; where it is meant, the file that remembers is removed."""
    remembered = tmp_path / "store.id"
    settings = StoreSettings(directory=tmp_path, url=store_server.url, remembered=remembered)
    await told(store_server.url, "FLUSHALL")
    for _ in range(2):
        async with open_store(settings) as store:
            id = store.id
        assert remembered.read_text() == f"{id}\n"
    await told(store_server.url, "FLUSHALL")
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"names .{id}. there is an empty one: was it emptied"):
            async with open_store(settings):
                pass
        assert await told(store_server.url, "DBSIZE") == 0
    remembered.unlink()
    async with open_store(settings) as store:
        assert store.id != id
    remembered.write_text("0123456789abcdef\n")
    with pytest.raises(ConfigError, match=f"there is another one .{store.id}.: was it emptied, or is it the wrong"):
        async with open_store(settings):
            pass
