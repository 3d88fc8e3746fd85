"""Deleting a destination or an account: a tombstone in every shard first, then everything that is its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable

from tracker.model import Status
from tracker.store.aliases import Aliases
from tracker.store.keys import BUCKETS
from tracker.store.lanes import Lanes
from tracker.store.records import TOMBS, Records
from tracker.store.sightings import sightings_key
from tracker.store.wire import number

SWEPT = 500  # at a time

_Ids = set[tuple[int, bytes]]  # shard and local part


class Sweeping(Lanes, Records, Aliases):
    """The sweeping part of the store."""

    async def drop_destination(self, account: str, destination: str) -> None:
        """Refuse the destination from now on, then forget its lanes, its dead letters and its log."""
        await self._bury(f"d:{destination}")
        for shard in range(self.shards):
            await self._sweep_lanes(shard, destination)
            await self._sweep_letters(shard, account, destination)
        home, log = self.keys.log(account, destination)
        await self._plain(home, b"DEL", log)

    async def _bury(self, name: str) -> None:
        await self._everywhere(lambda shard: self._write(shard, "bury", (self.keys.tombs[shard],), (name.encode(),)))

    async def _sweep_lanes(self, shard: int, destination: str) -> None:
        keys = self.keys
        named = (
            *keys.of_lanes(shard),
            keys.queue(shard, destination),
        )
        answer = [b"more"]
        while answer[0] == b"more":
            answer = await self._write(shard, "sweep_lanes", named, (destination.encode(), number(SWEPT)))

    async def _sweep_letters(self, shard: int, account: str, destination: str) -> None:
        index = self.keys.of_account(shard, b"E", account)
        letters = self.keys.of_account(shard, b"D", account)
        members = await self._plain(shard, b"ZRANGE", index, b"0", b"-1")
        dead = [member for member in members if member[6:] == destination.encode()]
        for at in range(0, len(dead), SWEPT):
            some = dead[at : at + SWEPT]
            await self._plain(shard, b"HDEL", letters, *[member[:6] for member in some])
            await self._plain(shard, b"ZREM", index, *some)

    async def close_account(self, account: str) -> None:
        """Refuse the account from now on: no commit, no parked scan, no record, no delivery is written for it."""
        await self._bury(f"a:{account}")
        await self.wire.control().send(b"FCALL", b"milepost_bury", b"1", TOMBS, b"a:" + account.encode())

    async def drop_account(self, account: str) -> None:
        """Close the account, then forget all that is its own, in bounded steps.

        Run again, it finishes what was cut off. What is left is the tombstone, `a:` and its name: the names of accounts
        are not used twice.
        """
        await self.close_account(account)
        destinations = await self._destinations(account)
        for destination in destinations:
            await self.drop_destination(account, destination)
        await self.finish_deletions()
        await self._sweep_numbers(account)
        for shard in range(self.shards):
            await self._sweep_feed(shard, account)
            await self._sweep_shard(shard, account)
        await self._sweep_named(account)
        await self._exhume([f"d:{destination}" for destination in destinations])
        await self.wire.control().send(b"DEL", sightings_key(account))
        for kind in await self.record_kinds():
            for owner, id in await self.records(kind, account):
                await self.remove_record(kind, owner, id)

    async def compact(self) -> None:
        """Have the servers write their logs anew, without what was deleted. Raises `Refused` where one will not."""
        await asyncio.gather(*[primary.send(b"BGREWRITEAOF") for primary in self.wire.primaries()])

    async def _exhume(self, names: Collection[str]) -> None:
        """The account's own tombstone refuses all that those of its destinations did."""
        raw = [name.encode() for name in names]
        await self._everywhere(lambda shard: self._plain(shard, b"SREM", self.keys.tombs[shard], *raw))

    async def _sweep_feed(self, shard: int, account: str) -> None:
        keys = self.keys
        named = (keys.feed[shard], keys.of_account(shard, b"x", account), keys.bodies[shard], keys.pending[shard])
        answer = [b"more"]
        while answer[0] == b"more":
            answer = await self._write(shard, "sweep_feed", named, (number(SWEPT),))

    async def _destinations(self, account: str) -> set[str]:
        """Destinations that the account has lanes or dead letters for."""
        found: set[str] = set()
        for shard in range(self.shards):
            cursor = b""
            while cursor != b"0":
                args = (account.encode(), cursor or b"0")
                _, cursor, *names = await self._read(shard, "lanes_of", (self.keys.lanes[shard],), args)
                found.update(name.decode() for name in names)
            letters = await self._plain(shard, b"ZRANGE", self.keys.of_account(shard, b"E", account), b"0", b"-1")
            found.update(member[6:].decode() for member in letters)
        subscriptions = await self.records("subscription", account)
        stores = await self.records("order_store", account)
        return found | {id for _, id in subscriptions} | {f"store:{id}" for _, id in stores} | {f"orders:{account}"}

    async def _sweep_numbers(self, account: str) -> None:
        """Index entries first: once the shipments are gone nobody knows whose they were."""
        ids = {(shard, id) async for shard, id in self._shipments(account)}
        if not ids:
            return
        for bucket in range(BUCKETS):
            await asyncio.gather(*[self._sweep_bucket(shard, bucket, ids) for shard in range(self.shards)])

    async def _sweep_bucket(self, shard: int, bucket: int, ids: _Ids) -> None:
        key = b"%bn:%d" % (self.keys.tags[shard], bucket)
        flat = await self._plain(shard, b"HGETALL", key)
        args = list(_rests(shard, zip(flat[::2], flat[1::2], strict=True), ids))
        if args:
            await self._write(shard, "sweep_numbers", (key,), args)

    async def _shipments(self, account: str) -> AsyncIterator[tuple[int, bytes]]:
        for shard in range(self.shards):
            for status in Status:
                index = self.keys.index(shard, account, status)
                for local in await self._plain(shard, b"ZRANGE", index, b"0", b"-1"):
                    yield shard, local

    async def _sweep_shard(self, shard: int, account: str) -> None:
        keys = self.keys
        for status in Status:
            index = keys.index(shard, account, status)
            while ids := await self._plain(shard, b"ZRANGE", index, b"0", number(SWEPT - 1)):
                named = (index, keys.of_account(shard, b"z", account), keys.due[shard], keys.leases[shard])
                documents = [keys.document(shard, id) for id in ids]
                await self._write(shard, "sweep_shipments", (*named, *documents), ids)
        own = [
            keys.of_account(shard, letter, account) for letter in (b"x", b"z", b"D", b"E", b"u", b"v", b"a", b"K", b"W")
        ]
        await self._plain(shard, b"DEL", *own)
        await self._plain(shard, b"HDEL", keys.marks[shard], account.encode(), f"{account}#".encode())

    async def _sweep_named(self, account: str) -> None:
        """What no index leads to: parked scans, and marks."""
        escaped = "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in account)
        pattern = f"{{*}}[km]:{escaped}:*".encode()
        for primary in self.wire.primaries():
            cursor = b""
            while cursor != b"0":
                cursor, found = await primary.send(b"SCAN", cursor or b"0", b"MATCH", pattern, b"COUNT", b"1000")
                await asyncio.gather(*[primary.send(b"UNLINK", key) for key in found])


def _rests(shard: int, fields: Iterable[tuple[bytes, bytes]], ids: _Ids) -> Iterable[bytes]:
    """(field, what it holds, what is left of it) for every index field that names one of the ids."""
    for field, holder in fields:
        if len(holder) == 8:
            rest = b"" if (int.from_bytes(holder[:2], "big"), holder[2:]) in ids else holder
        else:
            held = [holder[at : at + 6] for at in range(0, len(holder), 6)]
            rest = b"".join(local for local in held if (shard, local) not in ids)
        if rest != holder:
            yield from (field, holder, rest)
