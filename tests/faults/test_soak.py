"""For long at seven tenths of what one process can take, one endpoint in ten dead: what grows, and is anything lost?

`make soak` takes half an hour; `MILEPOST_SOAK_S` sets the seconds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import median

import pytest
from msgspec import Struct
from redis import Redis

from tests.faults.audit import ROWS, table
from tests.faults.daemon import Daemon, while_moving
from tests.faults.ears import Ears
from tests.faults.load import STEPS, Carrier, connect, register, scans_of, waybills
from tests.faults.receiver import Receiver
from tracker.store import SHARDS
from tracker.store.keys import Keys

SOAK_S = float(os.environ.get("MILEPOST_SOAK_S", "60"))
SHARE = 0.7  # of the capacity, which is measured first
NEIGHBOURS = 9
WAVE = 100  # parcels that are registered, pushed, delivered, looked at and deleted together
BEHIND = 4  # waves may be under way at once
MIB = 1 << 20
BODY = 4_096  # bytes that a change may cost while it waits for an endpoint that is dead
pytestmark = [pytest.mark.soak, pytest.mark.timeout(SOAK_S + 600)]


class Sample(Struct, frozen=True):
    """What was used at one moment."""

    at: float
    daemon: int  # bytes resident
    descriptors: int
    server: int  # bytes used by the store's data
    agenda: int  # shipments that are due some time
    lanes: int
    bodies: int  # changes that wait for somebody


class Wave:
    """Some parcels on their way, and every message that is owed for them."""

    def __init__(self, numbers: dict[str, str]) -> None:
        self.numbers = numbers
        self.carrier: Carrier | None = None

    def owed(self, revisions: Sequence[int]) -> list[str]:
        return [f"msg_{id[4:]}_{revision}" for id in self.numbers.values() for revision in revisions]


SCANS = range(1, len(STEPS) + 2)  # the registration and every scan
DELETION = range(len(STEPS) + 2, len(STEPS) + 3)


class Soak:
    """A daemon, a carrier, nine subscribers and a tenth that takes requests and never answers."""

    def __init__(self, daemon: Daemon, ears: Ears, hook: str) -> None:
        self.daemon, self.ears, self.hook = daemon, ears, hook
        self.lost: list[str] = []
        self.acknowledged = self.pushes = 0
        self.longest_silence_s = 0.0
        self.samples: list[Sample] = []
        self._serials = count(1, WAVE)
        self._keys = Keys(SHARDS)

    async def wave(self, rate: float) -> Wave:
        """Register parcels and push all their scans at so many a second (0: as fast as they go)."""
        wave = Wave(await register(self.daemon, waybills(WAVE, first=next(self._serials))))
        wave.carrier = Carrier(self.hook, scans_of(list(wave.numbers)), rate=rate)
        ledger = await wave.carrier.run()
        self.acknowledged += len(ledger.acknowledged)
        self.pushes += ledger.pushes
        self.longest_silence_s = max(self.longest_silence_s, ledger.longest_silence_s)
        return wave

    async def finish(self, wave: Wave) -> None:
        """Wait for its last message, look at some of its timelines, delete it, and wait for that to be told too."""
        await self._told(wave.owed(SCANS))
        for waybill, id in list(wave.numbers.items())[:: WAVE // 5]:
            view = await self.daemon.call("GET", f"/v1/shipments/{id}")
            told = [event["description"] for event in view["events"]]
            if sorted(told) != sorted(f"{words} {place}" for place, (_, words) in enumerate(STEPS)):
                self.lost.append(f"{waybill}: {told}")
        for id in wave.numbers.values():
            await self.daemon.call("DELETE", f"/v1/shipments/{id}")
        await self._told(wave.owed(DELETION))
        self.ears.forget(wave.owed(range(1, DELETION.stop)), wave.numbers.values())

    async def _told(self, ids: list[str]) -> None:
        await while_moving(
            lambda: not self.ears.missing(ids),
            moves=lambda: self.ears.missing(ids),
            stuck_s=60,
            every=0.1,
            what="the messages of a wave",
        )

    async def capacity(self) -> float:
        """Pushes a second until the last message is there."""
        rates = []
        for _ in range(4):
            began = time.monotonic()
            wave = await self.wave(0)
            await self._told(wave.owed(SCANS))
            rates.append(WAVE * len(STEPS) / (time.monotonic() - began))
            await self.finish(wave)
        return median(rates[1:])

    async def run(self, seconds: float, rate: float) -> None:
        """Wave after wave for so long."""
        ends = time.monotonic() + seconds
        finishing: deque[asyncio.Task[None]] = deque()
        async with asyncio.TaskGroup() as tasks:
            while time.monotonic() < ends:
                wave = await self.wave(rate)
                finishing.append(tasks.create_task(self.finish(wave)))
                if len(finishing) > BEHIND:
                    await finishing.popleft()

    # ------------------------------------------------------------ what is used

    @asynccontextmanager
    async def sampled(self, every_s: float) -> AsyncIterator[None]:
        async def sample() -> None:
            while True:
                self.samples.append(await asyncio.to_thread(self._sample))
                await asyncio.sleep(every_s)

        task = asyncio.create_task(sample())
        try:
            yield
        finally:
            task.cancel()

    def _sample(self) -> Sample:
        process = Path(f"/proc/{self.daemon.pid}")
        with Redis(unix_socket_path=str(self.daemon.directory / "store" / "store.sock")) as server:
            ask = server.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                ask.zcard(self._keys.due[shard]).hlen(self._keys.lanes[shard]).hlen(self._keys.bodies[shard])
            numbers = ask.execute()
            used = int(server.info("memory")["used_memory"])
        return Sample(
            at=time.monotonic(),
            daemon=int(process.joinpath("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            descriptors=len(list(process.joinpath("fd").iterdir())),
            server=used,
            agenda=sum(numbers[0::3]),
            lanes=sum(numbers[1::3]),
            bodies=sum(numbers[2::3]),
        )

    def thirds(self) -> Iterator[list[Sample]]:
        size = len(self.samples) // 3
        yield from (self.samples[start : start + size] for start in (0, size, 2 * size))


def middle(samples: Sequence[Sample], name: str) -> float:
    return float(median(getattr(sample, name) for sample in samples))


@pytest.fixture
async def ears() -> AsyncIterator[Ears]:
    async with Ears() as ears:
        yield ears


@pytest.fixture
async def dead() -> AsyncIterator[int]:
    """The port of an endpoint that takes what comes and never answers."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_nothing_grows_and_nothing_is_lost_under_a_long_load_with_a_dead_endpoint(
    tmp_path: Path, ears: Ears, receiver: Receiver, dead: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory and descriptors of the daemon level off; the store holds what waits for the dead one, and no more."""
    settings = {
        "egress.allow": "127.0.0.0/8",
        "egress.ports": f"{ears.port},{dead},{receiver.port}",
        "delivery.timeout_s": "5",
        "feed.keep_entries": "500",
    }
    async with Daemon(tmp_path / "data", settings=settings) as daemon:
        await daemon.start()
        hook = await connect(daemon, receiver)
        await ears.subscribe(daemon, NEIGHBOURS)
        await daemon.call("POST", "/v1/subscriptions", {"url": f"http://127.0.0.1:{dead}/"})
        soak = Soak(daemon, ears, hook)
        capacity = await soak.capacity()
        async with soak.sampled(max(0.5, SOAK_S / 180)):
            await soak.run(SOAK_S, SHARE * capacity)
        _, second, third = soak.thirds()
        bodies = third[-1].bodies - second[0].bodies
        grown = {
            "daemon, resident": middle(third, "daemon") - middle(second, "daemon"),
            "store, used": third[-1].server - second[0].server,
        }
        with capsys.disabled():
            print(f"\n{SOAK_S:g} s at {SHARE * capacity:,.0f} pushes/s, 70 % of {capacity:,.0f}/s, one of ten dead")
            print(
                table(
                    {
                        "acknowledged": f"{soak.acknowledged:,} scans in {soak.pushes:,} pushes",
                        "messages to nine endpoints": f"{ears.arrivals:,}, {ears.repeated} came again",
                        "longest time without a 2xx": f"{soak.longest_silence_s:.2f} s",
                        "lost, forged, misordered, differing": f"{len(soak.lost)} {dict(ears.wrong)}",
                        "daemon, MiB resident by thirds": _thirds(soak, "daemon", MIB),
                        "its descriptors by thirds": _thirds(soak, "descriptors"),
                        "store, MiB used by thirds": _thirds(soak, "server", MIB),
                        "changes that wait for the dead one": f"{third[-1].bodies:,}",
                        "… bytes in the store for each more": f"{grown['store, used'] / max(bodies, 1):,.0f}",
                        "agenda by thirds": _thirds(soak, "agenda"),
                    }
                )
            )
        ROWS["soak with one endpoint in ten dead"] = (
            soak.acknowledged,
            len(soak.lost),
            ears.wrong["differing"],
            ears.wrong["misordered"],
            0,
            ears.repeated,
            f"{soak.longest_silence_s:.1f} s",
        )
        assert not soak.lost
        assert not +ears.wrong
        assert grown["daemon, resident"] < max(16 * MIB, 0.05 * middle(second, "daemon"))
        assert middle(third, "descriptors") <= middle(second, "descriptors") + 16
        assert max(sample.agenda for sample in soak.samples) <= (BEHIND + 2) * WAVE
        assert grown["store, used"] < 16 * MIB + BODY * max(bodies, 0)


def _thirds(soak: Soak, name: str, unit: int = 1) -> str:
    return ", ".join(f"{middle(third, name) / unit:,.0f}" for third in soak.thirds())
