"""The carrier's side: parcels registered, scans pushed until each has its 2xx, and a ledger of who got one when."""

from __future__ import annotations

import asyncio
import hmac
import random
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from hashlib import sha256

import aiohttp
import msgspec
from msgspec import Struct, field

from tests.faults.daemon import Daemon, Tenant
from tests.faults.receiver import Receiver
from tracker.demo.numbers import number

SECRET = "the webhook secret of the drill"
STEPS = (
    ("BKD", "已下单"),
    ("PUP", "已揽收"),
    ("DEP", "离开网点"),
    ("ARR", "到达转运中心"),
    ("DEP", "离开转运中心"),
    ("ARR", "到达转运中心"),
    ("LIN", "运输中"),
    ("DPT", "到达派送网点"),
    ("OFD", "派送中"),
    ("DLV", "已签收"),
)
PER_ORDER = 2  # parcels of one order
_BATCH = 1_000
_PUSHERS = 24
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_CHINA = timezone(timedelta(hours=8))


class Scan(Struct, frozen=True):
    """One scan of one parcel: its place in the journey, its words, and the push that tells of it."""

    waybill: str
    place: int
    text: str
    body: bytes


class Ledger(Struct):
    """What the carrier's side knows afterwards."""

    acknowledged: dict[tuple[str, int], Scan] = field(default_factory=dict)
    pushes: int = 0
    repeated: int = 0  # pushes of a scan that had its 2xx already
    answers: Counter[str] = field(default_factory=Counter)
    longest_silence_s: float = 0.0  # between two acknowledgements

    @classmethod
    def of(cls, ledgers: Iterable[Ledger]) -> Ledger:
        """What several carriers know together."""
        whole = cls()
        for one in ledgers:
            whole.acknowledged |= one.acknowledged
            whole.pushes += one.pushes
            whole.repeated += one.repeated
            whole.answers += one.answers
            whole.longest_silence_s = max(whole.longest_silence_s, one.longest_silence_s)
        return whole


def waybills(shipments: int, *, first: int = 1) -> list[str]:
    """Valid numbers of the simulated carrier."""
    return [number("DLV", 20_000_000 + first + place) for place in range(shipments)]


def order_of(place: int) -> str:
    return f"DRILL-{place // PER_ORDER:06d}"


def journey(waybill: str, *, start: datetime | None = None, mark: str = "") -> Iterator[Scan]:
    """The ten scans of a parcel, ten minutes apart, the last one a few minutes ago; `mark` ends their words."""
    begun = start or datetime.now(_CHINA).replace(microsecond=0) - timedelta(minutes=10 * len(STEPS))
    for place, (code, words) in enumerate(STEPS):
        at = begun + timedelta(minutes=10 * place)
        event = {"time": at.isoformat(), "code": code, "text": f"{words} {place}{mark}", "location": "杭州"}
        body = msgspec.json.encode({"event": "scan", "shipment": {"number": waybill, "events": [event]}})
        yield Scan(waybill, place, event["text"], body)


def scans_of(numbers: Sequence[str], *, seed: int = 1, mark: str = "") -> list[Scan]:
    """Every scan of every parcel, all parcels moving side by side; a scan may overtake two others of its parcel."""
    dice = random.Random(seed)
    scans = [scan for waybill in numbers for scan in journey(waybill, mark=mark)]
    return sorted(scans, key=lambda scan: scan.place + dice.random() * 2.5)


async def connect(daemon: Daemon | Tenant, receiver: Receiver) -> str:
    """Make the connection; the address that the carrier pushes to."""
    credentials = {"client_id": "drill", "client_secret": "drill", "webhook_secret": SECRET}
    wanted = {"carrier": "simulated", "name": "drill", "base": receiver.carrier, "credentials": credentials}
    connection = await daemon.call("POST", "/v1/connections", wanted)
    url: str = connection["webhook_url"]
    return daemon.url + url if url.startswith("/") else url


async def settle_in(daemon: Daemon | Tenant, receiver: Receiver) -> str:
    """Make the connection and the subscription; the address that the carrier pushes to."""
    hook = await connect(daemon, receiver)
    subscription = await daemon.call("POST", "/v1/subscriptions", {"url": receiver.url})
    receiver.trust(subscription["secret"])
    return hook


