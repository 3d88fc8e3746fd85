"""Where a reader of the feed stands: a position in each shard, and all of them as one opaque cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from tracker.store.keys import MAX_SHARDS, decode_cursor, encode_cursor

Position = tuple[int, int]  # ms and sequence: a stream id

_FORMAT = 1
_WIDEST = 63  # bits of a number, and more than any has
_CURSORS = 128  # remembered: readers that are in step stand at one cursor


def position_of(stream_id: str) -> Position:
    at, _, seq = stream_id.partition("-")
    return int(at), int(seq)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varints(data: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        if byte < 128:
            yield value
            value = shift = 0
        elif (shift := shift + 7) > _WIDEST:
            return  # a cursor is what somebody sends us: a number without end costs its square in time


def pack_cursor(epoch: int, positions: Sequence[Position | None]) -> str:
    """A cursor: one position per shard (None: from the beginning), times as steps from the earliest.

    A step of 0 stands for None, one of 1 for the time 0.
    """
    base = min((position[0] for position in positions if position and position[0]), default=0)
    out = bytearray((_FORMAT,))
    out += _varint(epoch) + _varint(len(positions)) + _varint(base)
    for position in positions:
        if position is None:
            out += b"\0"
        else:
            out += _varint(position[0] - base + 2 if position[0] else 1) + _varint(position[1])
    return encode_cursor(bytes(out))


@lru_cache(maxsize=_CURSORS)
def unpack_cursor(cursor: str) -> tuple[int, tuple[Position | None, ...]]:
    """Epoch and positions of a cursor; `ValueError` where it is not one of a feed."""
    data = decode_cursor(cursor)
    try:
        if data[0] != _FORMAT:
            raise StopIteration
        numbers = _varints(data[1:])
        epoch, shards, base = next(numbers), next(numbers), next(numbers)
        if shards > MAX_SHARDS:
            raise StopIteration
        steps = (next(numbers) for _ in range(shards))
        positions = tuple([(base + step - 2 if step > 1 else 0, next(numbers)) if step else None for step in steps])
        if any(position and (position[0] >> 48 or position[1] >> 32) for position in positions):
            raise StopIteration
    except (IndexError, StopIteration, RuntimeError):
        raise ValueError(f"cursor {cursor!r} is not one of the feed") from None
    return epoch, positions


def pack_position(position: Position | None) -> bytes:
    """Six bytes of ms and four of sequence, or nothing for the beginning."""
    return position[0].to_bytes(6, "big") + position[1].to_bytes(4, "big") if position else b""


def unpack_position(packed: bytes) -> Position:
    return int.from_bytes(packed[:6], "big"), int.from_bytes(packed[6:], "big")
