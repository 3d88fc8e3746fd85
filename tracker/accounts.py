"""Accounts and their API keys, kept as records of the store. A key is shown once, when made; the store has its hash.

The account `default` is the operator's: its admin keys make and remove other accounts. An admin key of any other
account manages the keys of its own.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec import Struct, structs

from tracker.errors import BadInput, NotFound, TooMany
from tracker.secrets import hash_key, new_token, same
from tracker.store.types import Gone

OPERATOR = "default"
USE = "key_use"
MAX_KEYS = 100  # of an account
_HOUR = 3_600_000
_LONGEST = 10 * 366 * 24 * _HOUR
ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_KEY = re.compile(r"mp_([A-Za-z0-9]{8})_([A-Za-z0-9]{32,64})")


class Scope(StrEnum):
    """What a key may do. Each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_INCLUDED = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.READ, Scope.WRITE}),
    Scope.ADMIN: frozenset(Scope),
}


class Account(Struct, frozen=True):
    """A tenant."""

    name: str
    created_at: int  # ms


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as stored: everything but the key."""

    id: str  # the public part, between the underscores
    hash: str  # sha256 of the whole key
    scopes: tuple[Scope, ...]
    name: str = ""
    created_at: int  # ms
    expires_at: int = 0  # ms; 0: never

    def expired(self, now: int) -> bool:
        """Whether its time is over. `now` in ms."""
        return 0 < self.expires_at <= now


class Identity(Struct, frozen=True):
    """Who is calling: an account, by one of its keys."""

    account: str
    key: str  # id
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the key's scopes cover `scope`."""
        return scope in self.scopes

    @property
    def operator(self) -> bool:
        """Whether the key may make and remove accounts."""
        return self.account == OPERATOR and Scope.ADMIN in self.scopes


class Records(Protocol):
    """What accounts need of the store."""

    async def put_record(
        self, kind: str, account: str, id: str, value: bytes, *, create: bool = False, most: int = 0
    ) -> bool: ...
    async def replace_record(self, kind: str, account: str, id: str, value: bytes) -> bool: ...
    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def records_version(self, kind: str) -> int: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...


