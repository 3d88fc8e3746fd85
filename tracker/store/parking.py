"""What cannot go through the door yet: scans of waybills that nobody registered, bodies that nobody could read."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from tracker.store.keys import digest, encode_id
from tracker.store.rows import row_cursor
from tracker.store.shipments import Shipments
from tracker.store.types import Full, Shelved
from tracker.store.wire import checked, number

PREFIX = "qua_"


class Parking(Shipments):
    """The parking's and the quarantine's part of the store."""

    async def park(
        self, account: str, waybill: str, item: bytes, *, now_ms: int, limit: int, ttl_ms: int, most: int = 0
    ) -> Shelved:
        """Keep `item` until the waybill is registered, for `ttl_ms` after the last one; only the latest `limit` stay.

        Where all that is parked for the account has more than about `most` bytes (0: however many), those that have
        waited longest make room; each shard has its even share.
        """
        shard = self.keys.shard_of(account, waybill)
        field = digest(b"waybill", account, waybill)
        waiting = [self.keys.of_account(shard, letter, account) for letter in (b"K", b"W")]
        named = (
            self.keys.parked(shard, account, waybill),
            self.keys.number(shard, field),
            self.keys.tombs[shard],
            *waiting,
        )
        share = most and max(1, most // self.shards)
        args = (account.encode(), field, item, number(limit), number(ttl_ms), number(share))
        answer = checked(await self._write(shard, "park", named, args))
        if answer[0] != b"registered":
            made_room = int(answer[1]) + await self._unpark(account, shard, waiting, answer[2::2], answer[3::2])
            return Shelved(made_room=made_room)
        holder = self._held(shard, answer[1])
        if await self._document(holder) is None:  # its shipment was never written, or is gone
            await self._unalias((shard, field), answer[1])
            return await self.park(account, waybill, item, now_ms=now_ms, limit=limit, ttl_ms=ttl_ms, most=most)
        return Shelved(holder)

    async def _unpark(
        self, account: str, shard: int, waiting: Sequence[bytes], names: Sequence[bytes], heard_at: Sequence[bytes]
    ) -> int:
        """Let those of that name go, unless they were heard of since; how many scans were parked for them."""
        if not names:
            return 0
        parked = [self.keys.parked_as(shard, account, name) for name in names]
        answer = await self._write(shard, "unpark", (*waiting, *parked), heard_at)
        return int(answer[1])

    async def parked(self, account: str, waybill: str) -> list[bytes]:
        """What is parked for the waybill, oldest first; its length goes into `Write.parked`."""
        shard = self.keys.shard_of(account, waybill)
        items: list[bytes] = await self._plain(shard, b"LRANGE", self.keys.parked(shard, account, waybill), b"0", b"-1")
        return items

    async def quarantine(self, account: str, entry: bytes, *, most: int = 0) -> str:
        """Keep a body that nobody could read; its `qua_…` id. `Full`: its account has `most` bytes there (0: any)."""
        shard, local = self.keys.shard_of(account, "quarantine"), secrets.token_bytes(6)
        named = (
            self.keys.of_account(shard, b"u", account),
            self.keys.of_account(shard, b"v", account),
            self.keys.tombs[shard],
        )
        answer = checked(await self._write(shard, "quarantine", named, (account.encode(), local, entry, number(most))))
        if answer[0] == b"full":
            raise Full(f"the quarantine of account {account} is full, {most >> 20} MiB: replay or delete what it holds")
        return encode_id(PREFIX, shard, local)

    async def quarantined(
        self, account: str, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[tuple[str, bytes]], str | None]:
        """(id, entry) of an account's quarantine, latest first, and the cursor of the rest (None: there is none)."""
        rows = await self.rows(lambda shard: [self.keys.of_account(shard, b"v", account)], cursor, limit)
        keys = self.keys
        entries = await asyncio.gather(
            *[self._plain(shard, b"HGET", keys.of_account(shard, b"u", account), local) for _, shard, local in rows]
        )
        found = [
            (encode_id(PREFIX, shard, local), entry)
            for (_, shard, local), entry in zip(rows, entries, strict=True)
            if entry is not None
        ]
        return found, row_cursor(rows, limit)

    async def quarantined_body(self, account: str, id: str) -> bytes | None:
        """The entry of that id, None where there is none in the account."""
        try:
            shard, local = self.keys.split(id, PREFIX)
        except ValueError:
            return None
        found: bytes | None = await self._plain(shard, b"HGET", self.keys.of_account(shard, b"u", account), local)
        return found

    async def release(self, account: str, id: str) -> bool:
        """Forget a quarantined body; False where there is none of that id in the account."""
        try:
            shard, local = self.keys.split(id, PREFIX)
        except ValueError:
            return False
        named = (self.keys.of_account(shard, b"u", account), self.keys.of_account(shard, b"v", account))
        answer = await self._write(shard, "release", named, (local,))
        return bool(answer[0] == b"ok")
