"""One of everything in an account, and what each field of each request names: for what must hold for all routes.

A route's fields come from its OpenAPI description. A new route gives its body in `BODIES`; a new field that takes text
says in `NAMES` what it names.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tracker.api import TABLE
from tracker.api.openapi import openapi
from tracker.api.route import Route
from tracker.store.types import Outcome

from .desk import Desk
from .world import Api

SPEC = openapi(TABLE)

ORDER_STORE = {
    "platform": "woocommerce",  # it pushes, so that it has an address
    "base": "https://shop.example/orders",
    "credentials": {"consumer_key": "ck_1", "consumer_secret": "cs_1"},
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
    "rotate_key": {},
    "register_shipments": {"waybill": "AC000001", "carrier": "acme"},
    "create_subscription": {"url": "https://receiver.example/hook"},
    "set_route": {"connections": ["con_0123456789abcdef0123"]},
    "test_subscription": {},
    "rotate_secret": {},
    "rotate_connection_address": {},
    "rotate_order_store_address": {},
    "backfill_order_store": {},
    "replay_changes": {"since": "2026-09-22T08:00:00+08:00"},
    "amend_order_store": {"enabled": False},
    "create_order_store": ORDER_STORE,
    "create_connection": {"carrier": "acme", "credentials": {"app_key": "another's"}},
}
# Where a field stands in another body than that.
OTHER_BODIES: dict[str, Any] = {
    "register_shipments.shipments": {"shipments": [BODIES["register_shipments"]]},
    "replay_changes.after": {},
}
QUERIES = {"detect_carriers": {"number": "AC000001"}}  # what can't be asked without

# What an id of a path names, by the path's first part; carriers are the same for everybody.
PATHS = {
    "shipments": "shipment",
    "subscriptions": "subscription",
    "connections": "connection",
    "order-stores": "order store",
    "quarantine": "quarantined",
    "keys": "key",
    "accounts": "account",
    "orders": "order",
    "routes": "",
    "carriers": "",
}
# What the text of a field names: a kind of `UNKNOWN`, or "" where the caller's own words, or everybody's, stand in it.
# `operation.field` counts before `field`.
NAMES = {
    "message": "message",
    "account": "account",
    "connection": "connection",
    "connections[]": "connection",
    "destination": "subscription",
    "replay_dead_letters.ids[]": "dead letter",
    "list_changes.after": "feed cursor",
    "replay_changes.after": "feed cursor",
    "list_shipments.cursor": "shipment cursor",
    "list_stalled.cursor": "shipment cursor",
    "list_orders.cursor": "order cursor",
    "list_quarantine.cursor": "quarantine cursor",
    "list_dead_letters.cursor": "dead letter cursor",
    "replay.cursor": "replay cursor",
    "list_audit.cursor": "audit cursor",
    "waybill": "waybill",
    "waybills[]": "waybill",
    "waybills[].waybill": "waybill",
    "shipments[].waybill": "waybill",
    "shipments[].connection": "connection",
    "shipments[].order_number": "order",
    "order_number": "order",
    "list_orders.number": "order",
    "detect_carriers.number": "waybill",
    "create_account.name": "account",
    **dict.fromkeys(("shop", "warehouse", "tag", "shipments[].shop", "shipments[].warehouse", "shops[]"), "label"),
    **dict.fromkeys(("tags[]", "shipments[].tags[]", "name", "description"), "label"),
    **dict.fromkeys(("carrier", "carriers[]", "shipments[].carrier", "waybills[].carrier", "platform", "slug"), ""),
    **dict.fromkeys(
        ("phone_tail", "postal_code", "ship_date", "shipments[].phone_tail", "shipments[].postal_code"), ""
    ),
    **dict.fromkeys(("waybills[].phone_tail", "waybills[].postal_code", "waybills[].ship_date"), ""),
    **dict.fromkeys(("shipments[].ship_date", "placed_at", "paid_at", "cancelled_at", "placed_from", "placed_to"), ""),
    "expires_at": "",
    **dict.fromkeys(("currency", "total", "lines[].name", "lines[].spec", "lines[].price", "since", "kind"), ""),
    **dict.fromkeys(("base", "url", "credentials{}", "options{}", "headers{}", "statuses{}", "statuses[]"), ""),
    **dict.fromkeys(("type", "types[]", "status"), ""),
}
UNKNOWN = {
    "shipment": "shp_001234567890",
    "subscription": "sub_0123456789abcdef0123",
    "connection": "con_0123456789abcdef0123",
    "order store": "ost_0123456789abcdef0123",
    "quarantined": "qua_001234567890",
    "key": "zzzzzzzz",
    "account": "nobody",
    "order": "SO-0",
    "message": "msg_001234567890_1",
    "dead letter": "dl_001234567890",
    "waybill": "AC999999",
    "label": "nowhere",
}


@dataclass(frozen=True)
class Place:
    """Where a request names something: `what` is a kind of `UNKNOWN`, or "" for what is nobody's."""

    route: Route
    within: str  # path, query or body
    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.route.name}, {self.field!r} of its {self.within}"


