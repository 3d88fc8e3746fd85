"""A push that somebody caught and sends again: refused once its carrier would not send it again, before that unread."""

from __future__ import annotations

import contextlib
from hashlib import blake2b
from typing import Protocol

from carriers.sdk import Carrier, Push
from tracker.connections.connection import Connection
from tracker.store.types import StoreDown


class Marks(Protocol):
    """What is remembered of pushes that were taken."""

    async def marked(self, account: str, owner: str, mark: bytes) -> bool: ...
    async def mark(self, account: str, owner: str, mark: bytes, *, life_ms: int) -> None: ...


class Stale(Exception):
    """A genuine push that is too old, or of a time to come."""


class Replays:
    """Looks at the time that a carrier's signature covers, where it covers one (`Carrier.signed`).

    `window_s`: how far that time may be from ours, besides the time over which the carrier itself repeats a push; 0:
    it is not looked at.
    """

    def __init__(self, marks: Marks, window_s: float) -> None:
        self._marks = marks
        self._window = window_s

    def mark(self, carrier: Carrier, push: Push, now_s: float) -> bytes:
        """What stands for this very push, genuine as it is; empty where no time of it is signed. Raises Stale."""
        if carrier.signed is None or not self._window:
            return b""
        try:
            at = carrier.signed.at(push)
        except (ValueError, ArithmeticError):  # signed by the carrier all the same: nobody else made it unreadable
            at = None
        if at is None:
            return b""
        age = now_s - at
        if age > self._window + carrier.signed.repeated_s:
            raise Stale(f"was signed {age:.0f} s ago")
        if age < -self._window:
            raise Stale(f"was signed {-age:.0f} s from now")
        return blake2b(push.body, digest_size=16, salt=b"%d" % at, person=b"push taken").digest()

    async def repeated(self, connection: Connection, mark: bytes) -> bool:
        """Whether this very push was taken before: it says nothing new, not even that the carrier is alive."""
        return bool(mark) and await self._marks.marked(connection.account, connection.id, mark)

    async def taken(self, connection: Connection, carrier: Carrier, mark: bytes) -> None:
        """Remember it for as long as it would not be stale."""
        if mark and carrier.signed:
            life_s = 2 * self._window + carrier.signed.repeated_s
            with contextlib.suppress(StoreDown):  # what it said is on disk, and taken again it changes nothing
                await self._marks.mark(connection.account, connection.id, mark, life_ms=int(life_s * 1000))
