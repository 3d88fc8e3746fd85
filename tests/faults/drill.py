"""A running daemon with a few parcels, whose scans are pushed while something happens to it."""

from __future__ import annotations

from tests.faults.audit import Findings, examine, note
from tests.faults.daemon import Daemon, until
from tests.faults.load import Carrier, register, scans_of, settle_in, waybills
from tests.faults.receiver import Receiver


class Drill:
    """Twenty parcels by default, their scans at a hundred a second."""

    def __init__(self, name: str, daemon: Daemon, receiver: Receiver, hook: str, numbers: dict[str, str]) -> None:
        self.name = name
        self.daemon, self.receiver, self.numbers = daemon, receiver, numbers
        self.carrier = Carrier(hook, scans_of(list(numbers)), rate=100)

    async def acknowledged(self, share: float) -> None:
        """Wait until that share of the scans has its 2xx."""
        wanted = share * self.carrier.wanted
        await until(lambda: len(self.carrier.ledger.acknowledged) >= wanted, within=60, what="progress")

    async def examined(self) -> Findings:
        """Everything held against everything, once all is delivered."""
        found = await examine(self.daemon, self.receiver, self.carrier.ledger, self.numbers)
        note(self.name, self.carrier.ledger, found)
        return found


async def begin(name: str, daemon: Daemon, receiver: Receiver, *, parcels: int = 20) -> Drill:
    """Start the daemon, connect the carrier and the subscriber, register the parcels; `name` is the test's."""
    await daemon.start()
    hook = await settle_in(daemon, receiver)
    return Drill(name, daemon, receiver, hook, await register(daemon, waybills(parcels)))
