"""A key that does not fit is told at the start, by its setting; a new one seals anew, and the old one may go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.pipeline.daemon import running
from tracker.api import Services, mount
from tracker.cli.doctor import examine
from tracker.config.loading import load
from tracker.connections.kept import Connections
from tracker.errors import ConfigError
from tracker.seals import SEALED, renew, verify
from tracker.secrets import Sealer, new_key
from tracker.store import Store
from tracker.store.types import StoreDown
from webhooks.subscription import from_record, secrets_of

from .everything import one_of_everything
from .world import Api, opened

OLD, NEW = new_key(), new_key()


@asynccontextmanager
async def everything_sealed(store: Store, directory: Path, aiohttp_client: Any) -> AsyncIterator[Services]:
    """One of everything, sealed under the old key, and who has it open."""
    async with opened(store, directory, key=OLD) as services:
        root = web.Application()
        mount(root, services)
        api = Api(await aiohttp_client(root), services)
        await one_of_everything(api, await api.account())
        yield services


async def test_the_wrong_key_ends_the_start_with_a_sentence_that_names_the_setting(
    store: Store, store_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with running(tmp_path / "a", store=store_server.url, **{"secrets.key": OLD}):
        pass
    with pytest.raises(
        ConfigError, match=rf"^secrets\.key: .*1 under '{Sealer([OLD]).keys[0]}'.*behind the current one"
    ):
        async with running(tmp_path / "b", store=store_server.url, **{"secrets.key": NEW}):
            pass


async def test_what_the_old_key_sealed_is_sealed_anew_and_the_old_one_may_go(
    store: Store, tmp_path: Path, aiohttp_client: Any
) -> None:
    async with everything_sealed(store, tmp_path, aiohttp_client):
        pass
    kept = {kind: await store.records(kind) for kind in SEALED}
    assert all(kept.values()), "the test sees one of each kind"
    both = Sealer([NEW, OLD])
    assert await renew(store, both) == sum(map(len, kept.values()))
    assert await renew(store, both) == 0
    await verify(store, Sealer([NEW]))
    with pytest.raises(ConfigError, match=r"secrets\.key"):
        await verify(store, Sealer([OLD]))
    [value] = (await store.records("subscription")).values()
    assert secrets_of(from_record("x", value), Sealer([NEW]))[0].startswith("whsec_")


async def test_what_another_daemon_sealed_under_a_key_that_comes_yet_is_not_taken_for_gone(
    store: Store, tmp_path: Path, aiohttp_client: Any
) -> None:
    """A push gets 503 and comes again, and what an order store is to be told waits: neither is dropped."""
    async with everything_sealed(store, tmp_path, aiohttp_client) as services:
        connections, order_stores = services.connections, services.order_stores
        assert isinstance(connections, Connections)
        await renew(store, Sealer([NEW, OLD]))
        await connections.refresh()
        await order_stores.everybody()
        for kind, find in (("connection", connections.find), ("order_store", order_stores.find)):
            [(_, id)] = await store.records(kind)
            with pytest.raises(StoreDown, match=rf"{id} can't be opened: check secrets.key"):
                await find(id)
        assert await connections.find("con_never") is None


async def test_what_a_lost_key_sealed_is_named_and_removed_and_nothing_else(
    store: Store, store_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    async with running(tmp_path / "a", store=store_server.url, **{"secrets.key": OLD}):
        pass
    said = {"data": str(tmp_path / "b"), "store.url": store_server.url, "secrets.key": NEW, "http.port": "0"}
    wanted = load(env={}, flags=said)
    before = {kind: set(await store.records(kind)) for kind in SEALED}
    assert await examine(wanted) == 1
    assert "milepost doctor --forget-sealed" in capsys.readouterr().out
    assert {kind: set(await store.records(kind)) for kind in SEALED} == before
    keys = await store.records("key")
    assert await examine(wanted, forget_sealed=True) == 0
    told = capsys.readouterr().out
    assert [await store.records(kind) for kind in SEALED] == [{}, {}, {}] and await store.records("key") == keys
    assert all(f"{id} of {account}" in told for found in before.values() for account, id in found)


async def test_what_changes_while_it_is_sealed_anew_keeps_its_change(store: Store) -> None:
    await store.put_record("connection", "acme", "con_1", b"first")
    assert not await store.replace_record("connection", "acme", "con_1", b"third", seen=b"second")
    assert await store.get_record("connection", "acme", "con_1") == b"first"
    assert await store.replace_record("connection", "acme", "con_1", b"second", seen=b"first")


async def test_a_record_that_is_no_json_ends_no_start(store: Store) -> None:
    """Whoever reads it leaves it out and says so; the others go on."""
    await store.put_record("subscription", "acme", "sub_1", b"\xff")
    await verify(store, Sealer([NEW]))
    assert await renew(store, Sealer([NEW])) == 0