class Accounts:
    """The accounts and keys of one store. Errors: BadInput, NotFound, StoreDown."""

    def __init__(self, store: Records, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._version = -1
        self._known: Mapping[str, Sequence[tuple[str, ApiKey]]] = {}
        self._used: dict[tuple[str, str], int] = {}  # account and key → the hour (ms) in which it was used last
        self._unwritten: set[tuple[str, str]] = set()

    async def create(self, name: str, *, now: int) -> Account:
        """Make an account; its name is its id, for good: that of a deleted account is not given again."""
        if not ACCOUNT_NAME.fullmatch(name):
            raise BadInput("name", "must be 1 to 32 of a-z, 0-9 and -, starting with a letter or digit", code="pattern")
        account = Account(name, now)
        try:
            made = await self._store.put_record("account", name, name, msgspec.json.encode(account), create=True)
        except Gone:
            raise BadInput(
                "name", f"an account {name!r} was deleted; take another name", code="gone", status=409
            ) from None
        if not made:
            raise BadInput("name", f"account {name!r} exists", code="exists", status=409)
        return account

    async def all(self) -> list[Account]:
        """All accounts by name."""
        found = await self._store.records("account")
        accounts = [msgspec.json.decode(value, type=Account) for value in found.values()]
        return sorted(accounts, key=lambda account: account.name)

    async def get(self, name: str) -> Account:
        """One account; raises NotFound."""
        value = await self._store.get_record("account", name, name)
        if value is None:
            raise NotFound(f"account {name!r}")
        return msgspec.json.decode(value, type=Account)

    async def create_key(
        self, account: str, scopes: Sequence[Scope], *, name: str = "", expires_at: int = 0, now: int
    ) -> tuple[ApiKey, str]:
        """Make a key of an existing account; the second of the pair is the key itself, which nobody can show again.

        `expires_at` in ms; 0: never. Raises BadInput where that is over already, or far off, and where the account has
        `MAX_KEYS`: every process reads all keys whenever one is made. Those that are over make room.
        """
        if expires_at and not now < expires_at <= now + _LONGEST:
            raise BadInput("expires_at", "must lie in the future, and within ten years", code="out_of_range")
        await self.get(account)
        while True:
            key, text = _mint(scopes, name, now, expires_at)
            try:
                if await self._store.put_record(
                    "key", account, key.id, msgspec.json.encode(key), create=True, most=MAX_KEYS
                ):
                    return key, text
            except TooMany:
                if not await self._make_room(account, now):
                    raise

    async def _make_room(self, account: str, now: int) -> bool:
        """Remove the account's keys that are over; whether there were any."""
        over = [key.id for key in await self.keys(account) if key.expired(now)]
        for id in over:
            with suppress(NotFound):
                await self.revoke(account, id)
        return bool(over)

    async def keys(self, account: str) -> list[ApiKey]:
        """The keys of an account, oldest first."""
        found = await self._store.records("key", account)
        keys = [msgspec.json.decode(value, type=ApiKey) for value in found.values()]
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    async def rotate_key(self, account: str, id: str, *, overlap_s: int, now: int) -> tuple[ApiKey, str]:
        """Make a successor with the key's name and scopes; the key itself ends after `overlap_s`. Raises NotFound."""
        value = await self._store.get_record("key", account, id)
        old = None if value is None else msgspec.json.decode(value, type=ApiKey)
        if old is None or old.expired(now):
            raise NotFound(f"key {id!r}")
        made, text = await self.create_key(account, old.scopes, name=old.name, now=now)
        ends = min(now + overlap_s * 1000, old.expires_at or math.inf)
        ended = structs.replace(old, expires_at=int(ends))
        if not await self._store.replace_record("key", account, id, msgspec.json.encode(ended)):
            await self.revoke(account, made.id)  # the key was revoked meanwhile: it gets no successor
            raise NotFound(f"key {id!r}")
        return made, text

    async def revoke(self, account: str, id: str) -> None:
        """End a key at once, in every process; raises NotFound."""
        if not await self._store.remove_record("key", account, id):
            raise NotFound(f"key {id!r}")
        self._unwritten.discard((account, id))
        await self._store.remove_record(USE, account, id)

    async def last_used(self, account: str) -> dict[str, int]:
        """The hour (ms) in which each key was used last, as far as it was."""
        kept = {id: int(hour) for (_, id), hour in (await self._store.records(USE, account)).items()}
        return kept | {id: self._used[owner, id] for owner, id in self._unwritten if owner == account}

    async def write_use(self) -> None:
        """Write the hours that are not written yet. Raises `StoreDown`."""
        for owner, id in tuple(self._unwritten):
            with suppress(Gone):
                if await self._store.get_record("key", owner, id) is not None:
                    await self._store.put_record(USE, owner, id, str(self._used[owner, id]).encode())
            self._unwritten.discard((owner, id))

    def _note_use(self, account: str, id: str, now: int) -> None:
        hour = now - now % _HOUR
        if self._used.get((account, id)) != hour:
            self._used[account, id] = hour
            self._unwritten.add((account, id))

    async def authenticate(self, text: str) -> Identity | None:
        """Whose key this is; None where it is nobody's. Costs one look at a version counter while no key changes."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        await self._refresh()
        digest, now = hash_key(text), round(self._clock() * 1000)
        for account, key in self._known.get(match[1], ()):
            if same(key.hash, digest) and not key.expired(now):
                self._note_use(account, key.id, now)
                return Identity(account, key.id, _closure(key.scopes))
        return None

    async def first_start(self, *, now: int) -> str | None:
        """Make the account `default` and an admin key of it where the store has no such key; the key, to print once."""
        if any(Scope.ADMIN in key.scopes and not key.expired(now) for key in await self.keys(OPERATOR)):
            return None  # and nothing is written: a store that is full must let its daemon start
        account = msgspec.json.encode(Account(OPERATOR, now))
        await self._store.put_record("account", OPERATOR, OPERATOR, account, create=True)
        _, text = await self.create_key(OPERATOR, [Scope.ADMIN], name="first start", now=now)
        return text

    async def _refresh(self) -> None:
        version = await self._store.records_version("key")
        if version == self._version:
            return
        known: dict[str, list[tuple[str, ApiKey]]] = {}
        for (account, id), value in (await self._store.records("key")).items():
            known.setdefault(id, []).append((account, msgspec.json.decode(value, type=ApiKey)))
        # The version was read first: what is cached is at least as new as the version it is kept under.
        self._known, self._version = known, version


def public_part(key: str) -> str:
    """The id in a key `mp_<id>_<secret>`, whether there is such a key or not; "" where it is not written so."""
    parts = key.split("_", maxsplit=3)
    return parts[1] if len(parts) == 3 else ""


def _mint(scopes: Sequence[Scope], name: str, now: int, expires_at: int) -> tuple[ApiKey, str]:
    public = new_token(8)
    text = f"mp_{public}_{new_token(32)}"
    ordered = tuple(scope for scope in Scope if scope in scopes)
    key = ApiKey(id=public, hash=hash_key(text), scopes=ordered, name=name, created_at=now, expires_at=expires_at)
    return key, text


def _closure(scopes: Sequence[Scope]) -> frozenset[Scope]:
    return frozenset().union(*(_INCLUDED[scope] for scope in scopes))
