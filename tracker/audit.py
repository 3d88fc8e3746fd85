"""Who did what: one act for each request that changes something, for each sign-in and for what the daemon did itself.

An act names a route and its target, and has no body and no secret. Acts are written together a few times a second, so
that no request waits for them; at an orderly end all are written, after a kill the last half second may be missing.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from tracker.accounts import OPERATOR
from tracker.log import without_secrets
from tracker.store.types import Gone, StoreDown
from tracker.underway import written_regularly

TARGET = 64  # characters of a target that are kept
_PENDING = 20_000  # acts that wait for a store that is away; the oldest go first
_COALESCED_S = 60.0  # in which the same stranger at the same door is one act
_STRANGERS = 4_096  # that are remembered for it

log = structlog.get_logger()


class Act(Struct, frozen=True, array_like=True, kw_only=True):
    """What somebody did. `status`: that of the answer, 0 where there was none."""

    actor: str  # api, console, daemon
    key: str  # id, "" for nobody's
    address: str
    action: str  # the name of a route
    target: str
    status: int

    @property
    def outcome(self) -> str:
        """done, refused or failed."""
        return "done" if self.status < 400 else "refused" if self.status < 500 else "failed"


class Entry(Struct, frozen=True):
    """An act as it lies in the trail. `at` in ms."""

    id: str
    at: int
    act: Act


class Shelf(Protocol):
    """The trail's part of the store."""

    async def record_acts(self, account: str, acts: Sequence[bytes], *, keep_ms: int, keep: int) -> None: ...
    async def acts(
        self, account: str, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[tuple[str, int, bytes]], str | None]: ...


class Audit:
    """The audit trails of all accounts. `note` and `stranger` never wait and never fail.

    `clock` is a steady one; the times of the trail are the store's own.
    """

    def __init__(
        self,
        store: Shelf,
        *,
        keep_days: float = 365.0,
        keep_entries: int = 100_000,
        every_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._keep_ms = round(keep_days * 86_400_000)
        self._keep = keep_entries
        self._every_s = every_s
        self._clock = clock
        self._pending: list[tuple[str, Act]] = []
        self._strangers: dict[tuple[str, str], float] = {}

    def note(self, account: str, act: Act) -> None:
        """Remember what was done in an account."""
        if len(self._pending) >= _PENDING:
            del self._pending[: _PENDING // 10]
            log.warning("audit_lost", acts=_PENDING // 10)
        self._pending.append((account, structs.replace(act, target=without_secrets(act.target)[:TARGET])))

    def stranger(self, act: Act) -> None:
        """Remember, for the operator, who showed no key of ours: the same address at the same door once a minute."""
        now, who = self._clock(), (act.address, act.action)
        if now - self._strangers.get(who, -_COALESCED_S) < _COALESCED_S:
            return
        if len(self._strangers) >= _STRANGERS:
            self._strangers.clear()
        self._strangers[who] = now
        self.note(OPERATOR, act)

    def left(self, account: str) -> None:
        """Remember that a deleted account is swept to its end."""
        self.note(OPERATOR, Act(actor="daemon", key="", address="", action="account_left", target=account, status=0))

    async def run(self) -> None:
        """Write what waits until cancelled, and then the rest."""
        await written_regularly(self._every_s, self.write)

    async def write(self) -> None:
        """Write what waits; what can't be written waits on. Raises `StoreDown`."""
        pending, self._pending = self._pending, []
        of_account: defaultdict[str, list[Act]] = defaultdict(list)
        for account, act in pending:
            of_account[account].append(act)
        while of_account:
            account, acts = next(iter(of_account.items()))
            try:
                await self._write(account, acts)
            except StoreDown:
                self._pending[:0] = [(name, act) for name, some in of_account.items() for act in some]
                raise
            del of_account[account]

    async def trim(self, account: str) -> None:
        """Cut off what is older than is kept."""
        await self._write(account, [])

    async def page(self, account: str, cursor: str | None, limit: int) -> tuple[list[Entry], str | None]:
        """The account's trail, latest first, and the cursor of the rest; `ValueError` for a cursor of another list."""
        found, after = await self._store.acts(account, cursor, limit)
        return [Entry(id, at, msgspec.msgpack.decode(act, type=Act)) for id, at, act in found], after

    async def _write(self, account: str, acts: Sequence[Act]) -> None:
        encoded = [msgspec.msgpack.encode(act) for act in acts]
        with contextlib.suppress(Gone):  # its trail went with the account
            await self._store.record_acts(account, encoded, keep_ms=self._keep_ms, keep=self._keep)
