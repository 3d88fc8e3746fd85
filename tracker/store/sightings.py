"""What carriers said that nothing covers: counted by many processes, in one hash for each account and one for all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from tracker.store.keys import CONTROL
from tracker.store.records import TOMBS
from tracker.store.types import Sighting
from tracker.store.wire import Calls, checked, number

EVERYBODY = ""  # in the place of an account
_AT_ONCE = 200

_Kept = tuple[int, int, int, str, str]
_decode = msgspec.msgpack.Decoder(_Kept).decode

Key = tuple[str, str, str]  # carrier, kind, key


def sightings_key(account: str) -> bytes:
    """The hash of an account's sightings."""
    return CONTROL + b"s:" + account.encode()


class Sightings(Calls):
    """The sightings' part of the store."""

    async def note(self, account: str, sightings: Sequence[Sighting], *, limit: int) -> list[bool]:
        """Add counts and times to what is kept, a text or shipment over the one before; which of them are new.

        Beyond `limit` keys of a carrier and kind the rest is counted under the key "", and is not new. A reply that is
        lost may have been counted. Raises `Gone` for a deleted account.
        """
        new: list[bool] = []
        for at in range(0, len(sightings), _AT_ONCE):
            new += await self._note(account, sightings[at : at + _AT_ONCE], limit)
        return new

    async def _note(self, account: str, sightings: Sequence[Sighting], limit: int) -> list[bool]:
        args = [account.encode(), number(limit)]
        for one in sightings:
            args += (_group(one.carrier, one.kind), one.key.encode(), number(one.count))
            args += (number(one.first_at), number(one.last_at), one.text.encode(), one.shipment.encode())
        named = (sightings_key(account), TOMBS)
        answer = checked(await self.wire.control().send(b"FCALL", b"milepost_note", b"2", *named, *args))
        return [flag == 1 for flag in answer[1:]]

    async def sightings(self, account: str) -> list[Sighting]:
        """What is kept of an account, or of `EVERYBODY`, in no order."""
        flat = await self.wire.control().send(b"HGETALL", sightings_key(account), again=True)
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return [_sighting(field, value) for field, value in pairs if field.count(b"\0") > 1]

    async def forget(self, account: str, keys: Collection[Key]) -> None:
        """Make room: these are no longer kept."""
        args = [part for carrier, kind, key in keys for part in (_group(carrier, kind), key.encode())]
        for at in range(0, len(args), 2 * _AT_ONCE):
            some = args[at : at + 2 * _AT_ONCE]
            await self.wire.control().send(b"FCALL", b"milepost_forget", b"1", sightings_key(account), *some)


def _group(carrier: str, kind: str) -> bytes:
    return f"{carrier}\0{kind}".encode()


def _sighting(field: bytes, value: bytes) -> Sighting:
    carrier, kind, key = field.decode().split("\0", 2)
    return Sighting(carrier, kind, key, *_decode(value))
