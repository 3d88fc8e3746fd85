"""Keys have a life: an end that is known, a successor, an hour in which they were used last."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tracker.accounts import USE, Accounts, Scope
from tracker.store import Store

from .world import NOW, Api

HOUR = 3_600_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> float:
        return self.ms / 1000


async def whoami(api: Api, key: str) -> int:
    return (await api.raw("GET", "/whoami", headers={"Authorization": f"Bearer {key}"})).status


async def test_a_rotated_key_goes_on_beside_its_successor_and_then_ends(store: Store) -> None:
    """In a process that did not rotate it, too."""
    clock = Clock()
    here, there = Accounts(store, clock=clock), Accounts(store, clock=clock)
    await here.create("acme", now=NOW)
    old, text = await here.create_key("acme", [Scope.WRITE], name="erp", now=NOW)
    assert await there.authenticate(text)
    made, successor = await here.rotate_key("acme", old.id, overlap_s=3600, now=NOW)
    assert (made.name, made.scopes) == (old.name, old.scopes)
    for accounts in (here, there):
        assert await accounts.authenticate(text)
        assert await accounts.authenticate(successor)
    clock.ms += HOUR
    for accounts in (here, there):
        assert await accounts.authenticate(text) is None
        assert await accounts.authenticate(successor)


async def test_without_an_overlap_the_old_key_ends_at_once(api: Api, account: str) -> None:
    made = (await api.call(account, "POST", "/keys", json={"scopes": ["read"], "name": "desk"})).body
    rotated = await api.call(account, "POST", f"/keys/{made['id']}/rotate", json={"overlap_s": 0})
    assert (rotated.status, rotated.body["name"], rotated.body["scopes"]) == (201, "desk", ["read"])
    assert (await whoami(api, made["key"]), await whoami(api, rotated.body["key"])) == (401, 200)
    assert (await api.call(account, "POST", f"/keys/{made['id']}/rotate", json={})).status == 404
    [old] = [key for key in (await api.call(account, "GET", "/keys")).body["keys"] if key["id"] == made["id"]]
    assert old["expired"]


async def test_an_account_has_so_many_keys_and_no_more_however_many_are_asked_for_at_once(
    api: Api, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process reads all keys when one is made. Those that are over make room."""
    monkeypatch.setattr("tracker.accounts.MAX_KEYS", 6)
    held = len((await api.call(account, "GET", "/keys")).body["keys"])
    asked = [api.call(account, "POST", "/keys", json={"scopes": ["read"], "name": f"{n}"}) for n in range(12)]
    answers = await asyncio.gather(*asked)
    assert Counter(answer.status for answer in answers) == {201: 6 - held, 422: 6 + held}
    assert {answer.body["errors"][0]["code"] for answer in answers if answer.status == 422} == {"limit"}
    assert "6 keys" in next(answer.body["detail"] for answer in answers if answer.status == 422)
    made = next(answer.body["id"] for answer in answers if answer.status == 201)
    assert (await api.call(account, "POST", f"/keys/{made}/rotate", json={"overlap_s": 0})).status == 422
    assert (await api.call(account, "DELETE", f"/keys/{made}")).status == 204
    rotated = next(key["id"] for key in (await api.call(account, "GET", "/keys")).body["keys"] if key["name"])
    for _ in range(3):
        answer = await api.call(account, "POST", f"/keys/{rotated}/rotate", json={"overlap_s": 0})
        assert answer.status == 201
        rotated = answer.body["id"]
    assert len((await api.call(account, "GET", "/keys")).body["keys"]) <= 6


@pytest.mark.parametrize(
    "at", ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-12:00", "2027-01-01", "soon"]
)
async def test_an_end_that_cannot_be_is_refused_by_name(api: Api, account: str, at: str) -> None:
    answer = await api.call(account, "POST", "/keys", json={"scopes": ["read"], "expires_at": at})
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "expires_at")


async def test_a_key_with_an_end_says_so(api: Api, account: str) -> None:
    body = {"scopes": ["read"], "expires_at": "2033-01-01T00:00:00+08:00"}
    made = (await api.call(account, "POST", "/keys", json=body)).body
    assert made["expires_at"] == "2032-12-31T16:00:00Z"
    assert not made["expired"]
    assert made["last_used_at"] is None


async def test_the_last_use_is_written_by_the_hour_and_not_by_the_request(store: Store) -> None:
    clock = Clock()
    accounts = Accounts(store, clock=clock)
    await accounts.create("acme", now=NOW)
    key, text = await accounts.create_key("acme", [Scope.READ], now=NOW)
    for _ in range(50):
        await accounts.authenticate(text)
    version = await store.records_version("key")
    await accounts.write_use()
    assert await store.records_version(USE) == 1
    assert await store.records_version("key") == version, "or every process would read the keys anew"
    assert await Accounts(store).last_used("acme") == {key.id: NOW - NOW % HOUR}
    clock.ms += HOUR
    await accounts.authenticate(text)
    assert await accounts.last_used("acme") == {key.id: clock.ms - clock.ms % HOUR}
    await accounts.revoke("acme", key.id)
    await accounts.write_use()
    assert await store.records(USE) == {}


async def test_a_key_that_is_revoked_while_it_is_rotated_stays_revoked(store: Store) -> None:
    accounts = Accounts(store)
    await accounts.create("acme", now=NOW)
    key, text = await accounts.create_key("acme", [Scope.READ], now=NOW)
    await accounts.revoke("acme", key.id)
    assert not await store.replace_record("key", "acme", key.id, b"{}")
    assert await accounts.authenticate(text) is None


async def test_an_operator_whose_admin_keys_have_all_ended_gets_one_at_the_next_start(store: Store) -> None:
    clock = Clock()
    accounts = Accounts(store, clock=clock)
    assert await accounts.first_start(now=NOW)
    [key] = await accounts.keys("default")
    await accounts.rotate_key("default", key.id, overlap_s=0, now=NOW)
    assert await accounts.first_start(now=NOW) is None
    for one in await accounts.keys("default"):
        if not one.expired(NOW):
            await accounts.revoke("default", one.id)
    assert await accounts.first_start(now=NOW)