async def register(daemon: Daemon | Tenant, numbers: Sequence[str]) -> dict[str, str]:
    """Register the waybills, a thousand at a time, two to an order; waybill → shipment id."""
    made: dict[str, str] = {}
    for start in range(0, len(numbers), _BATCH):
        items = [
            {"waybill": waybill, "carrier": "simulated", "order_number": order_of(start + place), "shop": "drill"}
            for place, waybill in enumerate(numbers[start : start + _BATCH])
        ]
        answer = await daemon.call("POST", "/v1/shipments", {"shipments": items})
        assert answer["created"] == len(items), answer
        made |= {row["shipment"]["waybill"]: row["shipment"]["id"] for row in answer["results"]}
    return made


def signature(body: bytes) -> str:
    """As `carriers/simulated` verifies it: HMAC-SHA256 of the body, hex."""
    return hmac.new(SECRET.encode(), body, sha256).hexdigest()


class Carrier:
    """Pushes scans, again and again until each has its 2xx, and now and then once more after that."""

    def __init__(self, url: str, scans: Sequence[Scan], *, again: float = 0.03, rate: float = 0.0) -> None:
        self.url = url
        self.ledger = Ledger()
        self.wanted = len(scans)
        self._waiting = deque(scans)
        self._again = again  # the share that is pushed again although it was acknowledged
        self._rate = rate  # pushes a second; 0: as fast as they are answered
        self._dice = random.Random(7)
        self._acknowledged_at = 0.0
        self._slot = 0.0

    @property
    def done(self) -> bool:
        return len(self.ledger.acknowledged) == self.wanted and not self._waiting

    def hasten(self) -> None:
        """From now on push as fast as it is answered."""
        self._rate = 0.0

    async def run(self) -> Ledger:
        """Push until everything is acknowledged."""
        self._acknowledged_at = time.monotonic()
        connector = aiohttp.TCPConnector(limit=_PUSHERS)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as http, asyncio.TaskGroup() as tasks:
            for _ in range(_PUSHERS):
                tasks.create_task(self._push(http))
        return self.ledger

    async def _push(self, http: aiohttp.ClientSession) -> None:
        while not self.done:
            if not self._waiting:  # another pusher has the last ones, and may have to bring them back
                await asyncio.sleep(0.05)
                continue
            await self._pace()
            if not self._waiting:
                continue
            scan = self._waiting.popleft()
            status = await self._once(http, scan)
            self.ledger.pushes += 1
            self.ledger.answers[status] += 1
            if status == "200":
                self._acknowledge(scan)
            else:
                self._waiting.append(scan)
                await asyncio.sleep(0.1 + 0.2 * self._dice.random())

    async def _pace(self) -> None:
        if self._rate:
            now = time.monotonic()
            self._slot = max(self._slot + 1 / self._rate, now)
            await asyncio.sleep(self._slot - now)

    async def _once(self, http: aiohttp.ClientSession, scan: Scan) -> str:
        headers = {"Content-Type": "application/json", "X-Simulated-Signature": signature(scan.body)}
        try:
            async with http.post(self.url, data=scan.body, headers=headers) as reply:
                told = await reply.read()
                return "200" if reply.status == 200 and b"true" in told else str(reply.status)
        except TimeoutError:
            return "timeout"
        except (aiohttp.ClientError, OSError) as error:
            return type(error).__name__

    def _acknowledge(self, scan: Scan) -> None:
        now = time.monotonic()
        self.ledger.longest_silence_s = max(self.ledger.longest_silence_s, now - self._acknowledged_at)
        self._acknowledged_at = now
        name = (scan.waybill, scan.place)
        if name in self.ledger.acknowledged:
            self.ledger.repeated += 1
        self.ledger.acknowledged[name] = scan
        if self._dice.random() < self._again:
            self._waiting.append(scan)


def deal(scans: Sequence[Scan], hooks: Sequence[str], *, rate: float) -> list[Carrier]:
    """The scans of each parcel, dealt to a carrier for each daemon: all of them write the same shipments at once.

    `rate` is that of all together.
    """
    dice = random.Random(3)
    dealt: list[list[Scan]] = [[] for _ in hooks]
    for scan in scans:
        dealt[dice.randrange(len(hooks))].append(scan)
    return [Carrier(hook, some, rate=rate / len(hooks)) for hook, some in zip(hooks, dealt, strict=True)]
