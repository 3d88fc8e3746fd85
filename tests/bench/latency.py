"""Latency: from the moment that a carrier's push is due until its webhook is at the subscriber, under a steady load.

`latency` has one subscriber. `bystanders` has ten, one of them healthy, dead or dripping: what do the other nine see?
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from types import MappingProxyType

from msgspec import structs

from tests.bench.daemon import Daemon, daemon
from tests.bench.figures import Figure, Mark, Sizes, at_most, figure
from tests.bench.journeys import EVENTS, SECRET, request, simulated_number, simulated_push
from tests.bench.load import write_requests
from tests.bench.processes import Child, child, cpu_of, store_pid, workspace

SHARE = 0.3  # of the capacity, which is measured in the same run
NEIGHBOURS = 9
_AGO_S = 3 * 86_400
_DRAINS_WITHIN_S = 120.0


class Road:
    """A daemon between a carrier that pushes and subscribers that listen, each at a path of its own."""

    def __init__(self, sizes: Sizes, directory: Path, daemon: Daemon, load: Child, receiver: Child) -> None:
        self.daemon, self.receiver = daemon, receiver
        self.paths: list[str] = []
        self._sizes = sizes
        self._file = directory / "requests"
        self.store_pid = store_pid(directory / "data")
        self._load = load
        self._place = 0
        self._began_at = int(time.time()) - _AGO_S
        self._hook = ""

    async def connect(self) -> None:
        """Let the carrier push."""
        credentials = {"client_id": "bench", "client_secret": "bench", "webhook_secret": SECRET}
        said = {"carrier": "simulated", "credentials": credentials}
        made = await self.daemon.call("POST", "/connections", said)
        self._hook = ("/hooks/" + made["webhook_url"].partition("/hooks/")[2]).rpartition("/")[0]

    async def subscribe(self, path: str) -> str:
        """One subscriber more at the path of the receiver; the subscription's id."""
        self.paths.append(path)
        made = await self.daemon.call("POST", "/subscriptions", {"url": f"{self.receiver.ready['url']}/{path}"})
        return str(made["id"])

    async def _pushes(self) -> tuple[list[tuple[str, int]], list[bytes]]:
        """New parcels, registered and known to the subscribers; the change that each push makes, and the pushes."""
        parcels = range(self._place, self._place + self._sizes.pushes // EVENTS)
        self._place = parcels.stop
        await self.receiver.ask("reset")
        await self.daemon.register("simulated", [simulated_number(place) for place in parcels])
        await self._arrived(len(parcels))
        steps = [(place, step) for step in range(EVENTS) for place in parcels]
        changes = [(simulated_number(place), step + 2) for place, step in steps]  # the first revision is registration's
        return changes, [request(self._hook, *simulated_push(place, step, self._began_at)) for place, step in steps]

    async def _arrived(self, changes: int) -> float:
        async with asyncio.timeout(_DRAINS_WITHIN_S):
            while (at := await self.receiver.ask("count"))["distinct"] < changes * len(self.paths):
                await asyncio.sleep(0.05)
        return float(at["last_at"])

    async def capacity(self) -> float:
        """Pushes a second, as fast as they go, until the last webhook is delivered."""
        changes, pushes = await self._pushes()
        write_requests(self._file, pushes)
        await self.receiver.ask("reset")
        connections = self._sizes.connections
        run = await self._load.ask("run", port=self.daemon.port, connections=connections, file=str(self._file))
        began: float = run["began"]
        return len(changes) / (await self._arrived(len(changes)) - began)

    async def latencies(self, rate: float, paths: Sequence[str]) -> tuple[list[float], float]:
        """Milliseconds from push due to webhook there, sorted, at so many pushes a second, of those paths.

        And the µs of CPU that daemon and store used for each push.
        """
        changes, pushes = await self._pushes()
        write_requests(self._file, pushes)
        await self.receiver.ask("reset", timed=True)
        used = self._cpu()
        run = await self._load.ask(
            "steady", port=self.daemon.port, connections=self._sizes.connections, file=str(self._file), rate=rate
        )
        if run["refused"]:
            raise RuntimeError(f"{run['refused']} pushes were refused")
        await self._arrived(len(changes))
        cost = (self._cpu() - used) / len(changes) * 1e6
        heard = await self.receiver.ask("arrivals")
        due = dict(zip(changes, run["due"], strict=True))
        wanted = {f"/hook/{path}" for path in paths}
        took = sorted(
            1000 * (at - due[waybill, revision]) for path, waybill, revision, at in heard["arrivals"] if path in wanted
        )
        return took, cost

    def _cpu(self) -> float:
        return cpu_of(self.daemon.pid) + cpu_of(self.store_pid)


@contextlib.asynccontextmanager
async def road(sizes: Sizes, *ports: int, settings: Mapping[str, str] = MappingProxyType({})) -> AsyncIterator[Road]:
    """A daemon in one process; its webhooks may go to these ports of loopback too."""
    with workspace() as directory:
        async with child("load") as load, child("receiver") as receiver:
            allowed = ",".join(map(str, (receiver.ready["port"], *ports)))
            usual = {"roles": "intake,delivery", "egress.allow": "127.0.0.0/8", "egress.ports": allowed}
            async with daemon(directory / "data", {**usual, **settings}) as running:
                opened = Road(sizes, directory, running, load, receiver)
                await opened.connect()
                yield opened


async def _capacity(open_road: Road, sizes: Sizes) -> float:
    for _ in range(sizes.warm):
        await open_road.capacity()
    return median([await open_road.capacity() for _ in range(sizes.rounds)])


async def latency(sizes: Sizes) -> AsyncIterator[Figure]:
    """Median and 99th of a hundred, with one subscriber, at 30 % of what the process can take."""
    async with road(sizes) as open_road:
        await open_road.subscribe("only")
        rate = SHARE * await _capacity(open_road, sizes)
        rounds = [(await open_road.latencies(rate, ["only"]))[0] for _ in range(sizes.rounds)]
    name = f"latency: push in to webhook out, at {rate:,.0f}/s"
    yield figure(f"{name}: p50", [_at(took, 0.5) for took in rounds], "ms", marks=_ten)
    yield figure(f"{name}: p99", [_at(took, 0.99) for took in rounds], "ms", marks=_hundred)


async def bystanders(sizes: Sizes) -> AsyncIterator[Figure]:
    """The 99th of a hundred of nine endpoints while the tenth is well, takes requests without an answer, or drips.

    Many short turns, each kind in its turn and each first as often as the others: what else the machine does, an fsync
    that takes a second say, hits some turns of each kind, and the median of many doesn't see it.
    """
    sizes = structs.replace(sizes, pushes=max(EVENTS, sizes.pushes // 16 // EVENTS * EVENTS))
    kinds = ("healthy", "dead", "dripping")
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    costs: dict[str, list[float]] = {kind: [] for kind in kinds}
    async with (
        child("bad") as bad,
        # the bad ones are given up sooner than usual, and tried more often
        road(sizes, *(bad.ready[one] for one in kinds[1:]), settings={"delivery.timeout_s": "2"}) as open_road,
    ):
        neighbours = [str(place) for place in range(NEIGHBOURS)]
        for path in neighbours:
            await open_road.subscribe(path)
        tenth = await open_road.subscribe("tenth")
        rate = SHARE * await _capacity(open_road, sizes)
        await open_road.daemon.call("DELETE", f"/subscriptions/{tenth}")
        open_road.paths.remove("tenth")
        for turn in range(sizes.rounds * sizes.turns):
            for place in range(len(kinds)):
                kind = kinds[(turn + place) % len(kinds)]
                p99, cost = await _beside(open_road, kind, bad, rate, neighbours)
                found[kind].append(p99)
                costs[kind].append(cost)
    name = f"bystanders: p99 of nine endpoints, at {rate:,.0f}/s"
    for kind, turns in found.items():
        yield figure(f"{name}, the tenth {kind}", turns, "ms")
        yield figure(f"bystanders: CPU of daemon and store, the tenth {kind}", costs[kind], "µs/push")
    for kind in kinds[1:]:
        ratio = [median(found[kind]) / median(found["healthy"])]
        yield figure(f"bystanders: {kind} against healthy", ratio, "×", marks=_a_fifth)


async def _beside(
    open_road: Road, kind: str, bad: Child, rate: float, neighbours: Sequence[str]
) -> tuple[float, float]:
    """The 99th of a hundred in ms, and µs of CPU for a push."""
    if kind == "healthy":
        tenth = await open_road.subscribe("tenth")
    else:
        url = f"http://127.0.0.1:{bad.ready[kind]}/hook"
        tenth = str((await open_road.daemon.call("POST", "/subscriptions", {"url": url}))["id"])
    took, cost = await open_road.latencies(rate, neighbours)
    await open_road.daemon.call("DELETE", f"/subscriptions/{tenth}")
    with contextlib.suppress(ValueError):
        open_road.paths.remove("tenth")
    return _at(took, 0.99), cost


def _at(took: Sequence[float], share: float) -> float:
    return took[int(share * (len(took) - 1))]


def _ten(value: float, share: float) -> tuple[Mark, ...]:
    return (at_most(10, value, "10 ms"),)


def _hundred(value: float, share: float) -> tuple[Mark, ...]:
    return (at_most(100, value, "100 ms"),)


def _a_fifth(value: float, share: float) -> tuple[Mark, ...]:
    return (at_most(1.2, value, "1.2 ×"),)
