"""The bounds of one process, as the handlers ask for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web
from msgspec import Struct, field

from tracker.ingress.addresses import Addresses
from tracker.ingress.guesses import Guesses
from tracker.ingress.rates import Rates
from tracker.ingress.turns import Turns


class Bounds(Struct, frozen=True, kw_only=True):
    """`keys`, `accounts` (all keys of one together) and `pushes` bound those who have proved who they are, `strangers`
    and `guesses` those who have not. `buyers` bounds the pages of parcels: behind a proxy many buyers may share an
    address with carriers, who must not wait for them.

    Somebody is a `name` (of a key, of a connection) at an address. Whoever proved the name there before does not wait
    because of a neighbour. `clock` is a steady one: what is counted here lasts no longer than the process.
    """

    addresses: Addresses = field(default_factory=Addresses)
    keys: Rates = field(default_factory=lambda: Rates(0.0, policy="key"))
    accounts: Rates = field(default_factory=lambda: Rates(0.0, policy="account"))
    pushes: Rates = field(default_factory=lambda: Rates(0.0, policy="connection"))
    strangers: Rates = field(default_factory=lambda: Rates(0.0, policy="address"))
    buyers: Rates = field(default_factory=lambda: Rates(0.0, policy="address"))
    guesses: Guesses = field(default_factory=Guesses)
    turns: Turns = field(default_factory=Turns)
    clock: Callable[[], float] = time.monotonic

    def wait_s(self, request: web.Request, name: str, *, guessing: str = "") -> int:
        """How long this one has to wait before it is looked at; 0: not at all.

        `guessing` parts the counts of wrong secrets: those at one connection are not held against another. Where the
        look takes a while it is asked again after it: what fails meanwhile counts, however many come at once.
        """
        if not self.guesses and not self.strangers.bounded:
            return 0
        address = self.addresses.of(request)
        if self.guesses.has_proved((address, name)):
            return 0
        return max(self.guesses.wait_s((address, guessing), self.clock()), self.strangers.wait_s(address))

    def unproved(self, request: web.Request) -> None:
        """It is nobody that we know."""
        self.strangers.take(self.addresses.of(request))

    def guessed(self, request: web.Request, *, guessing: str = "") -> None:
        """It showed a key or a secret that is wrong."""
        address = self.addresses.of(request)
        self.guesses.failed((address, guessing), self.clock())
        self.strangers.take(address)

    def proved(self, request: web.Request, name: str) -> None:
        """It showed the right one."""
        self.guesses.proved((self.addresses.of(request), name))
