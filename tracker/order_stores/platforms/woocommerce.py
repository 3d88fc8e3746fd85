"""WooCommerce, REST API v3: the status of the order, its parcels as metadata, and a note for each step of a parcel.

API: https://developer.woocommerce.com/docs/apis/rest-api/v3/orders/ ; pushes: …/rest-api/v3/webhooks/
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tracker.order_stores.sdk import (
    LANGUAGES,
    Credential,
    Fulfilment,
    Http,
    Option,
    OrderStatus,
    OrderUpdate,
    Page,
    ParseError,
    Platform,
    Push,
    Refused,
    Reply,
    Status,
    Told,
    Unavailable,
    at,
    excerpt,
    hmac_sha256,
    latest_is,
    object_of,
    objects,
    phone_tail,
    postal_code,
    read_json,
    rows_at,
    sentence,
    text_at,
)

ORDERS = "/wp-json/wc/v3/orders"
KEY, SECRET, WEBHOOK_SECRET = "consumer_key", "consumer_secret", "webhook_secret"
META = "milepost_parcels"
# Where WooCommerce's own Shipment Tracking extension, and most others after it, keep the waybills of an order:
# https://woocommerce.com/document/shipment-tracking/
TRACKING_META = "_wc_shipment_tracking_items"
TOPICS = ("order.created", "order.updated")
_PER_PAGE = 50  # of 100 that there may be: an order is some kilobytes

# Plugins add statuses: https://developer.woocommerce.com/docs/apis/rest-api/v3/orders/ . The database gives 20
# characters to one, three of them to the prefix `wc-`.
WORD = r"[a-z0-9][a-z0-9-]{0,16}"
STATUSES: Mapping[str, str] = {OrderStatus.COMPLETED: "completed"}
CLOSED = ("cancelled", "refunded", "failed", "trash")  # by the shop, and not ours to open
SILENT = (Status.PENDING, Status.INFO_RECEIVED)  # what deserves no note


async def tell(http: Http, told: Told) -> None:
    """Bring status and metadata up to date where they are not, then write the note unless it is the latest one."""
    number = told.order.number.removeprefix("#")
    if not number.isdecimal():
        raise Refused(f"order {told.order.number!r}: WooCommerce knows orders by their id, a whole number")
    path = f"{ORDERS}/{number}"
    order = _object(await _ask(http, "GET", path))
    change = _change(order, told)
    if change:
        await _ask(http, "PUT", path, change)
    if http.options["notes"] != "none" and told.parcel.status not in SILENT:
        await _write_note(http, f"{path}/notes", told)


async def probe(http: Http) -> str:
    """Whether orders may be read."""
    _list(await _ask(http, "GET", ORDERS, params=[("per_page", "1")]))
    return "the orders can be read"


def _change(order: dict[str, Any], told: Told) -> dict[str, Any]:
    change: dict[str, Any] = {}
    if told.word and order.get("status") not in (told.word, *CLOSED):
        change["status"] = told.word
    parcels = [_parcel(parcel) for parcel in told.order.parcels]
    if parcels not in [one.get("value") for one in objects(order.get("meta_data")) if one.get("key") == META]:
        change["meta_data"] = [{"key": META, "value": parcels}]
    return change


def _parcel(parcel: OrderUpdate) -> dict[str, str]:
    names = ("waybill", "carrier", "status", "status_at", "expected", "delivered_at")
    return {name: getattr(parcel, name) for name in names}


async def _write_note(http: Http, path: str, told: Told) -> None:
    text = sentence(told, http.options["language"])
    kept = sorted(objects(_list(await _ask(http, "GET", path))), key=lambda note: int(note.get("id") or 0))
    if not latest_is([str(note.get("note")) for note in kept], told, text):
        await _ask(http, "POST", path, {"note": text, "customer_note": http.options["notes"] == "customer"})


async def _ask(
    http: Http, method: str, path: str, json: object = None, params: Sequence[tuple[str, str]] | None = None
) -> Reply:
    """One request with the keys as HTTP Basic: https://developer.woocommerce.com/docs/apis/rest-api/authentication/"""
    keys = f"{http.credentials[KEY]}:{http.credentials[SECRET]}".encode()
    headers = {"Authorization": "Basic " + b64encode(keys).decode()}
    reply = await http.request(method, path, headers=headers, json=json, params=params)
    if reply.status >= 400:
        answer = reply.json()
        raise Refused(f"answered {reply.status}: {at(answer, 'code')}: {at(answer, 'message')}")
    return reply


def _list(reply: Reply) -> list[Any]:
    answer = reply.json()
    if not isinstance(answer, list):
        raise Unavailable(f"answered {reply.status} with no list: {excerpt(reply.body)}")
    return answer


def _object(reply: Reply) -> dict[str, Any]:
    answer = reply.json()
    if not isinstance(answer, dict) or "status" not in answer:
        raise Unavailable(f"answered {reply.status} with no order: {excerpt(reply.body)}")
    return answer


# ---------------------------------------------------------------- what it did not push