def places(route: Route) -> list[Place]:
    """Every text that a request to this route may hold."""
    operation = SPEC["paths"][f"/v1{route.path}"][route.method.lower()]
    found = [
        (parameter["in"], field)
        for parameter in operation.get("parameters", ())
        for field in _texts(parameter["schema"], parameter["name"])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    found += [("body", field) for field in dict.fromkeys(_texts(body, ""))]
    return [Place(route, within, field, _named(route, within, field)) for within, field in found]


def _named(route: Route, within: str, field: str) -> str:
    first = route.path.split("/")[1]
    if within == "path" and route.parameters[0] == field and first in PATHS:
        return PATHS[first]
    bare = field.removesuffix("[]") if within == "query" else field
    for name in (f"{route.name}.{bare}", bare):
        if name in NAMES:
            return NAMES[name]
    raise AssertionError(
        f"{route.name} takes {field!r} in its {within}: say in NAMES of tests/api/everything.py what it names, "
        "so that another account's is tried there; '' if it can name nothing of anybody's"
    )


def _texts(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """The paths of what can be any text in a value of this schema."""
    if "$ref" in schema:
        schema = SPEC["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _texts(choice, path)
    match schema.get("type"):
        case "string" if not schema.keys() & {"enum", "const"}:
            yield path
        case "array":
            yield from _texts(schema.get("items", {}), f"{path}[]")
        case "object":
            for name, inner in schema.get("properties", {}).items():
                yield from _texts(inner, f"{path}.{name}" if path else name)
            if isinstance(schema.get("additionalProperties"), dict):
                yield from _texts(schema["additionalProperties"], path + "{}")


@dataclass(frozen=True)
class Request:
    """A request to a route: good as it is, but for what is put into one of its places."""

    path: str
    query: Mapping[str, str]
    body: Any

    @property
    def how(self) -> dict[str, Any]:
        return {"params": self.query} | ({} if self.body is None else {"json": self.body})


def request_to(route: Route, ids: Mapping[str, str], place: Place | None = None, value: str = "") -> Request:
    """The request with `ids` where its path names something, and `value` at the place."""
    path = route.path
    for one in places(route):
        if one.within == "path":
            said = value if one == place else ids[one.what] if one.what else "acme"
            path = path.replace(f"{{{one.field}}}", quote(said, safe=""))
    query = dict(QUERIES.get(route.name, {}))
    body = body_of(route, place.field if place else "")
    if place and place.within == "query":
        query[place.field.removesuffix("[]")] = value
    if place and place.within == "body":
        body = _put(body, re.findall(r"\w+|\[\]|\{\}", place.field), value)
    return Request(path, query, body)


def body_of(route: Route, field: str = "") -> Any:
    """A good body for this route, in which that field can stand; None where it takes none."""
    if route.body is None:
        return None
    assert route.name in BODIES, f"{route.name} takes a body: give a good one in BODIES of tests/api/everything.py"
    first = re.match(r"\w*", field)
    named = f"{route.name}.{first[0] if first else ''}"
    return copy.deepcopy(OTHER_BODIES.get(named, BODIES[route.name]))


def _put(body: Any, path: list[str], value: str) -> Any:
    """The body with `value` at the end of the path."""
    if not path:
        return value
    step, *rest = path
    if step == "[]":
        return [_put(body[0] if isinstance(body, list) and body else {}, rest, value)]
    if step == "{}":
        return {"k": _put(None, rest, value)}
    fields = body if isinstance(body, dict) else {}
    return fields | {step: _put(fields.get(step), rest, value)}


async def one_of_everything(api: Api, account: str, number: int = 1) -> dict[str, str]:
    """Make one of everything in the account, its names ending in the number; what each is known by."""
    waybill, order, label = f"AC{number:06}", f"SO-{number}", f"shop-{number}"
    whole = {"waybill": waybill, "carrier": "acme", "order_number": order, "shop": label, "tags": [label]}
    shipment = await api.call(account, "POST", "/shipments", json=whole)
    connection = await api.call(account, "POST", "/connections", json=BODIES["create_connection"])
    order_store = await api.call(account, "POST", "/order-stores", json=ORDER_STORE)
    key = await api.call(account, "POST", "/keys", json=BODIES["create_key"])
    subscription = await api.call(account, "POST", "/subscriptions", json=BODIES["create_subscription"])
    for one in (order, f"{order}-2"):
        await api.call(account, "PUT", f"/orders/{one}", json={"placed_at": "2026-11-20T10:00:00+08:00"})
    await api.call(account, "PUT", "/routes/acme", json={"connections": [connection.body["id"]]})
    store = api.store
    quarantined = await store.quarantine(account, b'{"carrier": "acme", "text": "garbage"}')
    desk = Desk(api, account, subscription.body["id"])
    await desk.fan_out(f"store:{order_store.body['id']}")
    await desk.settle(Outcome.DEAD)
    [letter, *_] = (await api.call(account, "GET", "/dead-letters")).body["dead_letters"]
    [delivery] = (await desk.call("GET", "/deliveries"))["deliveries"]
    return {
        "shipment": shipment.body["id"],
        "connection": connection.body["id"],
        "order store": order_store.body["id"],
        "subscription": subscription.body["id"],
        "key": key.body["id"],
        "quarantined": quarantined,
        "account": account,
        "order": order,
        "message": delivery["id"],
        "dead letter": letter["id"],
        "waybill": waybill,
        "label": label,
    } | await _cursors(api, account)


async def _cursors(api: Api, account: str) -> dict[str, str]:
    """The cursor after the first of each list."""
    lists = {"shipment": "/shipments", "order": "/orders", "quarantine": "/quarantine", "dead letter": "/dead-letters"}
    found = {
        f"{kind} cursor": (await api.call(account, "GET", path, params={"limit": 1})).body["cursor"]
        for kind, path in lists.items()
    }
    await api.services.audit.write()
    trail = await api.call(account, "GET", "/audit", params={"limit": 1})
    found["audit cursor"] = trail.body["cursor"]
    feed = await api.call(account, "GET", "/changes", params={"limit": 1})
    return found | {"feed cursor": feed.body["cursor"], "replay cursor": f"s.{found['shipment cursor']}"}
