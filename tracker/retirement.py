"""Retirement: what was closed long ago leaves the store, so that it holds no more than what still matters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from tracker.accounts import Account
from tracker.errors import NotFound
from tracker.model import Status

_SHARDS = 8  # looked through side by side: nothing waits for this
_PAGE = 50

log = structlog.get_logger()


class Shelf(Protocol):
    """The lists of the store."""

    @property
    def shards(self) -> int: ...

    async def registered_before(
        self, account: str, status: str, shard: int, at: int, *, skip: int, limit: int
    ) -> list[str]: ...


class Door(Protocol):
    """The door as retirement needs it."""

    async def retire(self, account: str, id: str, *, before: int) -> bool: ...


class Retirement:
    """Retires the closed shipments of which nothing was written for `keep_ms`; 0: none, ever."""

    def __init__(
        self,
        store: Shelf,
        door: Door,
        accounts: Callable[[], Awaitable[Sequence[Account]]],
        *,
        keep_ms: int,
        now: Callable[[], int],
        retired: Callable[[int], None] = lambda shipments: None,
    ) -> None:
        self._store = store
        self._door = door
        self._accounts = accounts
        self._keep_ms = keep_ms
        self._now = now
        self._retired = retired

    async def sweep(self) -> None:
        """Look through every account once."""
        if not self._keep_ms:
            return
        before = self._now() - self._keep_ms
        for account in await self._accounts():
            for status in (status for status in Status if not status.open):
                if gone := await self._sweep(account.name, status, before):
                    self._retired(gone)
                    log.info("shipments_retired", account=account.name, status=status.value, shipments=gone)

    async def _sweep(self, account: str, status: Status, before: int) -> int:
        gone = 0
        for at in range(0, self._store.shards, _SHARDS):
            some = range(at, min(at + _SHARDS, self._store.shards))
            gone += sum(await asyncio.gather(*(self._sweep_shard(account, status, shard, before) for shard in some)))
        return gone

    async def _sweep_shard(self, account: str, status: Status, shard: int, before: int) -> int:
        """One list of one shard, from its oldest; what was registered long ago and closed lately is passed over."""
        gone = stay = 0
        while ids := await self._store.registered_before(account, status.value, shard, before, skip=stay, limit=_PAGE):
            for id in ids:
                try:
                    retired = await self._door.retire(account, id, before=before)
                except NotFound:  # somebody else was quicker
                    retired = False
                gone += retired
                stay += not retired
        return gone
