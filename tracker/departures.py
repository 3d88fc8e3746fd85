"""Deleting an account: it is closed at once, then swept in bounded steps, by whichever process has the time.

What is left of it in the end is the tombstone of the store. Until then a note of it lies among the operator's records,
so that a sweep that was cut off is taken up again, here or in another process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from tracker.accounts import OPERATOR
from tracker.errors import BadInput, NotFound
from tracker.store.flush import Refused
from tracker.store.types import StoreDown

KIND = "leaving"
GRACE_S = 120.0  # longer than a delivery's lease, and than any request that began before the account was closed
_BUSY = "in progress"  # what a server says that is rewriting its log already

log = structlog.get_logger()


class Leaving(Struct, frozen=True):
    """An account that was closed and is not forgotten yet."""

    name: str
    closed_at: int  # ms
    swept: bool = False


class Shelf(Protocol):
    """What a departure needs of the store."""

    async def put_record(self, kind: str, account: str, id: str, value: bytes, *, frees: bool) -> bool: ...
    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...
    async def close_account(self, account: str) -> None: ...
    async def drop_account(self, account: str) -> None: ...
    async def compact(self) -> None: ...


class Elsewhere(Protocol):
    """Where things of an account lie beside the store: the order book."""

    async def drop_account(self, account: str) -> None: ...
    async def compact(self) -> None: ...


class Departures:
    """The accounts that leave, from the store and from `elsewhere`.

    `left` is called once an account is gone for good. `grace_s`: for so long what was under way when the account was
    closed may still write; it is swept a second time after that.
    """

    def __init__(
        self,
        store: Shelf,
        elsewhere: Sequence[Elsewhere] = (),
        *,
        left: Callable[[str], None] = lambda name: None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._store = store
        self._elsewhere = elsewhere
        self._left = left
        self._grace = round(grace_s * 1000)
        self._sweeps: dict[str, asyncio.Task[None]] = {}

    async def close(self, name: str, *, now: int) -> None:
        """End the account: its keys and the addresses of its connections first. Raises BadInput, NotFound.

        Again for one that is closed already, it makes sure that it is.
        """
        if name == OPERATOR:
            raise BadInput("name", f"account {OPERATOR!r} is the operator's and stays", code="protected", status=409)
        if await self._store.get_record(KIND, OPERATOR, name) is None:
            if await self._store.get_record("account", name, name) is None:
                raise NotFound(f"account {name!r}")
            await self._note(Leaving(name, now))
        await self._shut(name)

    async def sweep(self, name: str) -> None:
        """Forget what belongs to a closed account. One sweep of an account runs at a time in a process."""
        task = self._sweeps.get(name)
        if task is None:
            task = self._sweeps[name] = asyncio.create_task(self._sweep(name))
            task.add_done_callback(lambda done: self._ended(name, done))
        await asyncio.shield(task)

    async def go_on(self, *, now: int) -> None:
        """Sweep what was not swept to its end, and again, for the last time, what was closed long enough ago."""
        for value in (await self._store.records(KIND, OPERATOR)).values():
            leaving = msgspec.json.decode(value, type=Leaving)
            if not leaving.swept:
                await self._shut(leaving.name)
                await self.sweep(leaving.name)
            elif now >= leaving.closed_at + self._grace:
                await self._finish(leaving)

    async def stop(self) -> None:
        """Cut off the sweeps under way; they are taken up again."""
        for task in list(self._sweeps.values()):
            task.cancel()
        await asyncio.gather(*self._sweeps.values(), return_exceptions=True)

    async def _shut(self, name: str) -> None:
        await self._store.close_account(name)
        for kind in ("key", "connection"):
            for _, id in await self._store.records(kind, name):
                await self._store.remove_record(kind, name, id)
        await self._store.remove_record("account", name, name)

    async def _sweep(self, name: str) -> None:
        await self._forget(name)
        value = await self._store.get_record(KIND, OPERATOR, name)
        if value is not None:
            await self._note(structs.replace(msgspec.json.decode(value, type=Leaving), swept=True))
        log.info("account_swept", account=name)

    async def _finish(self, leaving: Leaving) -> None:
        await self._forget(leaving.name)
        for place in self._elsewhere:
            await place.compact()
        try:
            await self._store.compact()
        except Refused as error:
            if _BUSY in str(error):  # that one began before the last of it was gone: the next time
                return
            log.warning("log_not_rewritten", why=str(error))
        await self._store.remove_record(KIND, OPERATOR, leaving.name)
        self._left(leaving.name)
        log.info("account_left", account=leaving.name)

    async def _forget(self, name: str) -> None:
        for place in self._elsewhere:
            await place.drop_account(name)
        await self._store.drop_account(name)
        for place in self._elsewhere:  # a change that was under way can have made a row again
            await place.drop_account(name)

    async def _note(self, leaving: Leaving) -> None:
        await self._store.put_record(KIND, OPERATOR, leaving.name, msgspec.json.encode(leaving), frees=True)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._sweeps[name]
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, StoreDown):
            log.error("account_not_swept", account=name, error=repr(error))
