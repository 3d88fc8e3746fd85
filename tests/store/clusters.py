"""A cluster of three primaries, started for a test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.ports import free_ports
from tracker.store.connect import ask, hang_up, open_connection, server_of
from tracker.store.embedded import server_binary
from tracker.store.keys import SLOTS


class Node:
    """One server of the cluster, in a directory of its own."""

    def __init__(self, directory: Path, port: int) -> None:
        directory.mkdir()
        self.directory = directory
        self.port = port
        self.url = f"redis://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "cluster-enabled": "yes",
            "cluster-node-timeout": "10000",  # nodes that stand still for seconds, with the machine, are not away
            "cluster-require-full-coverage": "no",
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen(
            [server_binary(), *words], cwd=self.directory, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    async def ask(self, *words: object) -> Any:
        async with asyncio.timeout(30):
            while True:
                try:
                    connection = await open_connection(server_of(self.url))
                except Exception:  # not listening yet
                    await asyncio.sleep(0.02)
                    continue
                try:
                    return await ask(connection, *words)
                finally:
                    await hang_up(connection)


async def join(nodes: list[Node]) -> None:
    """Three primaries, a third of the slots each."""
    for at, node in enumerate(nodes):
        first, last = at * SLOTS // len(nodes), (at + 1) * SLOTS // len(nodes) - 1
        await node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        await node.ask("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        await node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    async with asyncio.timeout(60):
        for node in nodes:
            await whole(node)


async def whole(node: Node) -> None:
    """Return once the node knows its neighbours and all slots."""
    while True:
        state = str(await node.ask("CLUSTER", "INFO"))
        if all(fact in state for fact in ("known_nodes:3", "slots_assigned:16384", "cluster_state:ok")):
            return
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def three_nodes(directory: Path) -> Iterator[list[Node]]:
    """Three servers, joined; gone afterwards."""
    nodes = [Node(directory / str(port), port) for port in free_ports(3)]
    try:
        asyncio.run(join(nodes))
        yield nodes
    finally:
        for node in nodes:
            node.kill()
