"""A running daemon with a few parcels, whose scans are pushed while something happens to it."""

from __future__ import annotations

import asyncio

from tests.faults.audit import Findings, examine, note
from tests.faults.daemon import Daemon, while_moving
from tests.faults.load import Carrier, Ledger, register, scans_of, settle_in, waybills
from tests.faults.receiver import Receiver


class Drill:
    """Twenty parcels by default, their scans at a hundred a second."""

    def __init__(self, name: str, daemon: Daemon, receiver: Receiver, hook: str, numbers: dict[str, str]) -> None:
        self.name = name
        self.daemon, self.receiver, self.numbers = daemon, receiver, numbers
        self.carrier = Carrier(hook, scans_of(list(numbers)), rate=100)

    async def acknowledged(self, share: float) -> None:
        """Wait until that share of the scans has its 2xx."""
        wanted, acknowledged = share * self.carrier.wanted, self.carrier.ledger.acknowledged
        await while_moving(
            lambda: len(acknowledged) >= wanted, moves=lambda: len(acknowledged), stuck_s=60, what="the pushes"
        )

    async def pushed(self, pushing: asyncio.Task[Ledger]) -> None:
        """Wait until every scan has its 2xx."""
        acknowledged = self.carrier.ledger.acknowledged
        await while_moving(pushing.done, moves=lambda: len(acknowledged), stuck_s=60, what="the pushes")
        await pushing

    async def examined(self) -> Findings:
        """Everything held against everything, once all is delivered."""
        found = await examine(self.daemon, self.receiver, self.carrier.ledger, self.numbers)
        note(self.name, self.carrier.ledger, found)
        return found


async def begin(name: str, daemon: Daemon, receiver: Receiver, *, parcels: int = 20, **chosen: str) -> Drill:
    """Start the daemon, connect the carrier and the subscriber, register the parcels; `name` is the test's.

    `chosen`: settings of this start, as `Daemon.spawn` takes them.
    """
    await daemon.start(**chosen)
    hook = await settle_in(daemon, receiver)
    return Drill(name, daemon, receiver, hook, await register(daemon, waybills(parcels)))
