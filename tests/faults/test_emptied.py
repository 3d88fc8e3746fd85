"""The store is emptied by mistake while the daemon runs: it says so, serves no nonsense, and can have it back."""

from __future__ import annotations

import asyncio
import os
import signal

import aiohttp
import pytest

from tests.faults.daemon import Daemon, until
from tests.faults.drill import Drill
from tracker.store import logfile

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def cut_at(daemon: Daemon, command: bytes) -> int:
    """Cut the log off before the last command of that name, as docs/operations.md says; what was cut off, in bytes."""
    log = logfile.current(daemon.directory / "store")
    assert log
    content = log.read_bytes()
    place = content.rindex(command) - len(b"*1\r\n$8\r\n")
    os.truncate(log, place)
    return len(content) - place


async def refused(daemon: Daemon) -> str:
    """Start the daemon; what it said when it ended with 64."""
    said_before = len(daemon.log)
    process = daemon.spawn()
    await until(lambda: not daemon.running, within=60, what="the end of the daemon")
    said = daemon.log[said_before:]
    assert process.returncode == 64, said
    assert "Traceback" not in said
    assert not daemon.server_pid
    return said


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHALL ASYNC", "FLUSHDB"])
async def test_a_store_that_was_emptied_is_not_served_and_comes_back_whole(drill: Drill, command: str) -> None:
    """No push is acknowledged, no key is called wrong; the log still has it all, cut off before the mistake."""
    daemon, ledger = drill.daemon, drill.carrier.ledger
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.5)
    daemon.ask_server(*command.split())
    await until(lambda: ledger.answers["503"] >= 20, within=60, what="503 from a store that was emptied")
    taken = len(ledger.acknowledged)
    headers = {"Authorization": f"Bearer {daemon.key}"}
    async with aiohttp.ClientSession(daemon.url, headers=headers) as http:
        for path in ("/v1/whoami", "/v1/changes", "/v1/shipments"):
            reply = await http.get(path)
            assert reply.status == 503, await reply.text()
    status, told = await daemon.readiness()
    assert status == 503
    assert any("it was emptied (FLUSHALL?)" in why for why in told["waiting_for"]), told
    assert "store_emptied" in daemon.log
    await until(lambda: ledger.answers["503"] >= 60, within=60, what="more of them")
    assert len(ledger.acknowledged) == taken
    assert set(ledger.answers) <= {"200", "503"}

    assert await daemon.end() == 0
    id = (daemon.directory / "store.id").read_text().strip()
    for _ in range(2):
        assert f"names ({id}) there is an empty one" in await refused(daemon)
    assert cut_at(daemon, command.split(maxsplit=1)[0].encode()) < 4096
    await daemon.start()
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


async def test_it_heals_by_itself_where_the_server_gets_its_data_back(drill: Drill) -> None:
    """The daemon runs on; the server is killed, its log cut off before the mistake, and started again by the daemon."""
    daemon, ledger = drill.daemon, drill.carrier.ledger
    pushing = asyncio.create_task(drill.carrier.run())
    await drill.acknowledged(0.5)
    daemon.ask_server("FLUSHALL")
    await until(lambda: ledger.answers["503"] >= 20, within=60, what="503 from a store that was emptied")
    daemon.signal_server(signal.SIGSTOP)
    cut_at(daemon, b"FLUSHALL")
    daemon.signal_server(signal.SIGKILL)
    await drill.pushed(pushing)
    assert "store_back" in daemon.log
    assert (await daemon.readiness())[0] == 200
    assert (await drill.examined()).wrong == {}


async def test_an_empty_store_that_is_meant_is_a_new_one(drill: Drill) -> None:
    """The file that remembers the store is removed: another key, and revisions from the first."""
    daemon = drill.daemon
    daemon.ask_server("FLUSHALL")
    assert await daemon.end() == 0
    await refused(daemon)
    (daemon.directory / "store.id").unlink()
    said_before = len(daemon.log)
    await daemon.start()
    assert "admin key, shown this once" in daemon.log[said_before:]
