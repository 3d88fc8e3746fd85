"""One account with its carrier, its subscriber and its order store: what is pushed to it, and what it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from tests.faults.audit import Findings, differences, examine, note
from tests.faults.daemon import Daemon, Tenant, until, while_moving
from tests.faults.load import STEPS, Carrier, Ledger, Scan, deal, journey, register, scans_of, settle_in, waybills
from tests.faults.receiver import Receiver

LEASE_S = 130.0  # of a poll that a killed daemon had under way, and a margin
SIGNING = "whsec_ZHJpbGxkcmlsbGRyaWxsZHJpbGxkcmlsbGRyaWxs"


class Side:
    """Every side follows the same waybills; its name ends the words of its scans."""

    def __init__(self, name: str, account: Daemon | Tenant, receiver: Receiver) -> None:
        self.name, self.account, self.receiver = name, account, receiver
        self.numbers: dict[str, str] = {}
        self.polled: dict[str, list[Scan]] = {}
        self.carriers: list[Carrier] = []

    @property
    def ledger(self) -> Ledger:
        """What its carrier knows, through whichever daemon it pushed."""
        return Ledger.of(carrier.ledger for carrier in self.carriers)

    async def begin(self, parcels: int, *, polled: int = 0, rate: float = 0.0, beside: Sequence[Daemon] = ()) -> None:
        """Connect carrier, subscriber and order store; register what is pushed, and what is asked for.

        `rate`: pushes a second, dealt to this daemon and those `beside` it.
        """
        hook = await settle_in(self.account, self.receiver)
        store = {
            "platform": "http",
            "base": f"{self.receiver.carrier}/orders",
            "credentials": {"signing_secret": SIGNING},
        }
        await self.account.call("POST", "/v1/order-stores", store)
        numbers = waybills(parcels + polled)
        self.numbers = await register(self.account, numbers)
        mark = f" ({self.name})"
        self.polled = {waybill: list(journey(waybill, mark=mark)) for waybill in numbers[parcels:]}
        doors = [hook, *(hook.replace(self.account.url, other.url) for other in beside)]
        self.carriers = deal(scans_of(numbers[:parcels], mark=mark), doors, rate=rate)

    async def push(self) -> None:
        """Push until everything is acknowledged."""
        await asyncio.gather(*(carrier.run() for carrier in self.carriers))

    async def pushed(self, pushing: asyncio.Task[None]) -> None:
        """Wait until everything is acknowledged."""
        await while_moving(pushing.done, moves=self._so_far, stuck_s=60, what="the pushes")
        await pushing

    async def acknowledged(self, share: float) -> None:
        """Wait until that share of the scans has its 2xx."""
        wanted = share * sum(carrier.wanted for carrier in self.carriers)
        await until(lambda: self._so_far() >= wanted, within=60, what="progress")

    def _so_far(self) -> int:
        return sum(len(carrier.ledger.acknowledged) for carrier in self.carriers)

    def reveal(self, share: float) -> None:
        """From now on the carrier tells of that share of the journeys that are only asked for."""
        for waybill, scans in self.polled.items():
            told = scans[: round(share * len(scans))]
            events = [msgspec.json.decode(scan.body)["shipment"]["events"][0] for scan in told]
            if events:
                self.receiver.histories[waybill] = events

    async def examined(self, row: str) -> Findings:
        """Everything held against everything, what came by polls included; noted as that row of the run's table."""
        await until(self._asked_for, within=LEASE_S, what="the parcels that are only asked for", every=0.5)
        ledger = self.ledger
        ledger.acknowledged |= {(scan.waybill, scan.place): scan for some in self.polled.values() for scan in some}
        found = await examine(self.account, self.receiver, ledger, self.numbers)
        views = {id: await self.account.call("GET", f"/v1/shipments/{id}") for id in self.numbers.values()}
        await until(lambda: not self._untold(views), within=60, what="the order store's last word", every=0.5)
        note(row, ledger, found)
        return found

    async def _asked_for(self) -> bool:
        ids = [self.numbers[waybill] for waybill in self.polled]
        views = [await self.account.call("GET", f"/v1/shipments/{id}") for id in ids]
        return all(len(view["events"]) >= len(STEPS) for view in views)

    def _untold(self, views: Mapping[str, dict[str, object]]) -> list[str]:
        return differences(list(self.receiver.books.values()), views)
