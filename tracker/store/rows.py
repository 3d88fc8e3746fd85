"""Lists that lie in every shard, read as one: highest score first, page by page."""

from __future__ import annotations

import asyncio
import heapq
import struct
from collections.abc import Callable, Sequence
from typing import Any

from tracker.store.keys import decode_cursor, encode_cursor
from tracker.store.wire import Calls, number

Row = tuple[int, int, bytes]  # score, shard, member (its first six bytes are an id)

_CURSOR = struct.Struct(">QH6s")


class Rows(Calls):
    """Reads sorted lists over all shards."""

    async def rows(
        self, lists: Callable[[int], Sequence[bytes]], cursor: str | None, limit: int, suffix: bytes = b""
    ) -> list[Row]:
        """(score, shard, member) below the cursor, highest first, at most `limit`, over all shards."""
        last = row_of(cursor) if cursor else None

        def ask(shard: int) -> asyncio.Future[Any]:
            score, bound = bounds(shard, last)
            return self._read(shard, "page", lists(shard), (score, bound, number(limit), suffix))

        answers = await self._everywhere(ask)
        found = (
            (int(answer[at]), shard, answer[at + 1])
            for shard, answer in enumerate(answers)
            for at in range(1, len(answer), 2)
        )
        return heapq.nlargest(limit, found)


def row_of(cursor: str) -> Row:
    """The row that a cursor stands on; `ValueError` where it is none of ours."""
    parts = decode_cursor(cursor)
    if len(parts) != _CURSOR.size:
        raise ValueError(f"cursor {cursor!r} is not one of this list")
    score, shard, member = _CURSOR.unpack(parts)
    return score, shard, member


def row_cursor(rows: Sequence[Row], limit: int) -> str | None:
    """The cursor after a full page; None after a short one."""
    if len(rows) < limit or not rows:
        return None
    score, shard, member = rows[-1]
    return encode_cursor(_CURSOR.pack(score, shard, member[:6]))


def bounds(shard: int, last: Row | None) -> tuple[bytes, bytes]:
    """The highest score that a shard may still give, and the id below which it must lie at that score."""
    if last is None:
        return b"+inf", b""
    score, of, member = last
    if shard < of:
        return b"%d" % score, b""
    return b"%d" % score, b"%d" % (int.from_bytes(member, "big") if shard == of else 0)
