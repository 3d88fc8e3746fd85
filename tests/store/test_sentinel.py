"""Sentinels name the primary; when a replica takes over, the store follows and its epoch goes up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.ports import free_ports
from tracker.store import Store, StoreSettings, open_store
from tracker.store.connect import ask, hang_up, open_connection, sentinel_of
from tracker.store.embedded import server_binary
from tracker.store.types import CursorTooOld, StoreDown

from .goods import register
from .topologies import FAILOVER_S, steady

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def spawn(directory: Path, *words: str) -> subprocess.Popen[bytes]:
    directory.mkdir()
    command = [str(server_binary()), *words]
    return subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, start_new_session=True)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[list[subprocess.Popen[bytes]], str]]:
    """A primary, its replica and a sentinel; the primary waits for its replica. The processes and the store's url."""
    primary, replica, sentinel = free_ports(3)
    common = ("--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "")
    waits = ("--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0")
    processes = [
        spawn(tmp_path / "a", "--port", str(primary), *common, *waits),
        spawn(tmp_path / "b", "--port", str(replica), *common, "--replicaof", "127.0.0.1", str(primary)),
    ]
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"port {sentinel}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary} 1\n"
        "sentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 2000\n"
    )
    processes.append(spawn(tmp_path / "s", str(config), "--sentinel"))
    url = f"redis+sentinel://127.0.0.1:{sentinel}/main"
    try:
        asyncio.run(steady(*sentinel_of(url)[0]))
        yield processes, url
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.asynccontextmanager
async def opened(url: str, directory: Path) -> AsyncIterator[Store]:
    """The store once its primary takes writes, which it does when its replica is there."""
    async with asyncio.timeout(FAILOVER_S) as opening:
        while True:
            try:
                async with open_store(StoreSettings(directory=directory, url=url), patience=1.0) as store:
                    opening.reschedule(None)
                    yield store
                    return
            except StoreDown:
                await asyncio.sleep(0.2)


async def replica_known(url: str) -> None:
    """Return once the sentinel, which looks every second, knows that there is a replica to take over."""
    (sentinel,), _, name = sentinel_of(url)
    connection = await open_connection(sentinel)
    try:
        async with asyncio.timeout(FAILOVER_S):
            while True:
                if await ask(connection, "SENTINEL", "REPLICAS", name):
                    return
                await asyncio.sleep(0.2)
    finally:
        await hang_up(connection)


async def test_a_replica_that_takes_over_has_what_was_acknowledged(
    servers: tuple[list[subprocess.Popen[bytes]], str], tmp_path: Path
) -> None:
    """Cursors from before the failover are too old: some change that a reader saw might be lost."""
    processes, url = servers
    async with opened(url, tmp_path) as store:
        id = await register(store, "acme", "W1")
        cursor, epoch = await store.head(), store.epoch
        await replica_known(url)
        processes[0].kill()
        async with asyncio.timeout(FAILOVER_S):
            while store.epoch == epoch:
                with contextlib.suppress(StoreDown):
                    assert await store.find("acme", ["W1"]) == [id]
                await asyncio.sleep(0.1)
        with pytest.raises(CursorTooOld):
            await store.changes("acme", cursor)
        assert await register(store, "acme", "W2")
