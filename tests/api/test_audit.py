"""Whoever changes something leaves one entry, whether it was done or refused; held over the route table."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tracker.accounts import Scope
from tracker.api import TABLE
from tracker.api.route import Route
from tracker.audit import Act, Audit
from tracker.store import Store
from tracker.store.types import StoreDown

from .everything import UNKNOWN, body_of, one_of_everything, places, request_to
from .test_departures import everything_in
from .world import NOW, Api

CHANGING = [route for route in TABLE if route.method != "GET"]


async def trail(api: Api, account: str) -> list[dict[str, Any]]:
    """The account's entries, the first one first."""
    await api.services.audit.write()
    entries: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": 50} | ({"cursor": cursor} if cursor else {})
        page = (await api.call(account, "GET", "/audit", params=query)).body
        entries += page["entries"]
        cursor = page["cursor"]
        if cursor is None:
            return entries[::-1]


async def asked(api: Api, account: str, route: Route, ids: dict[str, str], scope: Scope) -> tuple[int, dict[str, Any]]:
    """The answer's status, and the one entry that it left."""
    before = len(await trail(api, account))
    request = request_to(route, ids)
    answer = await api.call(account, route.method, request.path, scope=scope, **request.how)
    [entry] = (await trail(api, account))[before:]
    return answer.status, entry


async def test_each_route_that_changes_something_leaves_one_entry(api: Api) -> None:
    """For an operator with one of everything, and again for what is not there."""
    await api.services.accounts.first_start(now=NOW)
    ids = await one_of_everything(api, "default")
    other = await api.account()
    id = (await api.services.accounts.keys("default"))[-1].id
    for names in (ids | {"account": other}, UNKNOWN):
        for route in sorted(CHANGING, key=lambda route: route.method == "DELETE"):
            status, entry = await asked(api, "default", route, names, Scope.ADMIN)
            assert entry["action"] == route.name
            assert entry["status"] == status
            assert entry["outcome"] == ("done" if status < 400 else "refused"), (route.name, status)
            assert entry["actor"] == "api"
            assert entry["address"] == "127.0.0.1"
            assert entry["key"]
            for one in places(route):
                if one.within == "path" and one.what:
                    assert names[one.what] in entry["target"], route.name
    assert id


async def test_what_a_key_may_not_do_is_there_as_refused(api: Api, account: str) -> None:
    await api.key(account, Scope.ADMIN)
    for route in CHANGING:
        if route.scope is Scope.READ:
            continue
        status, entry = await asked(api, account, route, UNKNOWN, Scope.READ)
        assert (status, entry["status"], entry["outcome"], entry["action"]) == (403, 403, "refused", route.name)


async def test_an_entry_names_what_was_made_and_holds_no_body_and_no_secret(api: Api, account: str) -> None:
    body = {"scopes": ["read"], "name": "canary-of-a-body"}
    made = (await api.call(account, "POST", "/keys", json=body)).body
    entries = await trail(api, account)
    assert entries[-1]["target"] == made["id"]
    assert "canary" not in str(entries)
    assert made["key"] not in str(entries)


async def test_what_reads_leaves_nothing(api: Api, account: str) -> None:
    before = await trail(api, account)
    for path in ("/shipments", "/keys", "/whoami", "/changes"):
        await api.call(account, "GET", path)
    assert await trail(api, account) == before


async def test_who_has_no_key_is_in_the_operators_trail_once_a_minute(api: Api, account: str) -> None:
    await api.services.accounts.first_start(now=NOW)
    before = await trail(api, "default")
    for _ in range(3):
        headers = {"Authorization": "Bearer mp_nobodyss_" + "x" * 32}
        assert (await api.raw("POST", "/shipments", headers=headers, json={})).status == 401
    [entry] = (await trail(api, "default"))[len(before) :]
    assert (entry["action"], entry["status"], entry["key"]) == ("register_shipments", 401, None)


async def test_a_key_that_is_given_where_its_id_belongs_is_not_kept(api: Api, account: str, store: Store) -> None:
    """By its owner, whose key it goes on being, and by somebody who shows none."""
    await api.services.accounts.first_start(now=NOW)
    _, key = await api.services.accounts.create_key(account, [Scope.READ], now=NOW)
    assert (await api.call(account, "DELETE", f"/keys/{key}")).status == 404
    assert (await api.raw("POST", f"/keys/{key}/rotate", json={})).status == 401
    for owner, action in ((account, "revoke_key"), ("default", "rotate_key")):
        entry = (await trail(api, owner))[-1]
        assert (entry["action"], entry["target"]) == (action, f"{key[:7]}…")
    assert [place async for place, value in everything_in(store) if key[12:].encode() in value] == []


async def test_a_trail_is_cut_off_by_number_and_by_age(store: Store) -> None:
    few = Audit(store, keep_entries=3)
    for number in range(5):
        few.note("acme", act(f"act-{number}"))
    await few.write()
    found, _ = await few.page("acme", None, 10)
    assert [entry.act.action for entry in found] == ["act-4", "act-3", "act-2"]
    short = Audit(store, keep_days=1e-9)
    while not (found[0].at < round(time.time() * 1000) - 1):
        pass
    await short.trim("acme")
    assert await short.page("acme", None, 10) == ([], None)


async def test_what_cannot_be_written_waits_and_keeps_its_order(store: Store) -> None:
    class Away:
        async def record_acts(self, *_: Any, **__: Any) -> None:
            raise StoreDown("away")

        acts = store.acts

    audit = Audit(Away())
    audit.note("acme", act("first"))
    with pytest.raises(StoreDown):
        await audit.write()
    audit.note("acme", act("second"))
    audit._store = store
    await audit.write()
    assert [entry.act.action for entry in (await audit.page("acme", None, 10))[0]] == ["second", "first"]


async def test_the_cursor_of_a_trail_is_one_of_a_trail(api: Api, account: str) -> None:
    for cursor in ("AAAA", "%%%", "MS0", "LTEtMQ"):
        assert (await api.call(account, "GET", "/audit", params={"cursor": cursor})).status == 422


def act(action: str) -> Act:
    return Act(actor="api", key="k", address="127.0.0.1", action=action, target="", status=200)


def test_every_changing_route_has_a_good_body() -> None:
    """Or the test above would only see refusals."""
    for route in CHANGING:
        body_of(route)
