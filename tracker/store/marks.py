"""What was done once, by a mark of each: pushes that were taken, sessions that were ended.

Bounded for each owner, and forgotten with time; an account's marks go with it.
"""

from __future__ import annotations

from tracker.store.keys import CONTROL
from tracker.store.wire import Calls, checked, number

_MOST = 10_000  # of one owner, a connection say; the oldest make room


class Marks(Calls):
    """The marks' part of the store. Errors: StoreDown."""

    async def marked(self, account: str, owner: str, mark: bytes) -> bool:
        """Whether its owner has this mark."""
        return await self.wire.control().send(b"ZSCORE", _key(account, owner), mark, again=True) is not None

    async def mark(self, account: str, owner: str, mark: bytes, *, life_ms: int) -> None:
        """Remember that it has."""
        args = (mark, number(life_ms), number(_MOST))
        checked(
            await self.wire.control().send(b"FCALL", b"milepost_mark", b"1", _key(account, owner), *args, again=True)
        )


def _key(account: str, owner: str) -> bytes:
    return CONTROL + f"m:{account}:{owner}".encode()
