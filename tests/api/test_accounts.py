"""Accounts and API keys: made, used, ended."""

from __future__ import annotations

from typing import Any

import pytest

from tracker.accounts import Accounts, Scope
from tracker.errors import NotFound
from tracker.store import Store

from .world import NOW, Api


async def test_a_key_is_shown_once_and_kept_as_a_hash(api: Api, account: str, store: Store) -> None:
    made = await api.call(account, "POST", "/keys", json={"scopes": ["read"], "name": "desk"})
    assert made.status == 201
    listed = await api.call(account, "GET", "/keys")
    assert made.body["key"] not in str(listed.body)
    assert all(made.body["key"].encode() not in value for value in (await store.records("key")).values())
    me = await api.raw("GET", "/whoami", headers={"Authorization": f"Bearer {made.body['key']}"})
    assert me.body == {"account": account, "key": made.body["id"], "scopes": ["read"], "operator": False}


async def test_a_revoked_key_ends_at_once(api: Api, account: str) -> None:
    made = (await api.call(account, "POST", "/keys", json={"scopes": ["write"]})).body
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert (await api.raw("GET", "/whoami", headers=headers)).status == 200
    assert (await api.call(account, "DELETE", f"/keys/{made['id']}")).status == 204
    assert (await api.raw("GET", "/whoami", headers=headers)).status == 401


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope.READ, {"read"}),
        (Scope.WRITE, {"read", "write"}),
        (Scope.ADMIN, {"read", "write", "admin"}),
    ],
)
async def test_a_scope_includes_those_before_it(api: Api, account: str, scope: Scope, covered: set[str]) -> None:
    me = await api.call(account, "GET", "/whoami", scope=scope)
    assert set(me.body["scopes"]) == covered


@pytest.mark.parametrize(
    "body", [{}, {"scopes": []}, {"scopes": ["root"]}, {"scopes": "read"}, {"scopes": ["read"], "name": 1}]
)
async def test_a_wrong_key_request_makes_no_key(api: Api, account: str, body: dict[str, Any]) -> None:
    assert (await api.call(account, "POST", "/keys", json=body)).status == 422
    assert len((await api.call(account, "GET", "/keys")).body["keys"]) == 1


async def test_an_operator_makes_an_account_and_ends_it(api: Api) -> None:
    await api.services.accounts.first_start(now=NOW)
    name = f"shop-{await api.account()}"[:32]
    made = await api.call("default", "POST", "/accounts", json={"name": name})
    assert made.status == 201
    headers = {"Authorization": f"Bearer {made.body['key']['key']}"}
    body = {"waybill": "AC000001", "carrier": "acme"}
    assert (await api.raw("POST", "/shipments", headers=headers, json=body)).status == 201
    assert (await api.call("default", "POST", "/accounts", json={"name": name})).status == 409
    assert (await api.call("default", "DELETE", f"/accounts/{name}")).status == 204
    assert (await api.raw("GET", "/whoami", headers=headers)).status == 401
    assert (await api.call("default", "GET", f"/accounts/{name}")).status == 404
    assert (await api.call("default", "POST", "/accounts", json={"name": name})).status == 409
    assert name not in str((await api.call("default", "GET", "/accounts")).body)


async def test_a_tenant_sees_its_own_account_and_makes_none(api: Api, account: str) -> None:
    other = await api.account()
    assert [one["name"] for one in (await api.call(account, "GET", "/accounts")).body["accounts"]] == [account]
    assert (await api.call(account, "GET", f"/accounts/{account}")).status == 200
    assert (await api.call(account, "GET", f"/accounts/{other}")).status == 404
    assert (await api.call(account, "DELETE", f"/accounts/{other}")).status == 404
    assert (await api.call(account, "DELETE", f"/accounts/{account}")).status == 403
    assert (await api.call(account, "POST", "/accounts", json={"name": "mine-too"})).status == 403


async def test_the_operators_account_stays(api: Api) -> None:
    await api.services.accounts.first_start(now=NOW)
    assert (await api.call("default", "DELETE", "/accounts/default")).status == 409


async def test_the_first_start_gives_one_admin_key_and_later_ones_none(store: Store) -> None:
    accounts = Accounts(store)
    for account in await accounts.all():
        for key in await accounts.keys(account.name):
            await accounts.revoke(account.name, key.id)
    text = await accounts.first_start(now=NOW)
    assert text is not None
    identity = await accounts.authenticate(text)
    assert identity is not None
    assert identity.operator
    assert await accounts.first_start(now=NOW) is None


async def test_two_processes_agree_on_what_a_key_may_do(store: Store, api: Api, account: str) -> None:
    here, there = Accounts(store), Accounts(store)
    key, text = await here.create_key(account, [Scope.READ], now=NOW)
    assert await there.authenticate(text) is not None
    await here.revoke(account, key.id)
    assert await there.authenticate(text) is None
    with pytest.raises(NotFound):
        await there.revoke(account, key.id)
