"""Polls: one batching connection against a carrier in another process, with few and with many shipments registered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from ipaddress import ip_network
from os import getpid
from pathlib import Path
from statistics import median

import aiohttp
import msgspec
from msgspec import structs

from carriers.sdk import Carrier
from tests.bench.figures import Figure, Mark, Sizes, at_least, at_most, figure
from tests.bench.journeys import SECRET, SIMULATED, simulated_events, simulated_number
from tests.bench.processes import Child, child, cpu_of, workspace
from tests.bench.profiling import profiled
from tests.bench.tape import ACCOUNT, AGO_S, play, registry
from tracker.agenda import Agenda, AgendaSettings, Schedule, Settling
from tracker.carrier_http.exits import Exits
from tracker.connections.kept import Connections
from tracker.garbage import collect_seldom
from tracker.ingest.commits import indexed
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.metrics import Metrics
from tracker.model import Document, Shipment
from tracker.normalise import reader
from tracker.poller.queues import Poller
from tracker.secrets import Sealer, new_key
from tracker.stall import StallPolicy
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import Write
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge
from tracker.watch import Watch
from webhooks.guard import Guard, guarded_session

_AT_ONCE = 1e-9  # multiplies the cadence: every shipment is due again as soon as it was asked for
_IDLE_S = 0.005  # where a thousand are registered all are soon under way: the next look must not wait half a second
_DAY_MS = 86_400_000
_encode = msgspec.msgpack.Encoder().encode


class Unlimited:
    """The adapters, the simulated carrier's without its own limits."""

    def __init__(self) -> None:
        found = registry()
        carrier = found.get("simulated")
        assert carrier is not None
        self.carrier = structs.replace(carrier, rate=1e6, min_interval=0.0)

    def get(self, slug: str) -> Carrier | None:
        return self.carrier if slug == "simulated" else None

    def known(self) -> Collection[str]:
        return frozenset({"simulated"})


class Polled(Metrics):
    """Counts what was asked, and would not let a failure pass for speed."""

    waybills = 0

    def polled(self, carrier: str, outcome: str, waybills: int, seconds: float) -> None:
        if outcome != "answered":
            raise RuntimeError(f"a poll of the benchmark ended as {outcome}")
        self.waybills += waybills
        super().polled(carrier, outcome, waybills, seconds)


async def polls(sizes: Sizes) -> AsyncIterator[Figure]:
    """Waybills a second at both sizes, and what one costs at the larger in terms of the smaller."""
    began_at = int(time.time()) - AGO_S
    found: dict[int, list[float]] = {}
    with workspace() as directory:
        async with child("peer", str(began_at)) as peer:
            for registered in sizes.shipments:
                rates, costs, ceiling = await _polled(directory / str(registered), peer, registered, began_at, sizes)
                found[registered] = costs
                name = f"polls: {registered:,} shipments, batches of 40"
                top = "bare aiohttp client: ask and parse"
                yield figure(name, rates, "waybills/s", ceiling=ceiling, ceiling_is=top, marks=_fifteen_hundred)
                yield figure(f"{name}: CPU of daemon and store", costs, "µs/waybill")
    few, many = sizes.shipments
    ratio = median(found[many]) / median(found[few])
    yield figure(f"polls: cost of one at {many:,} against {few:,}", [ratio], "×", marks=_no_dearer)


def _fifteen_hundred(value: float, share: float) -> tuple[Mark, ...]:
    return (at_least(1_500, value, "1,500/s"),)


def _no_dearer(value: float, share: float) -> tuple[Mark, ...]:
    return (at_most(1.2, value, "1.2 ×"),)


async def _polled(
    directory: Path, peer: Child, registered: int, began_at: int, sizes: Sizes
) -> tuple[list[float], list[float], list[float]]:
    allow, ports = [ip_network("127.0.0.0/8")], frozenset({peer.ready["port"]})
    carriers, metrics = Unlimited(), Polled()
    async with (
        open_store(StoreSettings(directory=directory)) as store,
        guarded_session(guard=Guard(allow, ports)) as session,
    ):
        connections = Connections(store, carriers, Sealer([new_key()]))
        secrets = {"client_id": "bench", "client_secret": "bench", "webhook_secret": SECRET}
        made = await connections.create(
            ACCOUNT, carrier="simulated", base=peer.ready["base"], credentials=secrets, now=began_at * 1000
        )
        await connections.refresh()
        await _register(store, carriers, f"{made.id}/poll", registered, began_at)
        bare = [await _bare(peer, carriers.carrier, sizes.polling_s / 2) for _ in range(sizes.rounds)]
        agenda = _agenda(store, connections, carriers, metrics, session)
        collect_seldom()  # as the daemon does once it is ready
        pid = int((directory / "server.pid").read_text())
        rates, costs = await _rounds(agenda, metrics, pid, sizes, f"polls-{registered}")
    return rates, costs, bare


