"""The disk is full, for real: a small file system of the test's own, and somebody else's file takes what is left."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import RedisError

from tests.faults.conftest import LONG, PATIENCE_S, settings
from tests.faults.daemon import Daemon, until
from tests.faults.disk import Disk, mounted
from tests.faults.drill import Drill, begin
from tests.faults.receiver import Receiver

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
GIB = 1 << 30  # what the daemon wants free beside a small log
ROUNDS = 10 if LONG else 3


@pytest.fixture(params=["tmpfs", "ext4"] if LONG else ["tmpfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Room for the data directory, and it is the data directory: the daemon's own log lies elsewhere."""
    with mounted(tmp_path / "data", GIB + (128 << 20), request.param) as disk:
        yield disk


@pytest.fixture
async def daemon(disk: Disk, receiver: Receiver) -> AsyncIterator[Daemon]:
    async with Daemon(disk.path, settings=settings(receiver)) as daemon:
        yield daemon


async def waits_for(daemon: Daemon, what: str) -> None:
    """Wait until readiness says that it waits for that."""

    async def said() -> bool:
        status, told = await daemon.readiness(patience=3)
        return status == 503 and any(what in why for why in told["waiting_for"])

    await until(said, within=60, what=f"readiness that says {what!r}", every=0.1)


def write_past_the_door(daemon: Daemon) -> None:
    """Make the server write to the full disk, which ends it: the door may have closed before any push could."""
    with pytest.raises(RedisError):
        daemon.ask_server("SET", "written past the door", "x" * (64 << 10))


async def goes_on(drill: Drill) -> None:
    """Wait until thirty more scans have their 2xx, or all."""
    ledger = drill.carrier.ledger
    wanted = min(len(ledger.acknowledged) + 30, drill.carrier.wanted)
    await until(lambda: len(ledger.acknowledged) >= wanted, within=60, what="progress")


async def test_the_door_closes_before_the_load_has_filled_the_disk(
    request: pytest.FixtureRequest, daemon: Daemon, disk: Disk, receiver: Receiver
) -> None:
    """Below what is wanted beside the log, pushes get 503 and readiness says why; what is there is delivered."""
    drill = await begin(request.node.name, daemon, receiver, parcels=80, delivery__timeout_s=PATIENCE_S)
    ledger = drill.carrier.ledger
    receiver.free_to_answer.clear()
    disk.fill(leave=GIB + (96 << 10))
    pushing = asyncio.create_task(drill.carrier.run())
    await until(lambda: ledger.answers["503"] >= 20, within=60, what="503 from a disk that is nearly full")
    await waits_for(daemon, "MiB are needed")
    taken, accepted = len(ledger.acknowledged), len(receiver.ids)
    assert 0 < taken < drill.carrier.wanted
    assert disk.free > GIB - (8 << 20)
    receiver.free_to_answer.set()
    await until(lambda: len(receiver.ids) > accepted + 20, within=60, what="deliveries")
    assert len(ledger.acknowledged) == taken
    disk.relieve()
    drill.carrier.hasten()
    await drill.pushed(pushing)
    assert (await daemon.readiness())[0] == 200
    assert (await drill.examined()).wrong == {}


@pytest.mark.parametrize("when", ["amid the load", "amid a rewrite of the log"])
async def test_a_disk_that_is_full_at_once_loses_nothing_that_was_acknowledged(
    request: pytest.FixtureRequest, daemon: Daemon, disk: Disk, receiver: Receiver, when: str
) -> None:
    """The server ends at the write that fails, if no door closes before it, and is not started until there is room."""
    drill = await begin(request.node.name, daemon, receiver, parcels=15 * ROUNDS)
    servers = {daemon.server_pid}
    pushing = asyncio.create_task(drill.carrier.run())
    for _ in range(ROUNDS):
        await goes_on(drill)
        if when == "amid a rewrite of the log":
            await daemon.rewrite_slowly(a_key_us=1000)
        disk.fill()
        if when == "amid the load":
            write_past_the_door(daemon)
        await waits_for(daemon, "0 MiB free beside the log")
        await asyncio.sleep(1)
        disk.relieve()
        servers.add(await until(lambda: daemon.server_pid, within=60, what="a server"))
    drill.carrier.hasten()
    await drill.pushed(pushing)
    assert (await daemon.readiness())[0] == 200
    if when == "amid the load":  # amid a rewrite the door may close before a write comes to the full disk
        assert len(servers) == 1 + ROUNDS
    assert (await drill.examined()).wrong == {}


async def test_a_start_on_a_full_disk_says_so_and_changes_nothing(drill: Drill, disk: Disk) -> None:
    """Daemon and server were killed while it was full: refused in one sentence, exit 1, until there is room."""
    daemon = drill.daemon
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.5)
    disk.fill()
    await waits_for(daemon, "0 MiB free beside the log")
    await daemon.kill()
    daemon.signal_server(signal.SIGKILL)
    disk.fill()  # what either of them left may have given a block back
    said_before = len(daemon.log)
    process = daemon.spawn()
    await until(lambda: not daemon.running, within=60, what="the end of the daemon")
    said = daemon.log[said_before:]
    assert process.returncode == 1, said
    assert f"no space left: 0 KiB free under {disk.path}" in said
    assert "Traceback" not in said
    assert not daemon.server_pid
    disk.relieve()
    await daemon.start()
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


async def test_a_daemon_ends_as_it_should_on_a_full_disk(drill: Drill, disk: Disk) -> None:
    """SIGTERM: exit 0, no server left; the next one has everything."""
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.5)
    disk.fill()
    await waits_for(drill.daemon, "0 MiB free beside the log")
    assert await drill.daemon.end() == 0
    assert not drill.daemon.server_pid
    disk.relieve()
    await drill.daemon.start()
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


async def test_a_daemon_whose_own_log_lies_on_the_full_disk_lives_on(
    request: pytest.FixtureRequest, disk: Disk, receiver: Receiver
) -> None:
    """Its lines are lost, and nothing else."""
    async with Daemon(disk.path / "data", settings=settings(receiver)) as daemon:
        drill = await begin(request.node.name, daemon, receiver)
        pushing = asyncio.create_task(drill.carrier.run())
        await drill.acknowledged(0.5)
        disk.fill()
        await until(lambda: drill.carrier.ledger.answers["503"] >= 100, within=60, what="more lines than it can write")
        await waits_for(daemon, "0 MiB free beside the log")
        assert daemon.log.count("push.not_taken") < 100
        disk.relieve()
        await drill.pushed(pushing)
        assert daemon.starts == 1
        assert (await drill.examined()).wrong == {}


async def test_the_order_book_on_a_full_disk_waits_and_catches_up(tmp_path: Path, receiver: Receiver) -> None:
    """It has a disk of its own here: pushes and webhooks go on, the book's updates wait in their lanes."""
    with mounted(tmp_path / "books", 4 << 20) as disk:
        book = {"orders.url": f"sqlite+aiosqlite:///{disk.path}/orders.db"}
        async with Daemon(tmp_path / "data", settings=settings(receiver) | book) as daemon:
            drill = await begin("the_order_book_on_a_full_disk_waits_and_catches_up", daemon, receiver)
            pushing = asyncio.create_task(drill.carrier.run())
            await drill.acknowledged(0.3)
            disk.fill()
            await drill.pushed(pushing)
            assert drill.carrier.ledger.answers["503"] == 0
            assert (await daemon.readiness())[0] == 200
            disk.relieve()
            assert (await drill.examined()).wrong == {}
