"""Nothing leaves an account: every route with an id, and every list, tried with another account's key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tracker.accounts import Scope
from tracker.api import TABLE
from tracker.api.route import Route

from .world import Api

ORDER_STORE = {
    "platform": "http",
    "base": "https://shop.example/orders",
    "credentials": {"signing_secret": "whsec_" + "c2VjcmV0" * 4},
}
BODIES: dict[str, Any] = {
    "amend_shipment": {"shop": "mine"},
    "amend_connection": {"enabled": False},
    "amend_subscription": {"enabled": False},
    "create_account_key": {"scopes": ["read"]},
    "put_order": {},
    "replay": {"dry_run": True},
    "replay_dead_letters": {"ids": ["dl_0000000000000"]},
    "create_account": {"name": "strangers-own"},
    "create_key": {"scopes": ["read"]},
    "register_shipments": {"waybill": "AC000001", "carrier": "acme"},
    "create_subscription": {"url": "https://receiver.example/hook"},
    "set_route": {"connections": ["con_0123456789abcdef0123"]},
    "test_subscription": {},
    "rotate_secret": {},
    "replay_changes": {"since": "2026-09-22T08:00:00+08:00"},
    "amend_order_store": {"enabled": False},
    "create_order_store": ORDER_STORE,
    "create_connection": {"carrier": "acme", "credentials": {"app_key": "another's"}},
}
UNKNOWN = {
    "shipments": "shp_00aaaaaaaaaa",
    "subscriptions": "sub_0123456789abcdef0123",
    "connections": "con_0123456789abcdef0123",
    "order-stores": "ost_0123456789abcdef0123",
    "quarantine": "qua_00aaaaaaaaaa",
    "keys": "zzzzzzzz",
    "accounts": "nobody",
    "orders": "SO-unknown",
    "routes": "bolt",
}
ASKED = {"/detect": "?number=AC000001"}  # what a list can't be asked without
PUBLIC = {"carriers"}  # the same for everybody
BY_ID = [route for route in TABLE if route.parameters and route.path.split("/")[1] not in PUBLIC]
# An order's number and a carrier's name belong to whoever states them: a put of another's makes one's own.
OWN_NAME = {"put_order", "set_route"}


@pytest.fixture
async def theirs(api: Api, account: str) -> dict[str, str]:
    """One of everything, in an account of its own."""
    shipment = await api.call(
        account, "POST", "/shipments", json=BODIES["register_shipments"] | {"order_number": "SO-7"}
    )
    connection = await api.call(account, "POST", "/connections", json=BODIES["create_connection"])
    subscription = await api.call(account, "POST", "/subscriptions", json=BODIES["create_subscription"])
    order_store = await api.call(account, "POST", "/order-stores", json=ORDER_STORE)
    key = await api.call(account, "POST", "/keys", json=BODIES["create_key"])
    await api.call(account, "PUT", "/orders/SO-7", json={})
    await api.call(account, "PUT", "/routes/acme", json={"connections": [connection.body["id"]]})
    quarantined = await api.services.store.quarantine(account, b'{"body": "garbage"}')  # type: ignore[attr-defined]
    return {
        "shipments": shipment.body["id"],
        "connections": connection.body["id"],
        "order-stores": order_store.body["id"],
        "subscriptions": subscription.body["id"],
        "keys": key.body["id"],
        "quarantine": quarantined,
        "accounts": account,
        "orders": "SO-7",
        "routes": "acme",
    }


def _path(route: Route, ids: dict[str, str]) -> str:
    return re.sub(r"\{\w+\}", ids[route.path.split("/")[1]], route.path)


def _how(route: Route) -> dict[str, Any]:
    return {"json": BODIES[route.name]} if route.body is not None else {}


@pytest.mark.parametrize("route", [r for r in BY_ID if r.name not in OWN_NAME], ids=lambda route: route.name)
async def test_anothers_id_is_answered_as_one_that_never_was(api: Api, theirs: dict[str, str], route: Route) -> None:
    stranger = await api.account()
    foreign = await api.call(stranger, route.method, _path(route, theirs), **_how(route))
    unknown = await api.call(stranger, route.method, _path(route, UNKNOWN), **_how(route))
    assert foreign.status == unknown.status == 404
    assert foreign.body.pop("instance") != unknown.body.pop("instance")
    assert foreign.body == unknown.body


async def test_nothing_of_theirs_was_touched(api: Api, account: str, theirs: dict[str, str]) -> None:
    stranger = await api.account()
    before = await _seen(api, account)
    for route in TABLE:
        if route.method != "GET":
            await api.call(
                stranger, route.method, _path(route, theirs) if route.parameters else route.path, **_how(route)
            )
    assert await _seen(api, account) == before


@pytest.mark.parametrize(
    "route", [r for r in TABLE if r.method == "GET" and not r.parameters], ids=lambda route: route.name
)
async def test_a_list_holds_nothing_of_anothers(api: Api, theirs: dict[str, str], route: Route) -> None:
    stranger = await api.account()
    answer = await api.call(stranger, "GET", route.path + ASKED.get(route.path, ""))
    assert answer.status == 200
    own = [id for name, id in theirs.items() if name != "routes"]  # a carrier's name is nobody's
    assert not [id for id in own if f'"{id}"' in str(answer.body).replace("'", '"')]


@pytest.mark.parametrize("query", ["waybill=AC000001", "order_number=SO-7"])
async def test_a_number_finds_nothing_of_anothers(api: Api, theirs: dict[str, str], query: str) -> None:
    stranger = await api.account()
    assert (await api.call(stranger, "GET", f"/shipments?{query}")).body["shipments"] == []


async def test_the_same_waybill_is_two_shipments_in_two_accounts(api: Api, theirs: dict[str, str]) -> None:
    stranger = await api.account()
    mine = await api.call(stranger, "POST", "/shipments", json=BODIES["register_shipments"])
    assert mine.status == 201
    assert mine.body["id"] != theirs["shipments"]


async def test_anothers_connection_is_no_route(api: Api, theirs: dict[str, str]) -> None:
    stranger = await api.account()
    body = BODIES["register_shipments"] | {"connection": theirs["connections"]}
    answer = await api.call(stranger, "POST", "/shipments", json=body)
    assert answer.status == 422
    assert answer.body["errors"][0]["code"] == "unknown_connection"


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.name)
async def test_a_route_asks_for_a_key_and_for_its_scope(api: Api, account: str, route: Route) -> None:
    path = _path(route, UNKNOWN | {"carriers": "acme"}) if route.parameters else route.path
    assert (await api.raw(route.method, path, **_how(route))).status == 401
    lesser = {Scope.WRITE: Scope.READ, Scope.ADMIN: Scope.WRITE}.get(route.scope)
    if lesser:
        assert (await api.call(account, route.method, path, scope=lesser, **_how(route))).status == 403


def test_a_route_that_changes_anything_needs_more_than_reading() -> None:
    assert not [route.name for route in TABLE if route.method != "GET" and route.scope is Scope.READ]


async def _seen(api: Api, account: str) -> list[Any]:
    lists = [route.path for route in TABLE if route.method == "GET" and not route.parameters]
    bodies = [(await api.call(account, "GET", path)).body for path in lists]
    return [body | {"cursor": None} for body in bodies]  # that of the feed moves with the neighbours' changes
