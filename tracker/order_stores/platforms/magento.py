"""Magento 2 and Adobe Commerce, REST: the waybill as a track of the order's shipment, and a comment for each step.

API: https://developer.adobe.com/commerce/webapi/rest/ ; endpoints by module: https://developer.adobe.com/commerce/webapi/reference/rest/paas/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tracker.catalogue import listed
from tracker.order_stores.sdk import (
    LANGUAGES,
    Credential,
    Http,
    Option,
    OrderStatus,
    Platform,
    Refused,
    Status,
    Told,
    Unavailable,
    at,
    excerpt,
    latest_is,
    objects,
    sentence,
)

V1 = "/rest/V1"
TOKEN = "access_token"
# A status is a code of the shop's own, up to 32 characters; a comment may set only those of the order's state:
# https://experienceleague.adobe.com/en/docs/commerce-admin/stores-sales/order-management/orders/order-status
WORD = r"[a-z][a-z0-9_]{0,31}"
CLOSED = ("canceled", "closed", "fraud")  # by the shop, and not ours to open
SILENT = (Status.PENDING, Status.INFO_RECEIVED)  # what deserves no comment
LONGEST_TITLE = 64


async def tell(http: Http, told: Told) -> None:
    """Add the track that the shipment lacks, the comment unless it is the latest, the status where one is mapped."""
    order = await _order(http, told.order.number)
    shipment = await _shipment(http, order, told)
    if told.parcel.status not in SILENT:
        await _comment(http, shipment, told)
    if told.word and order.get("status") not in (told.word, *CLOSED):
        await _set_status(http, order, told)


async def probe(http: Http) -> str:
    """Whether orders may be read."""
    await _search(http, "orders", "entity_id", "0")
    return "the orders can be read"


async def _order(http: Http, number: str) -> dict[str, Any]:
    """The order by its increment id; raises Refused where there is none."""
    plain = number.removeprefix("#")
    for order in await _search(http, "orders", "increment_id", plain):
        if str(order.get("increment_id")) == plain:
            return order
    raise Refused(f"there is no order {plain}")


async def _shipment(http: Http, order: dict[str, Any], told: Told) -> dict[str, Any]:
    """The shipment that carries the parcel: it has the track, or gets it."""
    found = await _search(http, "shipments", "order_id", str(order["entity_id"]))
    carrying = [one for one in found if told.parcel.waybill in _tracks(one)]
    if carrying:
        return carrying[0]
    if not found:
        raise Unavailable(f"order {told.order.number} has no shipment yet")
    shipment = next((one for one in found if not _tracks(one)), found[-1])
    await _ask(http, "POST", "/shipment/track", {"entity": _track(order, shipment, told)})
    return shipment


def _tracks(shipment: dict[str, Any]) -> list[str]:
    return [str(one.get("track_number")).strip().upper() for one in objects(shipment.get("tracks"))]


def _track(order: dict[str, Any], shipment: dict[str, Any], told: Told) -> dict[str, Any]:
    carrier = listed().get(told.parcel.carrier)
    return {
        "order_id": order["entity_id"],
        "parent_id": shipment["entity_id"],
        "track_number": told.parcel.waybill,
        "title": (carrier.en if carrier else told.parcel.carrier)[:LONGEST_TITLE],
        "carrier_code": "custom",  # any carrier that the shop has no module for
        "description": "",
        "qty": 0,
        "weight": 0,
    }


async def _comment(http: Http, shipment: dict[str, Any], told: Told) -> None:
    text, path = sentence(told, http.options["language"]), f"/shipment/{shipment['entity_id']}/comments"
    kept = sorted(_items(await _ask(http, "GET", path)), key=lambda one: int(one.get("entity_id") or 0))
    if latest_is([str(one.get("comment")) for one in kept], told, text):
        return
    shown = int(http.options["comments"] == "customer")
    entity = {
        "parent_id": shipment["entity_id"],
        "comment": text,
        "is_visible_on_front": shown,
        "is_customer_notified": 0,
    }
    await _ask(http, "POST", path, {"entity": entity})


async def _set_status(http: Http, order: dict[str, Any], told: Told) -> None:
    history = {
        "parent_id": order["entity_id"],
        "comment": sentence(told, http.options["language"]),
        "status": told.word,
        "entity_name": "order",
        "is_visible_on_front": 0,
        "is_customer_notified": 0,
    }
    await _ask(http, "POST", f"/orders/{order['entity_id']}/comments", {"statusHistory": history})


async def _search(http: Http, what: str, field: str, value: str) -> list[dict[str, Any]]:
    """What fits: https://developer.adobe.com/commerce/webapi/rest/use-rest/performing-searches/"""
    group = "searchCriteria[filter_groups][0][filters][0]"
    params = [
        (f"{group}[field]", field),
        (f"{group}[value]", value),
        (f"{group}[condition_type]", "eq"),
        ("searchCriteria[pageSize]", "100"),
    ]
    return _items(await _ask(http, "GET", f"/{what}", params=params))


def _items(answer: Any) -> list[dict[str, Any]]:
    if not isinstance(answer, dict) or not isinstance(answer.get("items"), list | None):
        raise Unavailable("answered with no list of items")
    return objects(answer.get("items"))


async def _ask(
    http: Http, method: str, path: str, json: object = None, params: Sequence[tuple[str, str]] | None = None
) -> Any:
    headers = {"Authorization": f"Bearer {http.credentials[TOKEN]}"}
    reply = await http.request(method, V1 + path, headers=headers, json=json, params=params)
    answer = reply.json()
    if reply.status >= 400:
        raise Refused(f"answered {reply.status}: {_reason(answer) or excerpt(reply.body)}")
    return answer


def _reason(answer: Any) -> str:
    """Why not: a `message` whose `%names` (or `%1`, `%2`) stand in `parameters`, and the same in `errors`.

    https://developer.adobe.com/commerce/webapi/get-started/gs-web-api-response/
    """
    told = [_filled(one) for one in (answer, *objects(at(answer, "errors"))) if at(one, "message")]
    return "; ".join(told)


def _filled(said: Any) -> str:
    given = at(said, "parameters")
    named = given.items() if isinstance(given, dict) else enumerate(given if isinstance(given, list) else (), 1)
    words = {f"%{name}": str(value) for name, value in named}
    return re.sub(r"%\w+", lambda found: words.get(found[0], found[0]), str(at(said, "message")))


platform = Platform(
    slug="magento",
    name="Magento",
    docs="https://developer.adobe.com/commerce/webapi/rest/",
    address="https://your-shop.example, where Magento lives",
    tell=tell,
    probe=probe,
    words_for=OrderStatus,
    word=WORD,
    credentials=[Credential(TOKEN, "access token of an integration with the resource Sales (Magento_Sales::sales)")],
    options=[
        Option("comments", "who sees the comments of a shipment", ("private", "customer")),
        Option("language", "of the comments", LANGUAGES),
    ],
    rate=5.0,
)
