"""The audit trail: a stream for each account in its home shard, bounded by age and by number."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.store.cursors import position_of
from tracker.store.keys import decode_cursor, encode_cursor
from tracker.store.wire import Calls, checked, number

_AT_ONCE = 500


class Trail(Calls):
    """The audit trail's part of the store."""

    async def record_acts(self, account: str, acts: Sequence[bytes], *, keep_ms: int, keep: int) -> None:
        """Write acts at the end of the account's trail, and cut off what is too old or too many.

        A reply that is lost may have been written. Raises `Gone` for a deleted account.
        """
        home, key = self.keys.trail(account)
        named = (key, self.keys.tombs[home])
        for at in range(0, max(1, len(acts)), _AT_ONCE):
            args = (account.encode(), number(keep_ms), number(keep), *acts[at : at + _AT_ONCE])
            checked(await self._write(home, "record_acts", named, args))

    async def acts(
        self, account: str, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[tuple[str, int, bytes]], str | None]:
        """(position, ms, act), latest first, and the cursor of the rest; `ValueError` for a cursor of another list."""
        home, key = self.keys.trail(account)
        last = f"({_stream_id(cursor)}".encode() if cursor else b"+"
        found = await self._plain(home, b"XREVRANGE", key, last, b"-", b"COUNT", number(limit))
        acts = [(id.decode(), position_of(id.decode())[0], fields[1]) for id, fields in found]
        return acts, encode_cursor(acts[-1][0].encode()) if len(acts) == limit else None


def _stream_id(cursor: str) -> str:
    text = decode_cursor(cursor).decode("ascii", "replace")
    at, seq = position_of(text)
    if f"{at}-{seq}" != text or max(at, seq) >> 63 or min(at, seq) < 0:
        raise ValueError(f"cursor {cursor!r} is not one of this list")
    return text
