"""`milepost demo`: the daemon, the carrier world, the subscriber and the story, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

from tracker.accounts import OPERATOR, Scope
from tracker.app import open_daemon
from tracker.config.loading import load
from tracker.config.settings import Settings
from tracker.demo.receiver import Receiver
from tracker.demo.story import perform
from tracker.demo.world import World
from tracker.stall import Stage

# an hour of a journey takes less than a second here, and a parcel that moves is never silent for six: ten is a stall
_STALL_H = 10 / 3_600
_PACE = {
    "poll.factor": "0.0004",
    "stall.hours": "{ " + ", ".join(f"{stage} = {_STALL_H:.5f}" for stage in Stage) + " }",
    "delivery.schedule_factor": "0.02",
    "egress.allow": "127.0.0.0/8",
    "http.open_console": "true",
    "log.level": "warning",
}


async def show(*, port: int, data: Path | None, until_done: bool, timeout: float) -> int:
    """Run the demo until Ctrl-C, or with `until_done` until all has happened (0) or `timeout` has passed (1)."""
    stop = _stopped()
    async with _directory(data) as directory, World() as world, Receiver() as receiver:
        settings = _settings(port, directory, world, receiver)
        async with open_daemon(settings) as daemon:
            _, key = await daemon.accounts.create_key(OPERATOR, [Scope.ADMIN], name="demo", now=int(time.time() * 1000))
            _welcome(daemon.url, key, world, receiver)
            playing = perform(daemon.url, key, world, receiver, until_done=until_done, timeout=timeout)
            return await _play(playing, stop, until_done=until_done)


async def _play(story: Coroutine[None, None, bool], stop: asyncio.Event, *, until_done: bool) -> int:
    playing = asyncio.create_task(story)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((playing, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not until_done and not stopping.done():
        await asyncio.wait((stopping,))
    for task in (playing, stopping):
        task.cancel()
    [done, _] = await asyncio.gather(playing, stopping, return_exceptions=True)
    if isinstance(done, Exception):
        raise done
    return 0 if done is True or not until_done else 1


def _settings(port: int, directory: Path, world: World, receiver: Receiver) -> Settings:
    ports = ",".join(address.rpartition(":")[2].partition("/")[0] for address in (world.base, receiver.url))
    flags = {**_PACE, "data": str(directory), "http.port": str(port), "egress.ports": ports}
    return load(env={}, flags=flags)


@contextlib.asynccontextmanager
async def _directory(kept: Path | None) -> AsyncIterator[Path]:
    """The data directory: a temporary one is gone afterwards."""
    if kept is not None:
        yield kept
        return
    made = Path(tempfile.mkdtemp(prefix="milepost-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _stopped() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _welcome(url: str, key: str, world: World, receiver: Receiver) -> None:
    rows = {
        "滞留 stalled parcels": f"{url}/",
        "我的订单 my orders": f"{url}/orders",
        "接口 REST": f"{url}/docs",
        "承运商世界 the carrier's world": f"{world.base}/",
        "订阅者 the subscriber": receiver.page,
    }
    print("\nMilepost 演示 demo — Ctrl-C ends it\n")
    for label, address in rows.items():
        print(f"  {address:<36} {label}")
    print(f"\n  API key: {key}\n", flush=True)
