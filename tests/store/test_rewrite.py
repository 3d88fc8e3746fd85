"""A server that is killed while it rewrites its log leaves a process that writes on, for nobody, and what it wrote."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis

from tracker.store import EmbeddedServer, StoreSettings, open_store

from .goods import register

IN_TIME_S = 20.0  # the rewrite takes forty


def half_written(directory: Path) -> list[Path]:
    """What a rewrite has written so far."""
    return [*directory.glob("temp-*")]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """It is rewriting its log, ten milliseconds a key."""
    with EmbeddedServer(tmp_path) as server:
        await server.ready()
        async with open_store(StoreSettings(directory=tmp_path / "elsewhere", url=server.url)) as store:
            for place in range(100):
                await register(store, "acme", f"W{place}")
        with Redis(unix_socket_path=str(server.socket)) as asked:
            asked.config_set("rdb-key-save-delay", "50000")
            asked.bgrewriteaof()
            while not half_written(tmp_path):
                pass
        yield server


async def found(directory: Path, server: EmbeddedServer) -> list[str | None]:
    async with open_store(StoreSettings(directory=directory, url=server.url)) as store:
        return await store.find("acme", ["W0", "W99"])


async def started_again(keeper: EmbeddedServer, began: float, directory: Path) -> None:
    """It supervises, and everything is there in time; nothing is left of what was half rewritten."""
    supervising = asyncio.create_task(keeper.supervise())
    assert None not in await found(directory / "elsewhere", keeper)
    assert time.monotonic() - began < IN_TIME_S
    supervising.cancel()
    assert not half_written(directory)


@pytest.mark.timeout(90)
async def test_a_daemon_starts_another_at_once(server: EmbeddedServer, tmp_path: Path) -> None:
    """Not only when the rewrite is done; and what was half rewritten is gone, it is as large as the store."""
    os.kill(server.pid, signal.SIGKILL)
    await started_again(server, time.monotonic(), tmp_path)


@pytest.mark.timeout(90)
async def test_a_daemon_that_adopted_it_does_too(server: EmbeddedServer, tmp_path: Path) -> None:
    """It is nobody's child that it could wait for."""
    server.abandon()
    with EmbeddedServer(tmp_path) as adopter:
        await adopter.ready()
        assert adopter.adopted
        os.kill(adopter.pid, signal.SIGKILL)
        server.reap()
        await started_again(adopter, time.monotonic(), tmp_path)


@pytest.mark.timeout(90)
async def test_the_next_daemon_starts_another_at_once(server: EmbeddedServer, tmp_path: Path) -> None:
    """Both were killed: what holds the lock is no server."""
    pid = server.pid
    server.abandon()
    os.kill(pid, signal.SIGKILL)
    server.reap()
    began = time.monotonic()
    with EmbeddedServer(tmp_path) as heir:
        await heir.ready()
        assert not heir.adopted
        assert time.monotonic() - began < IN_TIME_S
        assert None not in await found(tmp_path / "elsewhere", heir)
        assert not half_written(tmp_path)
