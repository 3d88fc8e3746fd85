"""What was heard of the commits to each shard, so that fan-out need not read what it was told already.

A commit's wake-up carries its feed entries. What is published may be lost or come late, so nothing here is certain:
the store fans out nothing unless the entries that are known here are all those that it has there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha1

from tracker.store.cursors import Position, position_of, unpack_position
from tracker.store.keys import ORDERLESS, encode_id, kind_of
from tracker.store.types import FeedEntry

KEPT = 500  # entries of one shard; who has missed so many reads them


def entry_of(shard: int, stream_id: str, account: str, change: bytes) -> FeedEntry:
    """A feed entry from its stored form: id, revision u32, `-` where no order is concerned, kind code."""
    revision = int.from_bytes(change[6:10], "big")
    at = position_of(stream_id)[0]
    ordered = change[10:11] != ORDERLESS
    kind = kind_of(change[10:] if ordered else change[11:])
    return FeedEntry(stream_id, account, encode_id("shp_", shard, change[:6]), revision, kind, at, ordered)


def proof_of(entries: Sequence[FeedEntry]) -> bytes:
    """What the store makes of the positions of these entries, where it has them and no others."""
    return sha1(",".join([entry.position for entry in entries]).encode(), usedforsecurity=False).hexdigest().encode()


class Hearsay:
    """The entries that were heard of each shard after the position up to which it is fanned out, as far as is known."""

    def __init__(self, shards: int) -> None:
        self._fanned: list[Position | None] = [None] * shards  # None: not known
        self._heard: list[list[FeedEntry] | None] = [None] * shards  # None: nothing is kept
        self._doubts = [0] * shards

    def told(self, shard: int, entries: bytes) -> None:
        """Take in what a wake-up carried; nobody who does not fan out keeps any of it."""
        fanned, heard = self._fanned[shard], self._heard[shard]
        if heard is None:
            return
        account, found = unpacked(entries)
        heard += [
            entry_of(shard, _stream_id(position), account, change)
            for position, change in found
            if fanned is None or position > fanned
        ]
        if len(heard) > KEPT:
            self.forget(shard)

    def forget(self, shard: int) -> None:
        """Something may have gone by unheard, or what was heard is not so."""
        self._fanned[shard] = self._heard[shard] = None
        self._doubts[shard] += 1

    def reading(self, shard: int) -> int:
        """A read is about to be sent; what is committed after it ran may be heard before it is answered."""
        if self._heard[shard] is None:
            self._heard[shard] = []
        return self._doubts[shard]

    def read(self, shard: int, cursor: str, reading: int) -> None:
        """All that came after the cursor was read, and nothing went by unheard since the read was sent."""
        if self._doubts[shard] == reading:
            self._fanned[shard] = position_of(cursor)
            self.moved(shard, cursor)

    def moved(self, shard: int, cursor: str) -> None:
        """The shard is fanned out up to there."""
        if self._fanned[shard] is not None:
            position = self._fanned[shard] = position_of(cursor)
            self._heard[shard] = [one for one in self._heard[shard] or () if position_of(one.position) > position]

    def unfanned(self, shard: int) -> tuple[str, list[FeedEntry]] | None:
        """Where it is fanned out and what was heard to come after; None where that is not known."""
        fanned = self._fanned[shard]
        return None if fanned is None else (_stream_id(fanned), list(self._heard[shard] or ()))


def _stream_id(position: Position) -> str:
    return f"{position[0]}-{position[1]}"


def unpacked(told: bytes) -> tuple[str, list[tuple[Position, bytes]]]:
    """The account and the entries that a wake-up names: position, change."""
    account, _, packed = told.partition(b"\0")
    return account.decode(), list(_entries(packed))


def _entries(packed: bytes) -> Iterator[tuple[Position, bytes]]:
    at = 0
    while at < len(packed):
        end = at + 11 + packed[at + 10]
        yield unpack_position(packed[at : at + 10]), packed[at + 11 : end]
        at = end