def _agenda(
    store: Store, connections: Connections, carriers: Unlimited, metrics: Polled, session: aiohttp.ClientSession
) -> Agenda:
    policy = StallPolicy()
    schedule = Schedule(connections, policy, factor=_AT_ONCE)
    ingest = Ingest(store, carriers, due=schedule.due, counters=metrics)
    watch = Watch(ingest, policy, connections.heard_at)
    settling = Settling(store)
    poller = Poller(
        ingest, store, connections, schedule, watch, settling, Exits(session, observer=metrics), observer=metrics
    )
    return Agenda(store, connections, schedule, watch, poller, settling, settings=AgendaSettings(idle_s=_IDLE_S))


async def _rounds(
    agenda: Agenda, metrics: Polled, store_pid: int, sizes: Sizes, name: str
) -> tuple[list[float], list[float]]:
    """Waybills a second, and µs of CPU that each took of us and of the store."""
    rates, costs, pids = [], [], (getpid(), store_pid)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(agenda.run())
        await asyncio.sleep(sizes.polling_s / 2)
        for place in range(sizes.rounds):
            with profiled(sizes if place == sizes.rounds - 1 else None, name):
                asked, began, used = metrics.waybills, time.monotonic(), sum(map(cpu_of, pids))
                await asyncio.sleep(sizes.polling_s)
                waybills = metrics.waybills - asked
                rates.append(waybills / (time.monotonic() - began))
                costs.append((sum(map(cpu_of, pids)) - used) / max(1, waybills) * 1e6)
        agenda.stop()
        await running
    return rates, costs


async def _register(store: Store, carriers: Unlimited, source: str, count: int, began_at: int) -> None:
    """Shipments of which everything that the carrier will answer is known, all due."""
    pattern = await _known(carriers, source, began_at)
    writes = []
    for place in range(count):
        waybill = simulated_number(place)
        document = structs.replace(
            pattern.document, id=store.new_id(ACCOUNT, waybill), account=ACCOUNT, waybill=waybill
        )
        writes.append(
            Write(
                account=ACCOUNT,
                id=document.id,
                expected=0,
                document=_encode(document),
                before=None,
                after=indexed(pattern),
                waybills=(waybill,),
                due=began_at * 1000 + _DAY_MS,
            )
        )
    await play(store, writes)


async def _known(carriers: Unlimited, source: str, began_at: int) -> Shipment:
    wanted = Registration(waybill=simulated_number(0), carrier="simulated")
    document = Document(
        id="", account=ACCOUNT, waybill=wanted.waybill, carrier="simulated", registered_at=began_at * 1000, updated_at=0
    )
    row = {
        "number": wanted.waybill,
        "service": "standard",
        "origin": "上海市",
        "events": simulated_events(began_at, SIMULATED[:4]),
    }
    [report] = carriers.carrier.parse(msgspec.json.encode({"shipments": [row], "errors": []}), "application/json")
    heard_at = int(time.time() * 1000)
    receipt = Receipt(source=source, heard_at=heard_at, report=report, asked=True)
    return derive(merge(document, receipt, reader(carriers.carrier.milestones)))


async def _bare(peer: Child, carrier: Carrier, seconds: float) -> float:
    """Waybills a second of a client that only asks and parses, eight questions at once."""
    body = msgspec.json.encode({"numbers": [simulated_number(place) for place in range(carrier.batch)]})
    url, waybills = f"{peer.ready['base']}/v1/track", 0
    headers = {"Authorization": "Bearer t0", "Content-Type": "application/json"}

    async def work(session: aiohttp.ClientSession, until: float) -> None:
        nonlocal waybills
        while time.monotonic() < until:
            async with session.post(url, data=body, headers=headers) as answer:
                waybills += len(carrier.parse(await answer.read(), "application/json"))

    async with aiohttp.ClientSession() as session:
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(work(session, began + seconds))
        return waybills / (time.monotonic() - began)
