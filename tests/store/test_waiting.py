"""What waits for a replica, and what a flush pays that writes nothing: counted by the server itself."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.ports import free_ports
from tracker.store import Store, StoreSettings, open_store
from tracker.store.connect import hang_up, info, open_connection, server_of
from tracker.store.embedded import server_binary
from tracker.store.types import Stored, StoreDown

from .goods import creation, register
from .topologies import DURABLE, Process, asked

pytestmark = pytest.mark.cluster


class Pair(Struct, frozen=True):
    """A primary and its replica."""

    port: int
    replica: Process
    url: str

    async def ask(self, *words: object) -> Any:
        return await asked(server_of(f"redis://127.0.0.1:{self.port}"), *words)

    async def told(self, section: str) -> dict[str, str]:
        """One section of what the primary says of itself."""
        connection = await open_connection(server_of(f"redis://127.0.0.1:{self.port}"))
        try:
            return await info(connection, section)
        finally:
            await hang_up(connection)

    async def waits(self) -> int:
        """How often it was asked to wait for its replica."""
        stats = (await self.told("commandstats")).get("cmdstat_wait", "calls=0,")
        return int(stats.partition("calls=")[2].partition(",")[0])

    async def logged(self) -> int:
        """The bytes of its log: what adds none costs no fsync."""
        return int((await self.told("persistence"))["aof_current_size"])

    async def in_step(self, *, replicas: int = 1) -> None:
        """Return once so many replicas are there and in time."""
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(Exception):  # not listening yet
                    said = await self.told("replication")
                    if int(said.get("min_slaves_good_slaves", "0")) == replicas:
                        return
                await asyncio.sleep(0.1)


@pytest.fixture(params=["server", "cluster"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """As one server with a replica, or as a cluster of one primary and its replica."""
    one, two = free_ports(2)
    cluster = request.param == "cluster"
    words = [*DURABLE, "--repl-diskless-sync-delay", "0", "--min-replicas-to-write", "1"]
    if cluster:
        words += ["--cluster-enabled", "yes", "--cluster-node-timeout", "60000"]
    follows = [] if cluster else ["--replicaof", "127.0.0.1", str(one)]
    servers = [
        Process(tmp_path / "one", server_binary(), "--port", str(one), *words),
        Process(tmp_path / "two", server_binary(), "--port", str(two), *words, *follows),
    ]
    found = Pair(one, servers[1], f"redis{'+cluster' if cluster else ''}://127.0.0.1:{one}")
    try:
        if cluster:
            asyncio.run(_joined(found, two))
        asyncio.run(found.in_step())
        yield found
    finally:
        for server in servers:
            server.kill()


async def _joined(pair: Pair, replica: int) -> None:
    """All slots on the one, followed by the other."""
    other = server_of(f"redis://127.0.0.1:{replica}")
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(Exception):  # not listening yet, or slots that are its own by now
                await pair.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            with contextlib.suppress(Exception):
                await asked(other, "CLUSTER", "MEET", "127.0.0.1", pair.port)
                await asked(other, "CLUSTER", "REPLICATE", await pair.ask("CLUSTER", "MYID"))
                break
            await asyncio.sleep(0.1)
        while (await pair.told("replication"))["connected_slaves"] == "0" or b"cluster_state:ok" not in (
            await pair.ask("CLUSTER", "INFO")
        ):
            await asyncio.sleep(0.1)


@pytest.fixture
async def store(pair: Pair, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(StoreSettings(directory=tmp_path, url=pair.url)) as opened:
        yield opened


async def test_looks_for_work_wait_for_no_replica_and_reads_grow_no_log(store: Store, pair: Pair) -> None:
    """A write that such a look leads to waits, and what is told to somebody; neither read costs an fsync."""
    id = await register(store, "acme", "W1")
    waits, logged = await pair.waits(), await pair.logged()
    for n in range(10):
        assert await store.claim_due(f"c{n}", limit=9, lease_ms=60_000) == []
        assert await store.claim_lanes(f"c{n}", free={}, default_free=9, limit=9, lease_ms=60_000) == []
        await store.learn_time()
    assert (await pair.waits(), await pair.logged()) == (waits, logged)
    for _ in range(10):
        assert (await store.read([id]))[0]
    assert (await pair.waits(), await pair.logged()) == (waits + 10, logged)
    await store.put_record("key", "acme", "k1", b"value")
    assert await pair.waits() == waits + 11
    assert await pair.logged() > logged


async def test_a_store_whose_replica_comes_late_is_waited_for(pair: Pair, tmp_path: Path) -> None:
    """Whoever starts with it would end at once, and be started again and again until the replica is there."""
    pair.replica.kill()
    await pair.in_step(replicas=0)

    async def opened() -> str:
        async with open_store(StoreSettings(directory=tmp_path, url=pair.url), patience=60) as store:
            return await register(store, "acme", "W1")

    with pytest.raises(StoreDown, match="Not enough good replicas"):
        async with open_store(StoreSettings(directory=tmp_path, url=pair.url), patience=0.3):
            raise AssertionError("it opened without its replica")
    opening = asyncio.create_task(opened())
    await asyncio.sleep(0.5)
    assert not opening.done()
    pair.replica.start()
    assert await opening


@pytest.mark.parametrize("pair", ["cluster"], indirect=True)
async def test_what_no_replica_has_is_told_to_nobody_though_the_fence_is_refused(
    store: Store, pair: Pair, tmp_path: Path
) -> None:
    """The replica is away for so long that the primary refuses writes, and with them what `WAIT` would count from."""
    write = creation(store, "acme", "W1")
    async with open_store(StoreSettings(directory=tmp_path, url=pair.url)) as other:
        pair.replica.signal(signal.SIGSTOP)
        try:
            writing = asyncio.create_task(store.commit(write))
            while (await pair.told("clients"))["blocked_clients"] == "0":  # it was taken, and waits for the replica
                await asyncio.sleep(0.01)
            await pair.ask("CONFIG", "SET", "min-replicas-max-lag", 1)
            await pair.in_step(replicas=0)
            with pytest.raises(StoreDown, match="replicas have it"):
                await writing
            with pytest.raises(StoreDown, match="replicas have it"):
                await other.read([write.id])
        finally:
            pair.replica.signal(signal.SIGCONT)
            await pair.ask("CONFIG", "SET", "min-replicas-max-lag", 10)
        await pair.in_step()
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(StoreDown):
                    assert await other.read([write.id]) == [Stored(1, 1, write.document)]
                    break
