"""Shopify, Admin GraphQL API: the tracking events of the fulfilment that carries the parcel.

API: https://shopify.dev/docs/api/admin-graphql/2026-10 ; pushes: https://shopify.dev/docs/apps/build/webhooks
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from tracker.order_stores.sdk import (
    BadInput,
    Credential,
    Fulfilment,
    Http,
    Limited,
    Page,
    ParseError,
    Platform,
    Push,
    Refused,
    Status,
    Told,
    Unavailable,
    at,
    happened_at,
    hmac_sha256,
    object_of,
    objects,
    phone_tail,
    postal_code,
    read_json,
    text_at,
)

# Shopify supports a version for a year: https://shopify.dev/docs/api/usage/versioning
VERSION = "2026-10"
TOKEN, CLIENT_ID, CLIENT_SECRET, WEBHOOK_SECRET = "access_token", "client_id", "client_secret", "webhook_secret"
SIGNED = [hmac_sha256("X-Shopify-Hmac-Sha256", secret=secret) for secret in (CLIENT_SECRET, WEBHOOK_SECRET)]
TOPICS = ("fulfillments/create", "fulfillments/update")

# https://shopify.dev/docs/api/admin-graphql/2026-10/enums/FulfillmentEventStatus
WORDS = (
    "ATTEMPTED_DELIVERY",
    "CARRIER_PICKED_UP",
    "CONFIRMED",
    "DELAYED",
    "DELIVERED",
    "FAILURE",
    "IN_TRANSIT",
    "LABEL_PRINTED",
    "LABEL_PURCHASED",
    "OUT_FOR_DELIVERY",
    "PICKED_UP",  # by the buyer, at the counter
    "READY_FOR_PICKUP",
)
# What has no word there is not told: returns, trouble of every kind, parcels called off.
STATUSES: Mapping[str, str] = {
    Status.INFO_RECEIVED: "CONFIRMED",
    Status.PICKED_UP: "CARRIER_PICKED_UP",
    Status.IN_TRANSIT: "IN_TRANSIT",
    Status.OUT_FOR_DELIVERY: "OUT_FOR_DELIVERY",
    Status.DELIVERY_FAILED: "ATTEMPTED_DELIVERY",
    Status.AVAILABLE_FOR_PICKUP: "READY_FOR_PICKUP",
    Status.DELIVERED: "DELIVERED",
}

FIND = """
query Fulfilments($query: String!) {
  orders(first: 2, query: $query) {
    nodes { name fulfillments(first: 20) { id trackingInfo(first: 10) { number } } }
  }
}
"""
READ = """
query Events($id: ID!) {
  fulfillment(id: $id) { events(first: 100, sortKey: HAPPENED_AT, reverse: true) { nodes { status happenedAt } } }
}
"""
TELL = """
mutation Tell($event: FulfillmentEventInput!) {
  fulfillmentEventCreate(fulfillmentEvent: $event) { fulfillmentEvent { id } userErrors { field message } }
}
"""
SHOP = "query Shop { shop { name } }"
# Some four points for an order with one parcel; 230 at most, of which Shopify asks that the bucket holds them.
_FULFILMENTS, _NUMBERS = 5, 3  # in a page of orders; one with as many may have more, and is read by itself
RECENT = f"""
query Recent($query: String!, $after: String) {{
  orders(first: 10, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{
      id name updatedAt shippingAddress {{ phone zip }}
      fulfillments(first: {_FULFILMENTS}) {{ status trackingInfo(first: {_NUMBERS}) {{ company number }} }}
    }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""
WHOLE = """
query Whole($id: ID!) {
  order(id: $id) { fulfillments(first: 60) { status trackingInfo(first: 15) { company number } } }
}
"""


async def tell(http: Http, told: Told) -> None:
    """Add the event, unless the fulfilment has it: the same status at the same time."""
    if not told.word:
        return
    fulfilment, moment = await _fulfilment(http, told), happened_at(told.parcel)
    if (told.word, moment) in await _events(http, fulfilment):
        return
    event = {"fulfillmentId": fulfilment, "status": told.word, "happenedAt": _iso(moment)}
    if told.parcel.last_text:
        event["message"] = told.parcel.last_text
    data = await _ask(http, TELL, {"event": event})
    problems = at(data, "fulfillmentEventCreate", "userErrors")
    if problems:
        raise Refused("; ".join(str(one.get("message")) for one in objects(problems)))


async def probe(http: Http) -> str:
    """The shop's name."""
    return str(at(await _ask(http, SHOP, {}), "shop", "name"))


async def _fulfilment(http: Http, told: Told) -> str:
    """The id of the fulfilment with the parcel's waybill; raises Unavailable while there is none."""
    number, waybill = told.order.number, told.parcel.waybill
    plain = number.removeprefix("#").replace("\\", "\\\\").replace('"', '\\"')
    data = await _ask(http, FIND, {"query": f'name:"{plain}"'})
    for order in objects(at(data, "orders", "nodes")):
        if str(order.get("name")).removeprefix("#") != number.removeprefix("#"):
            continue
        for fulfilment in objects(order.get("fulfillments")):
            if any(_same(one.get("number"), waybill) for one in objects(fulfilment.get("trackingInfo"))):
                return str(fulfilment["id"])
    raise Unavailable(f"order {number} has no fulfilment with the tracking number {waybill}")


async def _events(http: Http, fulfilment: str) -> set[tuple[str, datetime]]:
    data = await _ask(http, READ, {"id": fulfilment})
    nodes = objects(at(data, "fulfillment", "events", "nodes"))
    return {(str(node.get("status")), datetime.fromisoformat(str(node.get("happenedAt")))) for node in nodes}


async def _ask(http: Http, query: str, variables: Mapping[str, Any], *, spared: str = "") -> Any:
    """What a query answers; a field `spared` may be kept from us."""
    reply = await http.request(
        "POST",
        f"/admin/api/{VERSION}/graphql.json",
        headers={"X-Shopify-Access-Token": await _token(http)},
        json={"query": query, "variables": variables},
    )
    answer = reply.json()
    if not isinstance(answer, dict):
        raise Unavailable(f"answered {reply.status} with no GraphQL")
    _check(answer, reply.status, spared)
    return answer.get("data")


async def _token(http: Http) -> str:
    """The access token that the order store holds, or one of a day for its app's id and secret."""
    return http.credentials.get(TOKEN) or await http.token(partial(_obtain, http))


async def _obtain(http: Http) -> tuple[str, float]:
    """shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant"""
    asked = {
        "grant_type": "client_credentials",
        "client_id": http.credentials[CLIENT_ID],
        "client_secret": http.credentials[CLIENT_SECRET],
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await http.request("POST", "/admin/oauth/access_token", headers=headers, data=urlencode(asked).encode())
    answer = reply.json()
    if reply.status != 200:
        raise Unavailable(f"answered {reply.status}, gave no token: {at(answer, 'error_description') or answer}"[:300])
    return str(answer["access_token"]), float(answer["expires_in"])


def check(credentials: Mapping[str, str]) -> None:
    """Raise BadInput unless there is a token or what gets one."""
    if not credentials.get(TOKEN) and not (credentials.get(CLIENT_ID) and credentials.get(CLIENT_SECRET)):
        raise BadInput(
            f"credentials.{TOKEN}", f"required, unless there are {CLIENT_ID} and {CLIENT_SECRET}", code="required"
        )


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """Whether the app signed it, or the shop: https://shopify.dev/docs/apps/build/webhooks/verify-deliveries"""
    return any(signed(push, credentials) for signed in SIGNED)


def _check(answer: dict[str, Any], status: int, spared: str = "") -> None:
    """Raise for an answer with errors. They say nothing of the update itself: that is what `userErrors` are for.

    A shop may keep the addresses of its customers from an app, which gets the rest of what it asked for then:
    https://shopify.dev/docs/apps/launch/protected-customer-data
    """
    errors = answer.get("errors")
    if spared and isinstance(errors, list):
        errors = [one for one in errors if spared not in (at(one, "path") or ())]
    if not errors and 200 <= status < 300:
        return
    codes = {at(one, "extensions", "code") for one in objects(errors)} if isinstance(errors, list) else set()
    if "THROTTLED" in codes:
        raise Limited("throttled", retry_after_s=_pause(answer))
    told = "; ".join(str(one.get("message")) for one in objects(errors)) if codes else str(errors)
    raise Unavailable(f"answered {status}: {told}"[:300])


def _pause(answer: dict[str, Any]) -> float:
    """Seconds until the bucket holds what the query asked for.

    https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits
    """
    cost = at(answer, "extensions", "cost") or {}
    status = cost.get("throttleStatus") or {}
    try:
        lacking = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(1.0, min(lacking / float(status["restoreRate"]), 60.0))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 2.0


def _same(number: object, waybill: str) -> bool:
    return "".join(str(number).split()).upper() == waybill.upper()


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


# ---------------------------------------------------------------- what it did not push


async def recent(http: Http, since: datetime, cursor: str) -> Page:
    """The fulfilments of ten orders, whatever their status.

    Filter, order and pages: https://shopify.dev/docs/api/admin-graphql/2026-10/queries/orders ; the date is quoted, as
    https://shopify.dev/docs/api/usage/search-syntax wants it.
    """
    asked = {"query": f"updated_at:>='{_iso(since)}'", "after": cursor or None}
    orders = (await _ask(http, RECENT, asked, spared="shippingAddress"))["orders"]
    found: list[Fulfilment] = []
    for order in orders["nodes"]:
        found += _followed(order, await _all_of(http, order))
    updated = [datetime.fromisoformat(order["updatedAt"]) for order in orders["nodes"]]
    info = orders["pageInfo"]
    return Page(
        fulfilments=found,
        updated_to=max(updated, default=None),
        next=str(info["endCursor"]) if info["hasNextPage"] else "",
    )


async def _all_of(http: Http, order: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """The fulfilments of an order, and their numbers, where it may have more than the page shows."""
    shown = objects(order["fulfillments"])
    if len(shown) < _FULFILMENTS and all(len(objects(one["trackingInfo"])) < _NUMBERS for one in shown):
        return shown
    return objects(at(await _ask(http, WHOLE, {"id": order["id"]}), "order", "fulfillments"))


def _followed(order: dict[str, Any], fulfilments: Sequence[dict[str, Any]]) -> Sequence[Fulfilment]:
    """As a push says it: a fulfilment that was cancelled is none, one without a number is not underway."""
    to = order.get("shippingAddress") or {}
    known = {"phone_tail": phone_tail(to), "postal_code": postal_code(to.get("zip"))}
    return [
        Fulfilment(order_number=order["name"], waybill=one["number"], carrier=one.get("company") or "", **known)
        for fulfilment in fulfilments
        if fulfilment["status"] != "CANCELLED"
        for one in objects(fulfilment["trackingInfo"])
        if one["number"]
    ]


# ---------------------------------------------------------------- its pushes


def fulfilments(push: Push) -> Sequence[Fulfilment]:
    """The waybills of a push of `fulfillments/create` or `fulfillments/update`; other topics say nothing to us.

    The payload is that of https://shopify.dev/docs/api/admin-rest/latest/resources/fulfillment ; its `name` is the
    order's name, a full stop and a number.
    """
    if push.headers.get("x-shopify-topic") not in TOPICS:
        return []
    body = object_of(read_json(push.body), "$")
    order, _, _ = text_at(body, "name", "$").rpartition(".")
    if not order:
        raise ParseError("$.name", f"{text_at(body, 'name', '$')!r} is no name of a fulfilment like '#1001.1'")
    if body.get("status") == "cancelled":
        return []
    carrier = text_at(body, "tracking_company", "$") if body.get("tracking_company") else ""
    numbers = body.get("tracking_numbers") or [body.get("tracking_number")]
    if not isinstance(numbers, list):
        raise ParseError("$.tracking_numbers", "is no list")
    to = body["destination"] if isinstance(body.get("destination"), dict) else {}
    known = {"carrier": carrier, "phone_tail": phone_tail(to), "postal_code": postal_code(to.get("zip"))}
    return [Fulfilment(order_number=order, waybill=one, **known) for one in numbers if isinstance(one, str) and one]


platform = Platform(
    slug="shopify",
    name="Shopify",
    docs=f"https://shopify.dev/docs/api/admin-graphql/{VERSION}",
    address="https://your-shop.myshopify.com",
    tell=tell,
    probe=probe,
    check=check,
    words_for=Status,
    statuses=STATUSES,
    words=WORDS,
    whole_order=False,
    credentials=[
        Credential(CLIENT_ID, "of an app with the scopes read_orders and write_fulfillments", False, False),
        Credential(CLIENT_SECRET, "of the app: gets its tokens and signs its webhooks", required=False),
        Credential(TOKEN, "Admin API access token of an app that was made in the shop's admin", required=False),
        Credential(WEBHOOK_SECRET, "the signing key under Settings, Notifications, Webhooks", required=False),
    ],
    rate=10.0,  # a query costs some nine points, and a shop on the standard plan gets back a hundred a second
    fulfilments=fulfilments,
    recent=recent,
    verify=verify,
)
