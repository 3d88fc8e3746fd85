"""A platform made in house: each update of an order is a signed PUT of the whole order (docs/order-stores.md)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from secrets import token_hex
from urllib.parse import quote

import msgspec

from tracker.order_stores.sdk import (
    BadInput,
    Credential,
    Http,
    OrderStatus,
    Platform,
    Refused,
    Reply,
    Told,
    excerpt,
    order_view,
)
from webhooks.standard import Signer

SECRET = "signing_secret"


async def tell(http: Http, told: Told) -> None:
    """PUT `{address}/{order number}`; any 2xx is a yes."""
    parcel = told.parcel
    if told.order.number in (".", ".."):
        raise Refused(f"order {told.order.number!r} is no step of a path: it would lead elsewhere")
    body = {
        "status": told.word or told.order.status.value,
        "order": order_view(told.order),
        "shipment_id": parcel.shipment,
        "revision": parcel.revision,
    }
    data = msgspec.json.encode(body)
    # What is told anew because another parcel changed meanwhile is another message: who drops the ids that it has seen
    # must not drop this one.
    said = blake2b(data, digest_size=6).hexdigest()
    _accepted(await _put(http, told.order.number, f"ord_{parcel.shipment}_{parcel.revision}_{said}", data))


async def probe(http: Http) -> str:
    """PUT `{address}/milepost.test` with an empty order; any 2xx is a yes."""
    reply = await _put(http, "milepost.test", f"ord_test_{token_hex(8)}", msgspec.json.encode({"order": None}))
    _accepted(reply)
    return f"answered {reply.status}"


async def _put(http: Http, number: str, id: str, data: bytes) -> Reply:
    now = int(http.now())
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(now),
        "webhook-signature": Signer([http.credentials[SECRET]]).sign(id, now, data),
    }
    return await http.request("PUT", f"/{quote(number, safe='')}", headers=headers, data=data)


def _accepted(reply: Reply) -> None:
    if not 200 <= reply.status < 300:
        raise Refused(f"answered {reply.status}: {excerpt(reply.body)}")


def check(credentials: Mapping[str, str]) -> None:
    """Raise BadInput for a signing secret that is none."""
    try:
        Signer([credentials[SECRET]])
    except ValueError as error:
        raise BadInput(f"credentials.{SECRET}", f"{error}; make one: echo whsec_$(openssl rand -base64 32)") from None


platform = Platform(
    slug="http",
    name="HTTP",
    docs="docs/order-stores.md",
    address="an address of your own, to which /{order number} is added: https://shop.example/milepost/orders",
    tell=tell,
    probe=probe,
    check=check,
    words_for=OrderStatus,
    word=r"[^\x00-\x1f\x7f]{1,64}",
    credentials=[Credential(SECRET, "whsec_ and base64: signs every request (Standard Webhooks)")],
    rate=50.0,
)
