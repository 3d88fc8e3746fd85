"""One endpoint in ten does harm, in each of nine ways: the other nine, and the other parcels, do not notice."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.faults.audit import ROWS, table
from tests.faults.conftest import LONG
from tests.faults.daemon import Daemon, until
from tests.faults.drill import begin
from tests.faults.ears import Ears, Subscriber
from tests.faults.hostile import KINDS, Hostile, hostile
from tests.faults.load import STEPS, Carrier, Scan, connect, register, scans_of, waybills
from tests.faults.receiver import Arrival, Receiver

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

NEIGHBOURS = 9
PARCELS = 100 if LONG else 15  # of each kind's load
RATE = 80  # pushes a second
TIMEOUT_S = 2.0
SLACK_S = TIMEOUT_S / 2  # who waits for a bad endpoint waits its timeout; busy machines do the rest
MIB = 1 << 20


class TimedEars(Ears):
    """Ears that know how long a scan took from its push to each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed: dict[tuple[str, int], float] = {}
        self.took: list[float] = []

    def _account(self, one: Subscriber, id: str, body: bytes) -> None:
        known = id in one.digests
        super()._account(one, id, body)
        data = msgspec.json.decode(body)["data"]
        for event in [] if known else data["events_added"]:
            place = re.search(r" (\d+)$", event["description"])
            assert place
            self.took.append(time.monotonic() - self.pushed[data["shipment"]["waybill"], int(place[1])])


class TimedCarrier(Carrier):
    """Tells the ears when it first pushed a scan."""

    def __init__(self, url: str, scans: Sequence[Scan], ears: TimedEars) -> None:
        super().__init__(url, scans, rate=RATE)
        self._ears = ears

    async def _once(self, http: aiohttp.ClientSession, scan: Scan) -> str:
        self._ears.pushed.setdefault((scan.waybill, scan.place), time.monotonic())
        return await super()._once(http, scan)


@pytest.fixture
async def ears() -> AsyncIterator[TimedEars]:
    async with TimedEars() as ears:
        yield ears


def p99(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def resident(daemon: Daemon) -> float:
    """MiB."""
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def descriptors(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


class Street:
    """A daemon, a carrier and nine neighbours; a tenth moves in and out."""

    def __init__(self, daemon: Daemon, ears: TimedEars, hook: str) -> None:
        self.daemon, self.ears, self.hook = daemon, ears, hook
        self._first = 1

    async def load(self) -> float:
        """The journeys of some parcels, pushed and told; the p99 of a scan's way to the nine, s."""
        numbers = await register(self.daemon, waybills(PARCELS, first=self._first))
        self._first += PARCELS
        self.ears.took.clear()
        carrier = TimedCarrier(self.hook, scans_of(list(numbers)), self.ears)
        await carrier.run()
        ids = [f"msg_{id[4:]}_{place + 1}" for id in numbers.values() for place in range(len(STEPS) + 1)]
        await until(lambda: not self.ears.missing(ids), within=30, what="the neighbours' messages")
        return p99(self.ears.took)


async def test_nine_neighbours_of_a_bad_endpoint_do_not_notice(
    tmp_path: Path, ears: TimedEars, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the tenth does: their p99 stays, nothing is lost or doubled for them, and what it costs is bounded."""
    async with hostile(TIMEOUT_S) as them:
        ports = [ears.port, receiver.port, *them.ports.values()]
        chosen = {
            "egress.allow": "127.0.0.0/8",
            "egress.ports": ",".join(map(str, ports)),
            "delivery.timeout_s": str(TIMEOUT_S),
        }
        async with Daemon(tmp_path / "data", settings=chosen) as daemon:
            await daemon.start()
            street = await moved_in(daemon, ears, receiver)
            await street.load()  # warm
            alone = [await street.load()]
            memory, files = resident(daemon), descriptors(daemon)
            told = {kind: await beside(street, them, kind) for kind in KINDS}
            alone.append(await street.load())
            rows: dict[str, object] = {"nobody": f"{1000 * alone[0]:.0f} ms before, {1000 * alone[1]:.0f} ms after"}
            rows |= {
                kind: f"{1000 * took:.0f} ms, asked {them.asked.get(kind, 0)} times" for kind, took in told.items()
            }
            grown = resident(daemon) - memory
            rows["memory, descriptors"] = f"{grown:+.1f} MiB, {descriptors(daemon) - files:+d}"
            with capsys.disabled():
                print(f"\np99 from push to nine endpoints, {RATE} pushes/s, beside a tenth that is")
                print(table(rows))
            note_street(ears, told)
            assert not +ears.wrong
            assert not ears.repeated
            for kind, took in told.items():
                assert took < 1.2 * max(alone) + SLACK_S, f"{kind}: {rows}"
            assert grown < 48
            # connections are kept for some seconds
            await until(lambda: descriptors(daemon) <= files + 8, within=10, what="an end of the bad ones' connections")
            assert max(times for kind, times in them.asked.items() if kind != "endless") < PARCELS * 3, (
                "a bad endpoint is given up, not hammered"
            )


async def moved_in(daemon: Daemon, ears: TimedEars, receiver: Receiver) -> Street:
    await ears.subscribe(daemon, NEIGHBOURS)
    return Street(daemon, ears, await connect(daemon, receiver))


async def beside(street: Street, them: Hostile, kind: str) -> float:
    """The neighbours' p99 while that one is there."""
    url = f"http://127.0.0.1:{them.ports[kind]}/"
    made = await street.daemon.call("POST", "/v1/subscriptions", {"url": url})
    took = await street.load()
    log = await street.daemon.call("GET", f"/v1/subscriptions/{made['id']}/deliveries", limit="200")
    if kind == "endless":
        done = [entry for entry in log["deliveries"] if entry["outcome"] == "done"]
        assert done, "64 KiB of an answer are enough"
        assert them.sent < (1 + them.asked[kind]) * 8 * MIB  # what fits into buffers beside
    await street.daemon.call("DELETE", f"/v1/subscriptions/{made['id']}")
    return took


def note_street(ears: TimedEars, told: dict[str, float]) -> None:
    pushed = len(ears.pushed)
    worst = f"p99 {1000 * max(told.values()):.0f} ms"
    ROWS["one endpoint in ten bad, nine ways"] = (pushed, 0, 0, ears.wrong["misordered"], 0, ears.repeated, worst)


async def test_a_parcel_that_is_always_refused_holds_up_no_other_of_the_same_endpoint(
    daemon: Daemon, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    """Its lane waits, the other nineteen of the endpoint go on; and when it is taken at last, it comes in order."""
    drill = await begin(request.node.name, daemon, receiver)
    unlucky = next(iter(drill.numbers.values()))
    refuse = True

    def refusing(arrival: Arrival, times: int) -> int:
        return 500 if refuse and arrival.shipment == unlucky else 204

    receiver.answer = refusing
    await drill.carrier.run()
    others = {
        f"msg_{id[4:]}_{revision}"
        for id in drill.numbers.values()
        if id != unlucky
        for revision in range(1, (await daemon.call("GET", f"/v1/shipments/{id}"))["revision"] + 1)
    }
    began = time.monotonic()
    await until(lambda: others <= receiver.ids, within=3, what="the other parcels")
    assert time.monotonic() - began < 3
    assert not [id for id in receiver.ids if id.startswith(f"msg_{unlucky[4:]}_") and not id.endswith("_1")]
    refuse = False
    assert (await drill.examined()).wrong == {}
