"""The store as the rest of Milepost sees it: every part of it in one object."""

from __future__ import annotations

import asyncio
import contextlib
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

IDENTITY_S = 0.5  # between two looks at who the servers are


class Store(Parking, Agenda, Sweeping, Sightings, Trail, Marks, Wakes, Health):
    """Everything that is stored. Opened by `tracker.store.open_store`."""

    url: str = ""  # where another process reaches the same store

    @property
    def durable(self) -> bool:
        """Whether every acknowledged write is on disk; readiness says so."""
        return all(server.durable for server in self.wire.identities().values())

    @property
    def warnings(self) -> list[str]:
        """What is set on its servers in a way that an operator should change."""
        return sorted({warning for server in self.wire.identities().values() for warning in server.warnings})

    async def identify(self) -> None:
        """Check that this is a store of our layout and number of shards, and learn its epoch and time."""
        await self.wire.mapped()
        await self.ping()
        await self.learn_time()
        self.epoch = await self._identity()

    async def keep_identity(self) -> None:
        """Learn of every server that takes over, until cancelled: the epoch goes up with it."""
        known = self.wire.identities()
        while True:
            await asyncio.sleep(IDENTITY_S)
            now = self.wire.identities()
            if now != known:
                with contextlib.suppress(StoreDown):
                    self.epoch = await self._identity()
                    known = now

    async def learn_time(self) -> None:
        """Ask the server for its time; who runs for long asks again and again."""
        asked = time.monotonic()
        told = await self.wire.control().send(b"TIME")
        self.clock.learn(told, asked, time.monotonic())

    async def clear(self) -> None:
        """Empty the store, for good: everything of every account, and whatever else lies on its servers."""
        await asyncio.gather(*[primary.send(b"FLUSHALL") for primary in self.wire.primaries()])
        self.epoch = await self._identity()

    async def _identity(self) -> int:
        args = [b"%d" % self.shards, b"%d" % LAYOUT]
        for name, server in self.wire.identities().items():
            args += (name.encode(), server.replid.encode(), server.replid_before.encode())
        answer = await self.wire.control().send(b"FCALL", b"milepost_open", b"1", META, *args)
        shards, layout, epoch = (int(value) for value in answer[1:])
        if shards != self.shards:
            raise ConfigError(f"shards: this store was created with {shards}, not {self.shards}; the number is fixed")
        if layout != LAYOUT:
            raise ConfigError(f"the store has layout {layout}, this version reads layout {LAYOUT}")
        return epoch
