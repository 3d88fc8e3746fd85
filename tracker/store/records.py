"""Control records: accounts, keys, connections, subscriptions. Few and small, read whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tracker.errors import TooMany
from tracker.store.keys import CONTROL
from tracker.store.wire import Calls, checked, number

VERSIONS = CONTROL + b"rv"
TOMBS = CONTROL + b"t"
META = CONTROL + b"meta"
_SCANNED = b"100000"  # fields that are looked at in one call


def _hash(kind: str) -> bytes:
    return CONTROL + b"r:" + kind.encode()


def _field(account: str, id: str) -> bytes:
    return f"{account}\0{id}".encode()


def _named(flat: Sequence[bytes]) -> dict[tuple[str, str], bytes]:
    found = {}
    for at in range(0, len(flat), 2):
        owner, _, id = flat[at].decode().partition("\0")
        found[owner, id] = flat[at + 1]
    return found


class Records(Calls):
    """The control records' part of the store."""

    def _control(self, *args: bytes) -> asyncio.Future[Any]:
        return self.wire.control().send(*args)

    async def put_record(
        self,
        kind: str,
        account: str,
        id: str,
        value: bytes,
        *,
        create: bool = False,
        most: int = 0,
        frees: bool = False,
    ) -> bool:
        """Write a record; with `create`, False where it exists already. Raises `Gone` for a deleted account.

        `most`: so many of the kind an account may have; one more is not created, and raises `TooMany`. However many are
        made at once: it is counted where it is written. `frees`: what it says leads to room, so that a full store
        takes it.
        """
        named = (_hash(kind), VERSIONS, TOMBS)
        args = (kind.encode(), account.encode(), _field(account, id), value, b"1" if create else b"0", number(most))
        function = b"milepost_put_record_that_frees" if frees else b"milepost_put_record"
        answer = checked(await self._control(b"FCALL", function, b"3", *named, *args))
        if answer[0] == b"many":
            raise TooMany(f"{kind.replace('_', ' ')}s", most)
        return bool(answer[0] == b"ok")

    async def replace_record(
        self, kind: str, account: str, id: str, value: bytes, *, seen: bytes | None = None
    ) -> bool:
        """Write over a record, with `seen` only over that; False where there is none such, and then none is made."""
        named = (_hash(kind), VERSIONS)
        args = (kind.encode(), _field(account, id), value, *(() if seen is None else (seen,)))
        answer = await self._control(b"FCALL", b"milepost_replace_record", b"2", *named, *args)
        return bool(answer[0] == b"ok")

    async def get_record(self, kind: str, account: str, id: str) -> bytes | None:
        """One record, None where there is none."""
        value: bytes | None = await self._control(b"HGET", _hash(kind), _field(account, id))
        return value

    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]:
        """(account, id) → value of a kind, as new as the call. Those of one account are all that is sent for one."""
        if account is None:
            return _named(await self._control(b"HGETALL", _hash(kind)))
        found: dict[tuple[str, str], bytes] = {}
        cursor = b"0"
        while True:
            cursor, flat = await self._control(
                b"HSCAN", _hash(kind), cursor, b"MATCH", _field(account, "*"), b"COUNT", _SCANNED
            )
            found |= _named(flat)
            if cursor == b"0":
                return found

    async def records_version(self, kind: str) -> int:
        """Goes up whenever a record of the kind is put or removed."""
        return int(await self._control(b"HGET", VERSIONS, kind.encode()) or 0)

    async def record_kinds(self) -> list[str]:
        """Every kind that was ever put."""
        return [kind.decode() for kind in await self._control(b"HKEYS", VERSIONS)]

    async def remove_record(self, kind: str, account: str, id: str) -> bool:
        """Remove a record; False where there was none."""
        named = (_hash(kind), VERSIONS)
        args = (kind.encode(), _field(account, id))
        answer = await self._control(b"FCALL", b"milepost_remove_record", b"2", *named, *args)
        return bool(answer[0] == b"ok")
