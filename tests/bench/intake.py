"""Intake: webhook → fsynced 2xx, alone and while every change is delivered too."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from msgspec import Struct, field

from tests.bench.daemon import Daemon, daemon
from tests.bench.figures import Figure, Mark, Sizes, at_least, figure
from tests.bench.journeys import EVENTS, SECRET, request, sf_number, sf_push, simulated_number, simulated_push
from tests.bench.load import write_requests
from tests.bench.processes import Answer, Child, child, cpu_of, store_pid, workspace

CEILING = "aiohttp: HMAC, JSON, one XADD, same flush loop"
_DRAINS_WITHIN_S = 120.0
_AGO_S = 3 * 86_400


class Form(Struct, frozen=True, kw_only=True):
    """How one carrier pushes."""

    slug: str
    number: Callable[[int], str]
    push: Callable[[int, int, int], tuple[bytes, dict[str, str]]]
    credentials: dict[str, str]
    details: dict[str, str] = {}


FORMS = (
    Form(
        slug="simulated",
        number=simulated_number,
        push=simulated_push,
        credentials={"client_id": "bench", "client_secret": "bench", "webhook_secret": SECRET},
    ),
    Form(
        slug="sf",
        number=sf_number,
        push=sf_push,
        credentials={"partner_id": "bench", "checkword": "bench"},
        details={"phone_tail": "0000"},
    ),
)


class Rounds(Struct):
    """What the rounds of one variant gave, webhooks a second and ms."""

    ceiling: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    through: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # µs of CPU a webhook, daemon and store together


class Bench:
    """The processes of one run: daemon, what delivers (the same or a second one), load, receiver, ceiling."""

    def __init__(self, sizes: Sizes, directory: Path, load: Child, receiver: Child, bare: Child) -> None:
        self.sizes = sizes
        self._file = directory / "requests"
        self._load = load
        self._receiver = receiver
        self._bare = bare
        self._place = 0
        self._began_at = int(time.time()) - _AGO_S
        self.store_pid = 0

    async def rounds(self, form: Form, intake: Daemon, delivering: Daemon, *, heard: bool) -> Rounds:
        """Warm up, then measure; ceiling and daemon take turns."""
        made = await intake.call("POST", "/connections", {"carrier": form.slug, "credentials": form.credentials})
        url = made["webhook_url"]
        path = "/hooks/" + url.partition("/hooks/")[2]
        if form.slug == "simulated":
            path = path.rpartition("/")[0]  # signed: no secret in the address
        found = Rounds()
        for place in range(self.sizes.warm + self.sizes.rounds):
            into = found if place >= self.sizes.warm else Rounds()
            await self._round(form, path, intake, delivering, into, heard=heard)
        return found

    async def _round(
        self, form: Form, path: str, intake: Daemon, delivering: Daemon, found: Rounds, *, heard: bool
    ) -> None:
        parcels = range(self._place, self._place + self.sizes.pushes // EVENTS)
        self._place = parcels.stop
        await self._receiver.ask("reset")
        await intake.register(form.slug, [form.number(place) for place in parcels], **form.details)
        await self._drained(delivering, len(parcels), heard=heard)
        pushes = [request(path, *form.push(place, step, self._began_at)) for step in range(EVENTS) for place in parcels]
        write_requests(self._file, pushes)
        found.ceiling.append(_rate(await self._run(self._bare.ready["port"])))
        await self._receiver.ask("reset")
        pids = {intake.pid, delivering.pid, self.store_pid}
        used = sum(map(cpu_of, pids))
        run = await self._run(intake.port)
        last_at = await self._drained(delivering, len(pushes), heard=heard)
        found.taken.append(_rate(run))
        found.through.append(run["sent"] / (max(last_at, run["ended"]) - run["began"]))
        found.p99.append(run["p99_ms"])
        found.cpu.append((sum(map(cpu_of, pids)) - used) / len(pushes) * 1e6)

    async def _run(self, port: int) -> Answer:
        run = await self._load.ask("run", port=port, connections=self.sizes.connections, file=str(self._file))
        if run["refused"]:
            raise RuntimeError(f"{run['refused']} of {run['sent']} webhooks were not answered with 200")
        return run

    async def _drained(self, delivering: Daemon, changes: int, *, heard: bool) -> float:
        """Wait until every change was delivered; when the subscriber got its last one."""
        async with asyncio.timeout(_DRAINS_WITHIN_S):
            while True:
                at = await self._receiver.ask("count")
                if not heard or at["distinct"] >= changes:
                    return float(at["last_at"])
                await asyncio.sleep(0.05)


def _rate(run: Answer) -> float:
    return float(run["sent"] / (run["ended"] - run["began"]))


async def intake(sizes: Sizes) -> AsyncIterator[Figure]:
    """Each form alone and with a subscriber in one process, then with a process for delivery beside it."""
    with workspace() as directory:
        async with (
            child("load") as load,
            child("receiver") as receiver,
            child("bare", str(directory / "bare")) as bare,
        ):
            bench = Bench(sizes, directory, load, receiver, bare)
            egress = {"egress.allow": "127.0.0.0/8", "egress.ports": str(receiver.ready["port"])}
            async for one in _one_process(bench, directory / "one", receiver.ready["url"], egress):
                yield one
            async for one in _two_processes(bench, directory / "two", receiver.ready["url"], egress):
                yield one


async def _one_process(bench: Bench, data: Path, url: str, egress: dict[str, str]) -> AsyncIterator[Figure]:
    profile = bench.sizes.profiles and bench.sizes.profiles / "intake.pstats"
    async with daemon(data, {"roles": "intake,delivery", **egress}, profile=profile) as one:
        bench.store_pid = store_pid(data)
        for form in FORMS:
            found = await bench.rounds(form, one, one, heard=False)
            yield _figure(f"intake: {form.slug}, no subscriber", found.taken, found, _half)
        await one.call("POST", "/subscriptions", {"url": url})
        for form in FORMS:
            found = await bench.rounds(form, one, one, heard=True)
            for made in _heard(f"intake: {form.slug}, one subscriber", found):
                yield made


async def _two_processes(bench: Bench, data: Path, url: str, egress: dict[str, str]) -> AsyncIterator[Figure]:
    store = f"unix://{data / 'store' / 'store.sock'}"
    profiles = bench.sizes.profiles
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            daemon(data, {"roles": "intake", **egress}, profile=profiles and profiles / "intake-alone.pstats")
        )
        second = await stack.enter_async_context(
            daemon(
                data,
                {"roles": "delivery", "store.url": store, **egress},
                profile=profiles and profiles / "delivery-alone.pstats",
                key="none",
            )
        )
        bench.store_pid = store_pid(data)
        await first.call("POST", "/subscriptions", {"url": url})
        found = await bench.rounds(FORMS[0], first, second, heard=True)
        for made in _heard(f"intake: {FORMS[0].slug}, one subscriber, two processes", found):
            yield made


def _heard(name: str, found: Rounds) -> Iterable[Figure]:
    yield _figure(name, found.taken, found, _half)
    yield figure(f"{name}: until the last is delivered", found.through, "changes/s", marks=_four_thousand)
    yield figure(f"{name}: p99 of the 2xx", found.p99, "ms")
    yield figure(f"{name}: CPU of daemon and store", found.cpu, "µs/webhook")


def _figure(name: str, rounds: list[float], found: Rounds, marks: Callable[[float, float], Iterable[Mark]]) -> Figure:
    return figure(name, rounds, "webhooks/s", ceiling=found.ceiling, ceiling_is=CEILING, marks=marks)


def _half(value: float, share: float) -> tuple[Mark, ...]:
    return (at_least(0.5, share, "50 % of the ceiling"), at_least(4_000, value, "4,000/s"))


def _four_thousand(value: float, share: float) -> tuple[Mark, ...]:
    return (at_least(4_000, value, "4,000/s"),)
