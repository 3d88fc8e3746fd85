"""The same deliveries by the engine and by BullMQ, in turn: same bodies, same sink, a log that is fsynced always."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.delivery import EVENTS, engine
from tests.bench.figures import Figure, Mark, Sizes, at_least, figure
from tests.bench.load import write_requests
from tests.bench.processes import Child, child, spoken_to, workspace
from tests.bench.tape import recorded
from tracker.store import EmbeddedServer, StoreSettings, open_store
from webhooks.standard import new_secret

AT_ONCE = (16, 64, 256)  # BullMQ's concurrency: the best of them counts
_SOURCE = Path(__file__).parent / "bullmq"
_INSTALLS_WITHIN_S = 180.0


async def beside_bullmq(sizes: Sizes) -> AsyncIterator[Figure]:
    """Deliveries a second of both, and ours as a multiple of theirs."""
    writes = await recorded(range(sizes.backlog // (EVENTS + 1)), events=EVENTS)
    bodies = [change.body for write in writes for change in write.changes]
    ours: list[float] = []
    theirs: dict[int, list[float]] = {at_once: [] for at_once in AT_ONCE}
    with workspace() as directory:
        await _installed(directory)
        write_requests(directory / "bodies", bodies)
        async with (
            child("receiver") as receiver,
            _bullmq(directory) as bullmq,
            open_store(StoreSettings(directory=directory / "ours")) as store,
        ):
            for place in range(sizes.warm + sizes.rounds):
                rate = await engine(store, receiver, writes, None)
                rates = {at_once: await _delivered(bullmq, receiver, directory, at_once) for at_once in AT_ONCE}
                if place >= sizes.warm:
                    ours.append(rate)
                    for at_once, measured in rates.items():
                        theirs[at_once].append(measured)
    for at_once, rates_seen in theirs.items():
        yield figure(f"bullmq: the same backlog, concurrency {at_once}", rates_seen, "deliveries/s")
    best = [max(seen) for seen in zip(*theirs.values(), strict=True)]
    yield figure(
        "bullmq: ours in the same run", ours, "deliveries/s", ceiling=best, ceiling_is="BullMQ", marks=_as_fast
    )


def _as_fast(value: float, share: float) -> tuple[Mark, ...]:
    return at_least(5_000, value, "5,000/s"), at_least(1.0, share, "BullMQ")


async def _installed(directory: Path) -> None:
    """BullMQ from its registry, in a directory that is gone afterwards."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise SystemExit("the comparison with BullMQ needs node (20 or newer) and npm")
    for file in _SOURCE.iterdir():
        shutil.copy(file, directory)
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    npm = await asyncio.create_subprocess_exec("npm", "install", *quiet, cwd=directory)
    async with asyncio.timeout(_INSTALLS_WITHIN_S):
        if await npm.wait():
            raise SystemExit("npm could not install bullmq")


@asynccontextmanager
async def _bullmq(directory: Path) -> AsyncIterator[Child]:
    """A worker on a server of its own, set up as ours is."""
    with EmbeddedServer(directory / "theirs") as server:
        key = new_secret().removeprefix("whsec_")
        words = ("node", str(directory / "worker.mjs"), server.url.removeprefix("unix://"), key)
        async with spoken_to(words) as worker:
            yield worker


async def _delivered(bullmq: Child, receiver: Child, directory: Path, at_once: int) -> float:
    filled = await bullmq.ask("fill", file=str(directory / "bodies"))
    await receiver.ask("reset")
    run = await bullmq.ask("run", url=receiver.ready["url"], at_once=at_once)
    got = await receiver.ask("count")
    if not filled["jobs"] == run["done"] == got["distinct"]:
        raise RuntimeError(f"BullMQ delivered {got['distinct']} of {filled['jobs']}")
    return float(run["done"] / run["seconds"])
