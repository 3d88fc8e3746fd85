"""Accounts and API keys. A key is shown once, when it is made."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tracker.accounts import Account, ApiKey, Scope
from tracker.api.checking import instant
from tracker.api.models.accounts import (
    AccountList,
    AccountMade,
    AccountView,
    KeyList,
    KeyMade,
    KeyView,
    NewAccount,
    NewKey,
    RotateKey,
    Whoami,
)
from tracker.api.problems import CONFLICT, SCOPE, Refusal, not_found
from tracker.api.route import Call, Routes
from tracker.views import iso

routes = Routes("accounts and keys")

_SWEEP_S = 10.0  # that the answer to a deletion waits for the sweep


@routes("GET", "/whoami")
async def whoami(call: Call) -> Whoami:
    """Whose key this is, and what it may do."""
    me = call.identity
    scopes = [scope for scope in Scope if scope in me.scopes]
    return Whoami(account=me.account, key=me.key, scopes=scopes, operator=me.operator)


@routes("GET", "/accounts", scope=Scope.ADMIN)
async def list_accounts(call: Call) -> AccountList:
    """The accounts that the key may see: all for an operator's (an admin key of `default`), else its own."""
    accounts = call.services.accounts
    found = await accounts.all() if call.identity.operator else [await accounts.get(call.account)]
    return AccountList(accounts=[_account(account) for account in found])


@routes("POST", "/accounts", scope=Scope.ADMIN, status=201, problems=[CONFLICT])
async def create_account(call: Call, body: NewAccount) -> AccountMade:
    """Make an account with a first admin key, shown this once. For operators."""
    _operators_only(call)
    account = await call.services.accounts.create(body.name, now=call.now)
    key, text = await call.services.accounts.create_key(body.name, [Scope.ADMIN], name="first key", now=call.now)
    return AccountMade(name=account.name, created_at=iso(account.created_at), key=_made(key, text))


@routes("GET", "/accounts/{name}", scope=Scope.ADMIN)
async def get_account(call: Call, name: str) -> AccountView:
    """One account."""
    return _account(await call.services.accounts.get(_visible(call, name)))


@routes("DELETE", "/accounts/{name}", scope=Scope.ADMIN, status=204, problems=[CONFLICT], waits=True)
async def delete_account(call: Call, name: str) -> None:
    """Remove an account and all that belongs to it, its keys first. For operators; its name is not given again.

    It is closed at once. What belongs to it is swept before the answer where ten seconds are enough for that, and in
    the background where they are not.
    """
    _visible(call, name)
    _operators_only(call)
    await call.services.departures.close(name, now=call.now)
    with suppress(TimeoutError):
        async with asyncio.timeout(_SWEEP_S):
            await call.services.departures.sweep(name)


@routes("POST", "/accounts/{name}/keys", scope=Scope.ADMIN, status=201)
async def create_account_key(call: Call, name: str, body: NewKey) -> KeyMade:
    """Make a key of an account, for one that lost all of its own. For operators."""
    key, text = await call.services.accounts.create_key(
        _visible(call, name), _scopes(body), name=body.name, expires_at=_expiry(body), now=call.now
    )
    return _made(key, text)


@routes("GET", "/keys", scope=Scope.ADMIN)
async def list_keys(call: Call) -> KeyList:
    """The keys of the account, oldest first, without the keys themselves."""
    accounts = call.services.accounts
    used = await accounts.last_used(call.account)
    return KeyList(keys=[_key(key, call.now, used.get(key.id)) for key in await accounts.keys(call.account)])


@routes("POST", "/keys", scope=Scope.ADMIN, status=201)
async def create_key(call: Call, body: NewKey) -> KeyMade:
    """Make a key; `key` is shown this once. `write` includes `read`, `admin` includes both."""
    key, text = await call.services.accounts.create_key(
        call.account, _scopes(body), name=body.name, expires_at=_expiry(body), now=call.now
    )
    return _made(key, text)


@routes("POST", "/keys/{id}/rotate", scope=Scope.ADMIN, status=201)
async def rotate_key(call: Call, id: str, body: RotateKey) -> KeyMade:
    """Make a key's successor, with its name and scopes; the key itself ends after `overlap_s`, a day by default."""
    key, text = await call.services.accounts.rotate_key(call.account, id, overlap_s=body.overlap_s, now=call.now)
    return _made(key, text)


@routes("DELETE", "/keys/{id}", scope=Scope.ADMIN, status=204)
async def revoke_key(call: Call, id: str) -> None:
    """End a key at once."""
    await call.services.accounts.revoke(call.account, id)


def _visible(call: Call, name: str) -> str:
    """The name where the caller may see that account; the answer to everybody else is that of an unknown one."""
    if not call.identity.operator and name != call.account:
        raise not_found()
    return name


def _operators_only(call: Call) -> None:
    if not call.identity.operator:
        raise Refusal(SCOPE, "only an admin key of the account 'default' makes and removes accounts")


def _scopes(body: NewKey) -> list[Scope]:
    return [Scope(scope) for scope in body.scopes]


def _expiry(body: NewKey) -> int:
    return 0 if body.expires_at is None else instant("expires_at", body.expires_at)


def _account(account: Account) -> AccountView:
    return AccountView(name=account.name, created_at=iso(account.created_at))


def _key(key: ApiKey, now: int, used: int | None = None) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        scopes=list(key.scopes),
        created_at=iso(key.created_at),
        expires_at=iso(key.expires_at) if key.expires_at else None,
        expired=key.expired(now),
        last_used_at=iso(used) if used else None,
    )


def _made(key: ApiKey, text: str) -> KeyMade:
    return KeyMade(**_key(key, key.created_at), key=text)
