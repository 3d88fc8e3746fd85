"""A server that is the primary no more is left for the one that is; replicas that nothing waits for are told of."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.store.goods import register
from tests.store.topologies import DURABLE, Process, asked
from tracker.cli.doctor import examine
from tracker.config.loading import load
from tracker.store import StoreSettings, open_store
from tracker.store.connect import server_of
from tracker.store.embedded import server_binary
from tracker.store.types import StoreDown


async def until_known(url: str) -> None:
    """Return once the server answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                await asked(server_of(url), "PING")
                return
            except Exception:  # not listening yet
                await asyncio.sleep(0.02)


async def test_a_primary_that_was_made_a_replica_is_asked_no_more(tmp_path: Path) -> None:
    """A write that it refuses as a replica ends the connection; reads that would be stale then fail too."""
    [port] = free_ports(1)
    url = f"redis://127.0.0.1:{port}"
    process = Process(tmp_path / "server", server_binary(), "--port", str(port), *DURABLE)
    try:
        await until_known(url)
        async with open_store(StoreSettings(directory=tmp_path, url=url), patience=0.3) as store:
            id = await register(store, "acme", "W1")
            await asked(server_of(url), "REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(StoreDown):
                await register(store, "acme", "W2")
            with pytest.raises(StoreDown):
                await store.find("acme", ["W1"])
            await asked(server_of(url), "REPLICAOF", "NO", "ONE")
            async with asyncio.timeout(60):
                while True:
                    try:
                        assert await store.find("acme", ["W1"]) == [id]
                        return
                    except StoreDown:
                        await asyncio.sleep(0.05)
    finally:
        process.kill()


async def test_the_doctor_tells_of_replicas_that_nothing_waits_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that takes over might lack what was acknowledged; the line says what to set."""
    one, two = free_ports(2)
    url = f"redis://127.0.0.1:{one}"
    settings = load(env={}, flags={"data": str(tmp_path / "data"), "store.url": url, "http.port": "0"})
    servers = [Process(tmp_path / "one", server_binary(), "--port", str(one), *DURABLE)]
    try:
        await until_known(url)
        await examine(settings)
        assert "ok     store: answers" in capsys.readouterr().out
        follows = ("--replicaof", "127.0.0.1", str(one))
        servers.append(Process(tmp_path / "two", server_binary(), "--port", str(two), *DURABLE, *follows))
        async with asyncio.timeout(60):
            while b"connected_slaves:1" not in await asked(server_of(url), "INFO", "replication"):
                await asyncio.sleep(0.02)
        assert await examine(settings) == 1
        said = capsys.readouterr().out
        assert "WRONG  store: store.url: it has replicas" in said
        assert "set min-replicas-to-write 1 there" in said
    finally:
        for server in servers:
            server.kill()