async def recent(http: Http, since: datetime, cursor: str) -> Page:
    """The fulfilments of fifty orders, by https://developer.woocommerce.com/docs/apis/rest-api/v3/orders/ (list) and
    https://developer.wordpress.org/rest-api/using-the-rest-api/global-parameters/ (`_fields`).

    Its pages are numbered, and an order that is changed between two of them leaves its place for the end: the next one
    moves up, and would be missed. So what is asked for next are the orders from the last one's time on. A number
    goes on only where all of a page were changed in the same second. `modified_after` excludes its own second.
    """
    start, _, number = cursor.partition(" ")
    begin, page = datetime.fromisoformat(start) if cursor else since.astimezone(UTC), int(number or 1)
    asked = {
        "modified_after": _written(begin - timedelta(seconds=1)),
        "dates_are_gmt": "true",
        "orderby": "modified",
        "order": "asc",
        "per_page": str(_PER_PAGE),
        "page": str(page),
        "status": "any",
        "_fields": "id,date_modified_gmt,meta_data,shipping,billing",
    }
    orders = objects(_list(await _ask(http, "GET", ORDERS, params=list(asked.items()))))
    if not orders:
        return Page()
    last = datetime.fromisoformat(orders[-1]["date_modified_gmt"]).replace(tzinfo=UTC)
    following = f"{last.isoformat()} 1" if last > begin else f"{begin.isoformat()} {page + 1}"
    return Page(
        fulfilments=[one for order in orders for one in _followed(order)],
        updated_to=last,
        next=following if len(orders) == _PER_PAGE else "",
    )


def _written(moment: datetime) -> str:
    return moment.replace(tzinfo=None, microsecond=0).isoformat()


def _followed(order: dict[str, Any]) -> Sequence[Fulfilment]:
    """As a push says it; a row without a number says nothing yet."""
    known = _recipient(order)
    rows = [
        row
        for meta in objects(order.get("meta_data"))
        if meta.get("key") == TRACKING_META
        for row in objects(meta.get("value"))
    ]
    return [
        Fulfilment(order_number=str(order["id"]), waybill=str(row["tracking_number"]), carrier=_carrier(row), **known)
        for row in rows
        if row.get("tracking_number")
    ]


# ---------------------------------------------------------------- its pushes


def fulfilments(push: Push) -> Sequence[Fulfilment]:
    """The waybills in the tracking metadata of a push of an order; other topics say nothing to us."""
    if push.headers.get("x-wc-webhook-topic") not in TOPICS:
        return []
    order = object_of(read_json(push.body), "$")
    number = text_at(order, "id", "$")
    if not number.isdecimal():
        raise ParseError("$.id", f"{number[:40]!r} is no order's id")
    known = _recipient(order)
    found: list[Fulfilment] = []
    for place, meta in enumerate(rows_at(order, "meta_data", "$")):
        if meta.get("key") == TRACKING_META:
            found += [
                _fulfilment(number, row, f"$.meta_data[{place}].value", known) for row in objects(meta.get("value"))
            ]
    return found


def _fulfilment(order: str, row: dict[str, Any], path: str, known: Mapping[str, str]) -> Fulfilment:
    return Fulfilment(order_number=order, waybill=text_at(row, "tracking_number", path), carrier=_carrier(row), **known)


def _recipient(order: Mapping[str, Any]) -> Mapping[str, str]:
    shipping, billing = (order[name] if isinstance(order.get(name), dict) else {} for name in ("shipping", "billing"))
    return {
        "phone_tail": phone_tail(shipping) or phone_tail(billing),
        "postal_code": postal_code(shipping.get("postcode")),
    }


def _carrier(row: Mapping[str, Any]) -> str:
    return str(row.get("custom_tracking_provider") or row.get("tracking_provider") or "")


def greeting(push: Push) -> bool:
    """The ping with which WooCommerce tries an address that it is given: unsigned, and it wants a 200.

    `deliver_ping` in
    https://github.com/woocommerce/woocommerce/blob/trunk/plugins/woocommerce/includes/class-wc-webhook.php
    """
    return re.fullmatch(rb"webhook_id=\d{1,10}", push.body) is not None


platform = Platform(
    slug="woocommerce",
    name="WooCommerce",
    docs="https://developer.woocommerce.com/docs/apis/rest-api/",
    address="https://your-shop.example, where WordPress lives",
    tell=tell,
    probe=probe,
    words_for=OrderStatus,
    statuses=STATUSES,
    word=WORD,
    credentials=[
        Credential(KEY, "ck_…, with the permission Read/Write"),
        Credential(SECRET, "cs_…"),
        Credential(WEBHOOK_SECRET, "the secret of its webhooks, which signs them", required=False),
    ],
    options=[
        Option("notes", "who sees the notes of an order", ("private", "customer", "none")),
        Option("language", "of the notes", LANGUAGES),
    ],
    rate=5.0,
    fulfilments=fulfilments,
    recent=recent,
    verify=hmac_sha256("X-WC-Webhook-Signature", secret=WEBHOOK_SECRET),
    greeting=greeting,
)
