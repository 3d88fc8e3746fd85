"""Latency: from the moment that a carrier's push is due until its webhook is at the subscriber, under a steady load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from statistics import median

from tests.bench.daemon import Daemon, daemon
from tests.bench.figures import Figure, Mark, Sizes, at_most, figure
from tests.bench.journeys import EVENTS, SECRET, request, simulated_number, simulated_push
from tests.bench.load import write_requests
from tests.bench.processes import Child, child, workspace

SHARE = 0.3  # of the capacity, which is measured in the same run
_AGO_S = 3 * 86_400
_DRAINS_WITHIN_S = 60.0


class Road:
    """A daemon between a carrier that pushes and a subscriber that listens."""

    def __init__(self, sizes: Sizes, directory: Path, daemon: Daemon, load: Child, receiver: Child, path: str) -> None:
        self._sizes = sizes
        self._file = directory / "requests"
        self._daemon, self._load, self._receiver = daemon, load, receiver
        self._path = path
        self._place = 0
        self._began_at = int(time.time()) - _AGO_S

    async def _pushes(self) -> tuple[list[tuple[str, int]], list[bytes]]:
        """New parcels, registered and known to the subscriber; the change that each push makes, and the pushes."""
        parcels = range(self._place, self._place + self._sizes.pushes // EVENTS)
        self._place = parcels.stop
        await self._receiver.ask("reset")
        await self._daemon.register("simulated", [simulated_number(place) for place in parcels])
        await self._arrived(len(parcels))
        steps = [(place, step) for step in range(EVENTS) for place in parcels]
        changes = [(simulated_number(place), step + 2) for place, step in steps]  # the first revision is registration's
        return changes, [request(self._path, *simulated_push(place, step, self._began_at)) for place, step in steps]

    async def _arrived(self, changes: int) -> float:
        async with asyncio.timeout(_DRAINS_WITHIN_S):
            while (at := await self._receiver.ask("count"))["distinct"] < changes:
                await asyncio.sleep(0.05)
        return float(at["last_at"])

    async def capacity(self) -> float:
        """Pushes a second, as fast as they go, until the last webhook is delivered."""
        changes, pushes = await self._pushes()
        write_requests(self._file, pushes)
        await self._receiver.ask("reset")
        connections = self._sizes.connections
        run = await self._load.ask("run", port=self._daemon.port, connections=connections, file=str(self._file))
        return len(changes) / (await self._arrived(len(changes)) - run["began"])

    async def latencies(self, rate: float) -> list[float]:
        """Milliseconds from push due to webhook there, sorted, at so many pushes a second."""
        changes, pushes = await self._pushes()
        write_requests(self._file, pushes)
        await self._receiver.ask("reset", timed=True)
        connections = self._sizes.connections
        run = await self._load.ask(
            "steady", port=self._daemon.port, connections=connections, file=str(self._file), rate=rate
        )
        if run["refused"]:
            raise RuntimeError(f"{run['refused']} pushes were refused")
        await self._arrived(len(changes))
        heard = await self._receiver.ask("arrivals")
        arrived = {(waybill, revision): at for waybill, revision, at in heard["arrivals"]}
        return sorted(1000 * (arrived[change] - due) for change, due in zip(changes, run["due"], strict=True))


async def latency(sizes: Sizes) -> AsyncIterator[Figure]:
    """Median and 99th of a hundred, in one process with a subscriber, at 30 % of what it can take."""
    with workspace() as directory:
        async with child("load") as load, child("receiver") as receiver:
            egress = {"egress__allow": "127.0.0.0/8", "egress__ports": str(receiver.ready["port"])}
            async with daemon(directory / "data", roles="intake,delivery", **egress) as running:
                credentials = {"client_id": "bench", "client_secret": "bench", "webhook_secret": SECRET}
                made = await running.call("POST", "/connections", {"carrier": "simulated", "credentials": credentials})
                await running.call("POST", "/subscriptions", {"url": receiver.ready["url"]})
                path = ("/hooks/" + made["webhook_url"].partition("/hooks/")[2]).rpartition("/")[0]
                road = Road(sizes, directory, running, load, receiver, path)
                for _ in range(sizes.warm):
                    await road.capacity()
                capacity = median([await road.capacity() for _ in range(sizes.rounds)])
                rounds = [await road.latencies(SHARE * capacity) for _ in range(sizes.rounds)]
    name = f"latency: push in to webhook out, at {SHARE * capacity:,.0f}/s"
    yield figure(f"{name}: p50", [_at(took, 0.5) for took in rounds], "ms", marks=_ten)
    yield figure(f"{name}: p99", [_at(took, 0.99) for took in rounds], "ms", marks=_hundred)


def _at(took: Sequence[float], share: float) -> float:
    return took[int(share * (len(took) - 1))]


def _ten(value: float, share: float) -> tuple[Mark, ...]:
    return (at_most(10, value, "10 ms"),)


def _hundred(value: float, share: float) -> tuple[Mark, ...]:
    return (at_most(100, value, "100 ms"),)
