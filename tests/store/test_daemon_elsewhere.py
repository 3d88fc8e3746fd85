"""`milepost serve` on stores that are not embedded: a failover under load, and TLS, with the ledgers of both ends."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.conftest import settings
from tests.faults.daemon import Daemon
from tests.faults.drill import Drill, begin
from tests.faults.receiver import Receiver
from tests.ports import free_ports
from tests.store.topologies import DURABLE, Authority, Process, over_tls, watched

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def drilled(drill: Drill, *, at_half: asyncio.Task[None] | None = None) -> None:
    """Everything is acknowledged in the end, and stands where it should."""
    await asyncio.wait_for(drill.carrier.run(), 150)
    if at_half:
        await at_half
    assert (await drill.examined()).wrong == {}


async def test_a_failover_under_load_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver
) -> None:
    """The primary is killed when half of the scans are acknowledged; pushes get 503 until the other takes writes."""
    with watched(tmp_path / "watched") as topology:
        await topology.ready()
        async with Daemon(tmp_path / "data", settings=settings(receiver) | {"store.url": topology.url}) as daemon:
            drill = await begin(request.node.name, daemon, receiver, parcels=60)

            async def fail_over() -> None:
                await drill.acknowledged(0.5)
                await topology.killed()

            await drilled(drill, at_half=asyncio.create_task(fail_over()))
            assert drill.carrier.ledger.longest_silence_s > 0.4  # it was felt


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no server that speaks TLS: install redis-server")
async def test_a_store_behind_tls_does_its_work(
    request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver
) -> None:
    authority, [port] = Authority(tmp_path / "authority"), free_ports(1)
    binary = Path(str(shutil.which("redis-server")))
    server = Process(tmp_path / "server", binary, *DURABLE, *over_tls(authority, port))
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority.file}"
    try:
        async with Daemon(tmp_path / "data", settings=settings(receiver) | {"store.url": url}) as daemon:
            await drilled(await begin(request.node.name, daemon, receiver))
    finally:
        server.kill()
