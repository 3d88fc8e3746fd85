"""A cluster: every shard on the primary that serves its slot, a flush loop for each primary."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from tracker.store.connect import Distrust, Server, ask, examine, hang_up, open_connection
from tracker.store.flush import FlushLoop, packed
from tracker.store.keys import CONTROL, Keys, slot_of
from tracker.store.types import StoreDown
from tracker.store.wire import Heard, listened, proof_of

Address = tuple[str, int]

REFRESH_S = 0.1  # between two looks at the cluster's map
_STALE = ("MOVED", "ASK", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "LOADING", "MASTERDOWN")


def slot_owners(shards: Sequence[Sequence[Any]], asked: Address, *, tls: bool) -> dict[range, Address]:
    """Which primary serves which slots, from the answer to `CLUSTER SHARDS`."""
    owners: dict[range, Address] = {}
    for shard in shards:
        facts = dict(zip(shard[::2], shard[1::2], strict=True))
        nodes = [dict(zip(node[::2], node[1::2], strict=True)) for node in facts[b"nodes"]]
        for node in nodes:
            if node[b"role"] == b"master" and node.get(b"health", b"online") == b"online":
                host = (node.get(b"endpoint") or b"").decode().strip("?") or asked[0]
                port = int(node[b"tls-port"] if tls and b"tls-port" in node else node.get(b"port", 0))
                bounds = facts[b"slots"]
                for start, end in zip(bounds[::2], bounds[1::2], strict=True):
                    owners[range(int(start), int(end) + 1)] = (host, port)
    return owners


class _Primary:
    """One primary: its flush loop, the task that runs it and what it said of itself."""

    def __init__(self, cluster: Cluster, address: Address) -> None:
        self._cluster = cluster
        self.address = address
        self.server: Server | None = None
        name = f"store {address[0]}:{address[1]}"
        self.loop = FlushLoop(name, self._connect, on_error=cluster.doubt, patience=cluster.patience)
        self.task = asyncio.create_task(self.loop.run())

    async def _connect(self) -> AbstractConnection:
        connection = await open_connection(self._cluster.server_at(self.address))
        try:
            self.server = await examine(connection, self._cluster.durability)
        except BaseException:
            await hang_up(connection)
            raise
        self.loop.wait_replicas = self.server.wait_replicas
        return connection


async def _close(primaries: Collection[_Primary]) -> None:
    """End their loops; all of them are told at once, whoever gives up waiting."""
    for primary in primaries:
        primary.task.cancel()
    await asyncio.gather(*[primary.task for primary in primaries], return_exceptions=True)


class Cluster:
    """The wire to a cluster. `seeds` are connection arguments of nodes to ask first.

    A reply or a broken connection that tells of a change refreshes the map; only that node's calls fail by it.
    """

    publish = b"SPUBLISH"

    def __init__(self, keys: Keys, seeds: Sequence[Mapping[str, Any]], durability: str, patience: float) -> None:
        self.durability = durability
        self.patience = patience
        self._keys = keys
        self._seeds = seeds
        self._slots = (*keys.slots, slot_of(CONTROL))  # of the shards, and of the control records
        self._primaries: dict[Address, _Primary] = {}
        self._owners: tuple[_Primary, ...] = ()  # by position in `_slots`
        self._doubted = asyncio.Event()
        self._mapped = asyncio.Event()
        self._id = b""
        self._refusal: Distrust | None = None  # why a node was not asked for the map

    def server_at(self, address: Address) -> dict[str, Any]:
        """Connection arguments of a node."""
        return {**self._seeds[0], "host": address[0], "port": address[1]}

    def doubt(self, error: Exception) -> None:
        """Look at the map again where the error may mean that it has changed."""
        if not isinstance(error, ResponseError) or str(error).startswith(_STALE) or type(error) is not ResponseError:
            self._doubted.set()

    def shard(self, shard: int) -> FlushLoop:
        return self._owners[shard].loop

    def control(self) -> FlushLoop:
        return self._owners[-1].loop

    def primaries(self) -> Iterable[FlushLoop]:
        return [primary.loop for primary in dict.fromkeys(self._owners)]

    def prove(self, id: bytes) -> None:
        self._id = id
        for shard in range(self._keys.shards):
            self._owners[shard].loop.proof = proof_of(self._keys, shard, id)

    def identities(self) -> dict[str, Server]:
        """What each primary said of itself, under the first of its shards."""
        first: dict[_Primary, int] = {}
        for at, primary in enumerate(self._owners):
            first.setdefault(primary, at)
        return {str(at): primary.server for primary, at in first.items() if primary.server}

    async def mapped(self) -> None:
        """Return once the map is known; `StoreDown` where no node tells it in time."""
        try:
            async with asyncio.timeout(self.patience):
                await self._mapped.wait()
        except TimeoutError:
            if self._refusal:
                raise self._refusal from None
            raise StoreDown(f"no node of the cluster tells its map: {self._names()}") from None

    def _names(self) -> str:
        return ", ".join(f"{seed.get('host', 'localhost')}:{seed.get('port', 6379)}" for seed in self._seeds)

    async def run(self) -> None:
        """Keep the map and the primaries' loops until cancelled."""
        try:
            while True:
                self._doubted.clear()
                with contextlib.suppress(StoreDown):
                    await self._refresh()
                await asyncio.sleep(REFRESH_S)
                if self._mapped.is_set():
                    await self._doubted.wait()
        finally:
            await _close(self._primaries.values())

    async def _refresh(self) -> None:
        owners = await self._ask_map()
        by_slot = {slot: address for slots, address in owners.items() for slot in self._slots if slot in slots}
        if any(slot not in by_slot for slot in self._slots):
            self._doubted.set()  # a failover is under way
            return
        for address in set(by_slot.values()) - self._primaries.keys():
            self._primaries[address] = _Primary(self, address)
        self._owners = tuple(self._primaries[by_slot[slot]] for slot in self._slots)
        for shard in range(self._keys.shards):
            self._owners[shard].loop.fence = packed(b"FCALL", b"milepost_fence", b"1", self._keys.fence(shard))
        self.prove(self._id)
        gone = [self._primaries.pop(address) for address in self._primaries.keys() - set(by_slot.values())]
        self._mapped.set()
        await _close(gone)

    async def _ask_map(self) -> dict[range, Address]:
        known = [self.server_at(address) for address in self._primaries]
        for server in [*known, *self._seeds]:
            try:
                return await self._ask_node(dict(server))
            except Distrust as error:
                self._refusal = error
            except (RedisError, OSError, RuntimeError, TimeoutError):
                continue
        raise StoreDown(f"no node of the cluster answers: {self._names()}")

    async def _ask_node(self, server: dict[str, Any]) -> dict[range, Address]:
        async with asyncio.timeout(5):
            connection = await open_connection(server)
            try:
                shards = await ask(connection, "CLUSTER", "SHARDS")
            finally:
                await hang_up(connection)
        asked = (str(server.get("host", "localhost")), int(server.get("port", 6379)))
        return slot_owners(shards, asked, tls="ssl" in getattr(server.get("connection_class"), "__name__", "").lower())

    async def listen(self, heard: Heard) -> None:
        """Hear every primary; ends by an error when the map changes."""
        await self._mapped.wait()
        shards: dict[_Primary, list[int]] = defaultdict(list)
        for shard, primary in enumerate(self._owners[:-1]):
            shards[primary].append(shard)
        tasks = [asyncio.create_task(self._listen_to(primary, some, heard)) for primary, some in shards.items()]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen_to(self, primary: _Primary, shards: Sequence[int], heard: Heard) -> None:
        connection = await open_connection(self.server_at(primary.address))
        try:
            for shard in shards:
                await connection.send_command("SSUBSCRIBE", self._keys.channel[shard], check_health=False)
            await listened(connection, heard)
        except ResponseError as error:
            self.doubt(error)  # the slot is another's by now
            raise
        finally:
            await hang_up(connection)
