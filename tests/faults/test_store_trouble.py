"""The store's own troubles: memory that is full, a disk that refuses a write, a log that is torn or damaged."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.audit import delivered, feed, message_id
from tests.faults.daemon import Daemon, tenant, until
from tests.faults.drill import Drill, begin
from tests.faults.receiver import Receiver

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def configure(daemon: Daemon, name: str, value: str) -> None:
    """Change a setting of the running server."""
    assert daemon.ask_server("CONFIG", "SET", name, value)


def log_of(daemon: Daemon) -> Path:
    """The file that the server appends to now."""
    return max((daemon.directory / "store" / "appendonlydir").glob("*.incr.aof"))


async def test_a_full_store_refuses_pushes_delivers_what_it_has_and_heals(patient: Drill) -> None:
    """A store that may not grow takes nothing in, and still settles: otherwise it could never empty."""
    drill = patient
    daemon, receiver, ledger = drill.daemon, drill.receiver, drill.carrier.ledger
    receiver.free_to_answer.clear()
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.5)
    configure(daemon, "maxmemory", "1mb")
    await until(lambda: ledger.answers["503"] >= 20, within=60, what="503 from a full store")
    before, accepted = len(ledger.acknowledged), len(receiver.ids)
    receiver.free_to_answer.set()
    await until(lambda: len(receiver.ids) > accepted + 20, within=60, what="deliveries from a full store")
    assert len(ledger.acknowledged) == before
    configure(daemon, "maxmemory", "0")
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


async def test_a_store_that_is_full_amid_a_rewrite_of_its_log_heals_and_keeps_it_all(
    daemon: Daemon, receiver: Receiver
) -> None:
    """Three times; once the limit is lifted again, twice the server is killed while it is full and rewrites."""
    drill = await begin("a_store_that_is_full_amid_a_rewrite_of_its_log", daemon, receiver, parcels=80)
    ledger = drill.carrier.ledger
    pushing = asyncio.create_task(drill.carrier.run())
    for share in (0.1, 0.3, 0.5):
        await drill.acknowledged(share)
        await daemon.rewrite_slowly(a_key_us=1000)
        refused = ledger.answers["503"]
        configure(daemon, "maxmemory", "1mb")
        await until(lambda refused=refused: ledger.answers["503"] >= refused + 20, within=60, what="503")
        assert (await daemon.readiness())[0] == 200
        if share == 0.3:
            configure(daemon, "maxmemory", "0")
        else:
            daemon.signal_server(signal.SIGKILL)  # its limit goes with it
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


async def test_a_daemon_that_finds_a_full_store_empties_it(drill: Drill) -> None:
    """What its predecessor took in and did not fan out goes out, and an account can be deleted; nothing comes in."""
    daemon, receiver, ledger = drill.daemon, drill.receiver, drill.carrier.ledger
    await tenant(daemon, "leaving")
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.5)
    os.kill(daemon.pid, signal.SIGSTOP)  # the server lives on and has no time to lose what it holds
    configure(daemon, "maxmemory", "1mb")
    await daemon.kill()
    await daemon.start()
    changes = await delivered(daemon, receiver)
    assert len(changes) >= 100
    assert set(map(message_id, changes)) <= receiver.ids
    await until(lambda: ledger.answers["503"] >= 20, within=60, what="503 from a full store")
    await daemon.call("DELETE", "/v1/accounts/leaving")
    assert [one["name"] for one in (await daemon.call("GET", "/v1/accounts"))["accounts"]] == ["default"]
    assert await feed(daemon) == changes
    configure(daemon, "maxmemory", "0")
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
async def test_a_disk_that_refuses_a_write_loses_nothing_that_was_acknowledged(drill: Drill) -> None:
    """The log may not grow past a size in the midst of the load: the write is torn, the server ends, and comes back."""
    daemon = drill.daemon
    pushing = asyncio.create_task(drill.carrier.run())
    for share in (0.25, 0.5, 0.75):
        await drill.acknowledged(share)
        server = daemon.server_pid
        size = log_of(daemon).stat().st_size + 10_007
        resource.prlimit(server, resource.RLIMIT_FSIZE, (size, size))
        await until(lambda server=server: daemon.server_pid not in (0, server), within=60, what="another server")
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


async def test_a_torn_end_of_the_log_is_cut_off(drill: Drill) -> None:
    """What a power cut leaves: a write that was never acknowledged, half there."""
    daemon = drill.daemon
    await drill.carrier.run()
    await drill.examined()
    await both_killed(daemon)
    with log_of(daemon).open("ab") as log:
        log.write(b"*4\r\n$5\r\nHSET")
    await daemon.start()
    assert (await drill.examined()).wrong == {}


async def test_a_damaged_log_is_refused_in_the_servers_own_words(drill: Drill) -> None:
    """Nothing is guessed: the daemon ends, says where to look, and leaves the log as it is."""
    daemon = drill.daemon
    await drill.carrier.run()
    await both_killed(daemon)
    log = log_of(daemon)
    with log.open("r+b") as damaged:
        damaged.seek(log.stat().st_size // 2)
        damaged.write(os.urandom(4096))
    before = log.read_bytes()
    said_before = len(daemon.log)
    process = daemon.spawn()
    await until(lambda: not daemon.running, within=30, what="the end of the daemon")
    said = daemon.log[said_before:]
    assert process.returncode == 64, said
    assert "the embedded server ended at its start" in said
    assert "can be read up to byte" in said
    assert "truncate -s" in said
    assert "Traceback" not in said
    assert not daemon.server_pid
    assert log.read_bytes() == before


async def both_killed(daemon: Daemon) -> None:
    await daemon.kill()
    daemon.signal_server(signal.SIGKILL)
    await until(lambda: not daemon.server_pid, within=10, what="the end of the server")
