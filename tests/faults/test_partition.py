"""The network between daemon and store fails: a link that is down, packets lost one way, a peer gone without a word.

The server lives in a network namespace of its own, behind a pair of virtual interfaces. It needs root and `ip`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import LONG, settings
from tests.faults.daemon import Daemon, until
from tests.faults.drill import Drill, begin
from tests.faults.load import Ledger
from tests.faults.receiver import Receiver
from tests.store.topologies import DURABLE, Process
from tracker.store.embedded import server_binary

PORT = 6379  # in a namespace of its own nobody else has it
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.getuid() != 0 or not shutil.which("ip"), reason="namespaces need root and iproute2's ip"),
]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """A namespace that is reached over one link: this side's name, that side's address, and the server there."""

    def __init__(self, directory: Path) -> None:
        mark = f"{os.getpid() % 10_000:04d}"
        self.space, self._here, self._there = f"mp{mark}", f"mph{mark}", f"mpt{mark}"
        net = f"10.213.{os.getpid() % 250}"
        self._near, self.address = f"{net}.1", f"{net}.2"
        ip("netns", "add", self.space)
        ip("link", "add", self._here, "type", "veth", "peer", "name", self._there)
        ip("link", "set", self._there, "netns", self.space)
        ip("addr", "add", f"{self._near}/24", "dev", self._here)
        ip("link", "set", self._here, "up")
        self.within("ip", "addr", "add", f"{self.address}/24", "dev", self._there)
        self.within("ip", "link", "set", self._there, "up")
        self.within("ip", "link", "set", "lo", "up")
        enter = ("netns", "exec", self.space, str(server_binary()))
        told = ("--port", str(PORT), "--protected-mode", "no", *DURABLE, "--bind", self.address)
        self.server = Process(directory, Path(str(shutil.which("ip"))), *enter, *told)

    @property
    def url(self) -> str:
        return f"redis://{self.address}:{PORT}"

    def within(self, *words: str) -> None:
        """Run a command in the namespace."""
        ip("netns", "exec", self.space, *words)

    def down(self) -> None:
        """No packet goes either way, and nobody is told."""
        ip("link", "set", self._here, "down")

    def up(self) -> None:
        ip("link", "set", self._here, "up")

    def deaf(self, lost: bool) -> None:
        """Lose, or no longer lose, what the server sends: it hears and runs everything, and no answer comes.

        Its packets go to a hardware address that nobody has.
        """
        if lost:
            nobody = ("lladdr", "02:00:00:00:00:99", "nud", "permanent")
            self.within("ip", "neigh", "replace", self._near, "dev", self._there, *nobody)
        else:
            self.within("ip", "neigh", "del", self._near, "dev", self._there)

    def remove(self) -> None:
        self.server.kill()
        subprocess.run(["ip", "link", "del", self._here], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.space], check=False, capture_output=True)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    found = Network(tmp_path / "server")
    try:
        yield found
    finally:
        found.remove()


@pytest.fixture
async def daemon(tmp_path: Path, receiver: Receiver, network: Network) -> Daemon:
    """A daemon whose store is behind the link."""
    return Daemon(tmp_path / "data", settings=settings(receiver) | {"store.url": network.url})


async def drilled(name: str, daemon: Daemon, receiver: Receiver) -> Drill:
    return await begin(name, daemon, receiver, parcels=40)


async def finished(drill: Drill, pushing: asyncio.Task[Ledger]) -> None:
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}


@pytest.mark.parametrize("seconds", [3.0, 15.0, 40.0] if LONG else [3.0, 15.0])
async def test_a_link_that_is_down_costs_time_and_nothing_else(
    request: pytest.FixtureRequest, daemon: Daemon, receiver: Receiver, network: Network, seconds: float
) -> None:
    """Calls wait, then pushes get 503 and readiness says so; when the link is back, all goes on."""
    async with daemon:
        drill = await drilled(request.node.name, daemon, receiver)
        pushing = asyncio.create_task(drill.carrier.run())
        await drill.acknowledged(0.4)
        network.down()
        await asyncio.sleep(seconds)
        if seconds > 12:
            assert (await daemon.readiness())[0] == 503
        network.up()
        await finished(drill, pushing)


async def test_answers_that_are_lost_on_their_way_double_nothing(
    request: pytest.FixtureRequest, daemon: Daemon, receiver: Receiver, network: Network
) -> None:
    """One direction only: the server runs what it is told, and the daemon never hears of it."""
    async with daemon:
        drill = await drilled(request.node.name, daemon, receiver)
        pushing = asyncio.create_task(drill.carrier.run())
        for share in (0.3, 0.5, 0.7):
            await drill.acknowledged(share)
            network.deaf(True)
            await asyncio.sleep(12)  # longer than a call waits
            network.deaf(False)
        await finished(drill, pushing)


async def test_a_peer_that_is_gone_without_a_word_is_noticed(
    request: pytest.FixtureRequest, daemon: Daemon, receiver: Receiver, network: Network
) -> None:
    """Half-open: the server ends while the link is down, and another one stands there when it is up again."""
    async with daemon:
        drill = await drilled(request.node.name, daemon, receiver)
        pushing = asyncio.create_task(drill.carrier.run())
        await drill.acknowledged(0.4)
        network.down()
        network.server.kill()
        await asyncio.sleep(2)
        network.server.start()
        network.up()
        before = len(drill.carrier.ledger.acknowledged)
        await until(
            lambda: len(drill.carrier.ledger.acknowledged) > before + 20, within=30, what="acknowledgements again"
        )
        await finished(drill, pushing)
