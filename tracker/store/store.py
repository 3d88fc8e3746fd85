"""The store as the rest of Milepost sees it: every part of it in one object."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time

from tracker.errors import ConfigError
from tracker.store.agenda import Agenda
from tracker.store.health import Health
from tracker.store.keys import LAYOUT
from tracker.store.marks import Marks
from tracker.store.parking import Parking
from tracker.store.records import META
from tracker.store.sightings import Sightings
from tracker.store.sweeping import Sweeping
from tracker.store.trail import Trail
from tracker.store.types import StoreDown
from tracker.store.wakes import Wakes

_RESTORE = "one of its servers was emptied (FLUSHALL?): restore that one"
IDENTITY_S = 0.5  # between two looks at who the servers are


class OtherStore(ConfigError):
    """Where a store was, there is another one, or none."""

    def __init__(self, known: str, found: str) -> None:
        super().__init__(f"its id is {found or 'none'}, not {known}")
        self.found = found


class Store(Parking, Agenda, Sweeping, Sightings, Trail, Marks, Wakes, Health):
    """Everything that is stored. Opened by `tracker.store.open_store`."""

    url: str = ""  # where another process reaches the same store
    id: str = ""  # given when it was created

    @property
    def durable(self) -> bool:
        """Whether every acknowledged write is on disk; readiness says so."""
        return all(server.durable for server in self.wire.identities().values())

    @property
    def warnings(self) -> list[str]:
        """What is set on its servers in a way that an operator should change."""
        return sorted({warning for server in self.wire.identities().values() for warning in server.warnings})

    async def identify(self, *, known: str = "") -> None:
        """Check that this is a store of our layout and number of shards, and learn its id, epoch and time.

        `known`: the id that it must have. Raises OtherStore where it has another one, or none, and writes nothing then.
        """
        await self.wire.mapped()
        await self.ping()
        await self.learn_time()
        self.epoch = await self._identity(known)
        await self._must_be_whole()
        self.wire.prove(self.id.encode())

    async def keep_identity(self) -> None:
        """Learn of every server that takes over, until cancelled: the epoch goes up with it."""
        known = self.wire.identities()
        while True:
            await asyncio.sleep(IDENTITY_S)
            now = self.wire.identities()
            if now != known:
                with contextlib.suppress(StoreDown, OtherStore):  # it is looked at again and again
                    self.epoch = await self._identity(self.id)
                    known = now

    async def went_back(self) -> None:
        """Refuse every cursor that was given so far: the store is a backup, and what comes after it is another feed.

        The epoch becomes the time (ms), so that a backup that is restored twice is told from itself too.
        """
        epoch = max(self.epoch + 1, int(self.clock() * 1000))
        await self.wire.control().send(b"HSET", META, b"epoch", b"%d" % epoch, again=True)
        self.epoch = epoch

    async def learn_time(self) -> None:
        """Ask the server for its time; who runs for long asks again and again."""
        asked = time.monotonic()
        told = await self.wire.control().send(b"TIME", hint=True)
        self.clock.learn(told, asked, time.monotonic())

    async def clear(self) -> None:
        """Empty the store, for good: everything of every account, and whatever else lies on its servers."""
        self.wire.prove(b"")
        await asyncio.gather(*[primary.send(b"FLUSHALL") for primary in self.wire.primaries()])
        self.epoch = await self._identity()
        self.wire.prove(self.id.encode())

    async def _identity(self, known: str = "") -> int:
        fresh = self.id or secrets.token_hex(8)
        args = [b"%d" % self.shards, b"%d" % LAYOUT, fresh.encode(), known.encode()]
        for name, server in self.wire.identities().items():
            args += (name.encode(), server.replid.encode(), server.replid_before.encode())
        answer = await self.wire.control().send(b"FCALL", b"milepost_open", b"1", META, *args)
        if answer[0] == b"other":
            raise OtherStore(known, answer[1].decode())
        shards, layout, epoch = (int(value) for value in answer[1:4])
        if shards != self.shards:
            raise ConfigError(f"shards: this store was created with {shards}, not {self.shards}; the number is fixed")
        if layout != LAYOUT:
            raise ConfigError(f"the store has layout {layout}, this version reads layout {LAYOUT}")
        self.id = answer[4].decode()
        if not answer[5]:
            await self._mark()
        return epoch

    async def _mark(self) -> None:
        """Write the store's id into each of its shards: a server that lacks it was emptied."""
        if any(id not in (None, self.id.encode()) for id in await self._ids()):
            raise ConfigError(f"the store: its control records are gone, and its shards are not; {_RESTORE}")
        await self._everywhere(lambda shard: self._plain(shard, b"SET", self.keys.id[shard], self.id.encode()))
        await self.wire.control().send(b"HSET", META, b"marked", b"1", again=True)

    async def _must_be_whole(self) -> None:
        if gone := sum(id != self.id.encode() for id in await self._ids()):
            raise ConfigError(f"the store: {gone} of its {self.shards} shards are gone; {_RESTORE}")

    async def _ids(self) -> list[bytes | None]:
        return await self._everywhere(lambda shard: self._plain(shard, b"GET", self.keys.id[shard]))
