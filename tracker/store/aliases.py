"""Numbers that lie in another shard than their shipment: its aliases there, made before it and removed after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from tracker.store.keys import digest, encode_id
from tracker.store.rows import Rows
from tracker.store.wire import checked

Alias = tuple[int, bytes]  # the shard that owns the number, and its field in the index there

_ALIAS = 10  # bytes of a packed one: shard u16, field


class Aliases(Rows):
    """The aliases' part of the store."""

    async def _document(self, id: str) -> bytes | None:
        try:
            shard, local = self.keys.split(id)
        except ValueError:
            return None
        value: bytes | None = await self._plain(shard, b"GET", self.keys.document(shard, local))
        return value

    def _held(self, shard: int, holder: bytes) -> str:
        if len(holder) == 8:
            return encode_id("shp_", int.from_bytes(holder[:2], "big"), holder[2:])
        return encode_id("shp_", shard, holder)

    def _foreign(self, account: str, shard: int, waybills: Sequence[str]) -> list[Alias]:
        """Those of the numbers that another shard owns."""
        homes = [(self.keys.shard_of(account, one), one) for one in waybills]
        return [(home, digest(b"waybill", account, one)) for home, one in homes if home != shard]

    async def _alias(self, account: str, shard: int, local: bytes, waybills: Sequence[str]) -> None:
        """Numbers whose shard is another one are indexed there first: an alias of nothing finds nothing.

        One that still names a shipment that was never written, or is gone, is in nobody's way.
        """
        foreign = self._foreign(account, shard, waybills)
        if not foreign:
            return
        ours = shard.to_bytes(2, "big") + local
        holders = await asyncio.gather(*[self._aliased(account, alias, ours) for alias in foreign])
        for alias, holder in zip(foreign, holders, strict=True):
            if holder != ours:
                await self._claim(account, alias, holder, ours)

    async def _claim(self, account: str, alias: Alias, holder: bytes, ours: bytes) -> None:
        """Take a number from a shipment that is not there; from one that lives it is not taken."""
        if await self._document(self._held(alias[0], holder)) is None:
            await self._unalias(alias, holder)
            await self._aliased(account, alias, ours)

    async def _aliased(self, account: str, alias: Alias, ours: bytes) -> bytes:
        """Index the number as ours where it is nobody's; whose it is now."""
        home, field = alias
        named = (self.keys.number(home, field), self.keys.tombs[home])
        holder: bytes = checked(await self._write(home, "alias", named, (account.encode(), field, ours)))[1]
        return holder

    async def _unalias(self, alias: Alias, holder: bytes) -> None:
        home, field = alias
        await self._write(home, "unalias", (self.keys.number(home, field),), (field, holder))

    async def _forget_aliases(self, shard: int, local: bytes, aliases: Iterable[Alias]) -> None:
        """Take away those of a shipment that was deleted, and then the note of them."""
        holder = shard.to_bytes(2, "big") + local
        if calls := [self._unalias(alias, holder) for alias in aliases]:
            await asyncio.gather(*calls)
            await self._plain(shard, b"HDEL", self.keys.deleted[shard], local)

    async def finish_deletions(self) -> None:
        """Take away what deletions that were cut off in the middle have left."""
        notes = await self._everywhere(lambda shard: self._plain(shard, b"HGETALL", self.keys.deleted[shard]))
        for shard, flat in enumerate(notes):
            for local, packed in zip(flat[::2], flat[1::2], strict=True):
                await self._forget_aliases(shard, local, _unpacked(packed))


def packed_aliases(aliases: Iterable[Alias]) -> bytes:
    """As they are noted."""
    return b"".join(home.to_bytes(2, "big") + field for home, field in aliases)


def _unpacked(packed: bytes) -> list[Alias]:
    parts = [packed[at : at + _ALIAS] for at in range(0, len(packed), _ALIAS)]
    return [(int.from_bytes(part[:2], "big"), part[2:]) for part in parts]
