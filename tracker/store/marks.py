"""Pushes that were taken, by a mark of each: bounded for a connection, and forgotten with time."""

from __future__ import annotations

from tracker.store.keys import CONTROL
from tracker.store.wire import Calls, checked, number

_MOST = 10_000  # of one connection; the oldest make room


class Marks(Calls):
    """The marks' part of the store. Errors: StoreDown."""

    async def marked(self, connection: str, mark: bytes) -> bool:
        """Whether a push with this mark was taken."""
        return await self.wire.control().send(b"ZSCORE", _key(connection), mark, again=True) is not None

    async def mark(self, connection: str, mark: bytes, *, life_ms: int) -> None:
        """Remember that it was."""
        args = (mark, number(life_ms), number(_MOST))
        checked(await self.wire.control().send(b"FCALL", b"milepost_mark", b"1", _key(connection), *args, again=True))


def _key(connection: str) -> bytes:
    return CONTROL + b"m:" + connection.encode()
