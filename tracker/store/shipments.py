"""Documents and their indexes: read, find, commit, delete, list."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tracker.errors import TooMany
from tracker.model import Status
from tracker.store.aliases import Aliases, packed_aliases
from tracker.store.flush import ReplyLost
from tracker.store.keys import ORDERLESS, digest, encode_id, kind_code
from tracker.store.rows import row_cursor
from tracker.store.types import Committed, Conflict, Indexed, NewChange, Stored, StoreDown, Write
from tracker.store.wire import checked, number

ORDER_HOLDS = 1_000  # shipments at least that an order may have
_HEAD = struct.Struct(">II")
_LATEST = 1 << 43  # ms: a time after all of ours; a score holds it, and so does a cursor


def _rank(listed: Indexed) -> bytes:
    """Where it stands among the stalled ones, the longest silent highest; `0` where it is none of them."""
    return b"0" if listed.stalled is None else number(max(1, _LATEST - max(0, listed.stalled)))


def stored(value: bytes | None) -> Stored | None:
    """A document from its stored form."""
    if value is None:
        return None
    version, revision = _HEAD.unpack_from(value)
    return Stored(version, revision, value[_HEAD.size :])


class Shipments(Aliases):
    """The shipments' part of the store."""

    @property
    def _most_of_order(self) -> int:
        """Shipments of one order in one shard: at 1,000 in all none is near it, and there are never 3,100."""
        return 16 + 2 * ORDER_HOLDS // self.keys.shards

    def new_id(self, account: str, waybill: str) -> str:
        """A fresh `shp_…` that carries the waybill's shard."""
        return self.keys.new_id(self.keys.shard_of(account, waybill))

    def shard_of_id(self, id: str) -> int:
        """The shard that an id carries; `ValueError` where the id is none of this store's."""
        return self.keys.split(id)[0]

    async def read(self, ids: Sequence[str]) -> list[Stored | None]:
        """The documents of the ids, None where there is none (or the id is none of ours)."""
        if len(ids) == 1:  # most reads are of one: no task for that
            return [stored(await self._document(ids[0]))]
        return [stored(value) for value in await asyncio.gather(*[self._document(id) for id in ids])]

    async def find(self, account: str, waybills: Sequence[str]) -> list[str | None]:
        """The shipment of each waybill or alias, None where it is not registered."""
        if len(waybills) == 1:
            return [await self._holder(account, waybills[0])]
        return list(await asyncio.gather(*[self._holder(account, waybill) for waybill in waybills]))

    async def _holder(self, account: str, waybill: str) -> str | None:
        shard = self.keys.shard_of(account, waybill)
        field = digest(b"waybill", account, waybill)
        holder = await self._plain(shard, b"HGET", self.keys.number(shard, field), field)
        return None if holder is None else self._held(shard, holder)

    async def find_order(self, account: str, order_number: str) -> list[str]:
        """The shipments of an order number; asks every shard, in one flush."""
        field = digest(b"order", account, order_number)
        keys = self.keys
        answers = await self._everywhere(lambda shard: self._plain(shard, b"HGET", keys.number(shard, field), field))
        return [
            encode_id("shp_", shard, ids[at : at + 6])
            for shard, ids in enumerate(answers)
            for at in range(0, len(ids or b""), 6)
        ]

    async def commit(self, write: Write) -> Committed:
        """Write one shipment, or nothing of it. On creation its own waybill comes first in `waybills`.

        Raises `Conflict` (read and merge again), `Gone` (the account was deleted), `TooMany` (its order has as many
        shipments as there can be) and `StoreDown`. A lost reply is resolved by reading: what lies there is what was
        sent, or it is a conflict.
        """
        shard, local = self.keys.split(write.id)
        await self._alias(write.account, shard, local, write.waybills)
        try:
            answer = checked(await self._commit(shard, local, write))
        except ReplyLost:
            return await self._resolved(write)
        if answer[0] == b"ok":
            with suppress(StoreDown):  # it is written; the next commit finds the same
                for field, holder in zip(answer[3::2], answer[4::2], strict=True):
                    await self._claim(write.account, (shard, field), holder, local)
            return Committed(answer[1], answer[2])
        if answer[0] == b"many":
            raise TooMany("shipments or more", ORDER_HOLDS, "order_number", of="order")
        if answer[0] == b"taken" and await self._forget_orphan(write, shard, answer[1]):
            return await self.commit(write)
        raise Conflict(f"{write.id}: somebody wrote it since version {write.expected} was read")

    async def _resolved(self, write: Write) -> Committed:
        (now,) = await self.read([write.id])
        if now and now.version == write.expected + 1 and now.document == write.document:
            return Committed(now.version, now.revision)
        raise Conflict(f"{write.id}: the reply was lost; read it again")

    def _commit(self, shard: int, local: bytes, write: Write) -> asyncio.Future[Any]:
        keys, account = self.keys, write.account
        before, after = write.before or write.after, write.after
        numbers = [digest(b"waybill", account, one) for one in write.waybills if keys.shard_of(account, one) == shard]
        order_before = digest(b"order", account, before.order_number) if write.before and before.order_number else b""
        order_after = digest(b"order", account, after.order_number) if after.order_number else b""
        first = write.waybills[0] if write.waybills else ""
        named = (
            keys.document(shard, local),
            keys.due[shard],
            keys.leases[shard],
            keys.feed[shard],
            keys.bodies[shard],
            keys.of_account(shard, b"x", account),
            keys.tombs[shard],
            keys.index(shard, account, before.status),
            keys.index(shard, account, after.status),
            keys.of_account(shard, b"z", account),
            keys.parked(shard, account, first),
            keys.number(shard, order_before or b"\0"),
            keys.number(shard, order_after or b"\0"),
            *[keys.number(shard, field) for field in numbers],
            *([keys.of_account(shard, letter, account) for letter in (b"K", b"W")] if write.parked else ()),
        )
        args = [
            account.encode(),
            local,
            number(write.expected),
            write.document,
            number(after.registered_at),
            b"1" if write.before else b"0",
            _rank(before) if write.before else b"0",
            _rank(after),
            b"" if write.due is None else number(write.due),
            number(write.parked),
            order_before,
            order_after,
            keys.channel[shard],
            self.wire.publish,
            number(len(numbers)),
            *numbers,
            number(len(write.changes)),
        ]
        mark = b"" if order_before or order_after else ORDERLESS
        for change in write.changes:
            args += (mark + kind_code(change.kind), change.body)
        args.append(number(self._most_of_order))
        return self._write(shard, "commit", named, args)

    async def _forget_orphan(self, write: Write, shard: int, holder: bytes) -> bool:
        """Whether the number's holder was never written (or is gone), and the index now knows it."""
        if await self._document(self._held(shard, holder)) is not None:
            return False
        await self._unalias((shard, digest(b"waybill", write.account, write.waybills[0])), holder)
        return True

    async def delete(
        self,
        account: str,
        id: str,
        expected: int,
        before: Indexed,
        waybills: Sequence[str],
        change: NewChange | None = None,
    ) -> None:
        """Remove a shipment and all its index entries, and announce it. Raises `Conflict`.

        Cut off in the middle, it leaves a note of its aliases in other shards; `finish_deletions` takes these away.
        """
        shard, local = self.keys.split(id)
        aliases = self._foreign(account, shard, waybills)
        try:
            answer = await self._delete(shard, local, account, expected, before, waybills, change)
        except ReplyLost:
            answer = [b"ok" if await self._document(id) is None else b"conflict"]
        if answer[0] != b"ok":
            raise Conflict(f"{id}: somebody wrote it since version {expected} was read")
        await self._forget_aliases(shard, local, aliases)

    def _delete(
        self,
        shard: int,
        local: bytes,
        account: str,
        expected: int,
        before: Indexed,
        waybills: Sequence[str],
        change: NewChange | None,
    ) -> asyncio.Future[Any]:
        keys = self.keys
        numbers = [digest(b"waybill", account, one) for one in waybills if keys.shard_of(account, one) == shard]
        order = digest(b"order", account, before.order_number) if before.order_number else b""
        named = (
            keys.document(shard, local),
            keys.due[shard],
            keys.leases[shard],
            keys.feed[shard],
            keys.bodies[shard],
            keys.of_account(shard, b"x", account),
            keys.index(shard, account, before.status),
            keys.of_account(shard, b"z", account),
            keys.number(shard, order or b"\0"),
            keys.deleted[shard],
            *[keys.number(shard, field) for field in numbers],
        )
        args = [account.encode(), local, number(expected), order, keys.channel[shard], self.wire.publish]
        args.append(packed_aliases(self._foreign(account, shard, waybills)))
        args += [number(len(numbers)), *numbers]
        if change:
            args += [kind_code(change.kind), change.body]
        return self._write(shard, "delete", named, args)

    async def page(
        self,
        account: str,
        *,
        status: str | None = None,
        stalled: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[str], str | None]:
        """Ids of an account, newest registered first, and the cursor of the rest (None: there is none).

        `status` and `stalled` choose one list; those that stand still come longest silent first.
        Raises `ValueError` for a cursor that is not one of ours.
        """

        def lists(shard: int) -> list[bytes]:
            if stalled:
                return [self.keys.of_account(shard, b"z", account)]
            statuses: Sequence[str] = [status] if status else list(Status)
            return [self.keys.index(shard, account, one) for one in statuses]

        rows = await self.rows(lists, cursor, limit)
        ids = [encode_id("shp_", shard, member) for _, shard, member in rows]
        return ids, row_cursor(rows, limit)

    async def registered_before(
        self, account: str, status: str, shard: int, at: int, *, skip: int, limit: int
    ) -> list[str]:
        """Ids of an account's shipments of one status and shard that were registered before `at` (ms), oldest first."""
        span = (self.keys.index(shard, account, status), b"-inf", b"(%d" % at)
        found = await self._plain(shard, b"ZRANGE", *span, b"BYSCORE", b"LIMIT", number(skip), number(limit))
        return [encode_id("shp_", shard, member) for member in found]

    async def counts(self, account: str) -> dict[str, int]:
        """How many shipments stand in each status, and `stalled`."""
        names = [*(status.value for status in Status), "stalled"]
        keys = self.keys

        def lists(shard: int) -> list[bytes]:
            return [*[keys.index(shard, account, name) for name in names[:-1]], keys.of_account(shard, b"z", account)]

        answers = await self._everywhere(lambda shard: self._read(shard, "cards", lists(shard)))
        return {name: sum(answer[1 + at] for answer in answers) for at, name in enumerate(names)}
