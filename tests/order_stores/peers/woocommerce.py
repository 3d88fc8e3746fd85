"""WooCommerce's REST API v3, as far as orders and their notes go."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tracker.order_stores.platforms.woocommerce import platform

from .peer import Peer

KEY, SECRET = "ck_not_a_real_key_of_a_shop", "cs_not_a_real_secret_of_a_shop"
# https://developer.woocommerce.com/docs/apis/rest-api/v3/orders/ (order properties, `status`)
STATUSES = {"pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "trash"}
ZONE = timedelta(hours=8)  # of the shop
_PATH = re.compile(r"/wp-json/wc/v3/orders(?:/(?P<id>\d+)(?P<notes>/notes)?)?")


class WooCommercePeer(Peer):
    """Orders that are being processed, with metadata and notes."""

    platform = platform

    def __init__(self) -> None:
        super().__init__()
        self.credentials = {"consumer_key": KEY, "consumer_secret": SECRET}
        self.orders: dict[str, dict[str, Any]] = {}
        self.notes: dict[str, list[dict[str, Any]]] = {}
        self.puts = 0

    def sell(self, number: str, waybills: list[str]) -> None:
        # As its Shipment Tracking extension keeps them: https://woocommerce.com/document/shipment-tracking/
        rows = [
            {"tracking_provider": "", "custom_tracking_provider": self.carrier, "tracking_number": waybill}
            for waybill in waybills
        ]
        self.orders[number] = {
            "id": int(number),
            "number": number,
            "status": "processing",
            "shipping": {"postcode": "200000"},
            "billing": {"phone": "138 0000 1234"},
            "meta_data": [{"id": 1, "key": "_wc_shipment_tracking_items", "value": rows}],
        }
        self.touch(number, datetime.now(UTC))
        self.notes[number] = [{"id": 1, "note": "Payment received.", "customer_note": False}]

    def touch(self, number: str, at: datetime) -> None:
        """Change the order then; times are without an offset, in the site's zone and in GMT."""
        gmt = at.astimezone(UTC).replace(microsecond=0, tzinfo=None)
        dates = {"date_modified_gmt": gmt.isoformat(), "date_modified": (gmt + ZONE).isoformat()}
        self.orders[number] |= dates

    def told(self, number: str, waybill: str) -> list[str]:
        return [one["note"] for one in self.notes[number] if f" {waybill}:" in one["note"]]

    async def serve(self, request: web.Request) -> web.Response:
        # HTTP Basic with the keys: https://developer.woocommerce.com/docs/apis/rest-api/authentication/
        if request.headers.get("Authorization") != "Basic " + b64encode(f"{KEY}:{SECRET}".encode()).decode():
            return _error(401, "woocommerce_rest_cannot_view", "Sorry, you cannot view this resource.")
        found = _PATH.fullmatch(request.path)
        assert found, request.path
        if found["id"] is None:
            return self._listed(request.query)
        if found["id"] not in self.orders:
            # 404 for an order that is not there: WC_REST_Order_Notes_V2_Controller::get_items and its like, in
            # https://github.com/woocommerce/woocommerce/tree/trunk/plugins/woocommerce/includes/rest-api/Controllers
            return _error(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return await (self._notes if found["notes"] else self._order)(request, found["id"])

    def _listed(self, asked: Mapping[str, str]) -> web.Response:
        # Parameters: https://developer.woocommerce.com/docs/apis/rest-api/v3/orders/ (list); what they do exactly:
        # WC_REST_CRUD_Controller::prepare_objects_query, WordPress' `after` being without its own second, in
        # https://github.com/woocommerce/woocommerce/tree/trunk/plugins/woocommerce/includes/rest-api/Controllers
        most, page = int(asked.get("per_page", "10")), int(asked.get("page", "1"))
        by, zone = asked.get("orderby", "date"), "_gmt" if asked.get("dates_are_gmt") == "true" else ""
        if not 1 <= most <= 100 or page < 1 or by not in ("date", "id", "include", "title", "slug", "modified"):
            return _error(400, "rest_invalid_param", "Invalid parameter(s): per_page, page, orderby")
        after = asked.get("modified_after", "")
        found = [one for one in self.orders.values() if one["date_modified" + zone] > after]
        if by == "modified":
            found.sort(key=lambda one: (one["date_modified"], one["id"]), reverse=asked.get("order", "desc") == "desc")
        # https://developer.wordpress.org/rest-api/using-the-rest-api/global-parameters/
        fields = asked.get("_fields", "").split(",") if "_fields" in asked else None
        shown = found[(page - 1) * most : page * most]
        answer = web.json_response(
            [{name: value for name, value in one.items() if fields is None or name in fields} for one in shown]
        )
        self.moves()
        return answer

    async def _order(self, request: web.Request, id: str) -> web.Response:
        if request.method == "PUT":
            self._update(self.orders[id], await request.json())
        return web.json_response(self.orders[id])

    def _update(self, order: dict[str, Any], said: dict[str, Any]) -> None:
        self.puts += 1
        self.touch(order["number"], datetime.now(UTC))
        assert said.keys() <= {"status", "meta_data"}
        assert said.get("status", "completed") in STATUSES
        order["status"] = said.get("status", order["status"])
        for meta in said.get("meta_data", ()):
            # {id, key, value}; one without an id takes the place of those with its key:
            # https://developer.woocommerce.com/docs/apis/rest-api/v3/orders/ (order - meta data properties);
            # that it replaces rather than adds is assumed (WC_Data::update_meta_data in the source).
            assert meta.keys() == {"key", "value"}
            kept = [one for one in order["meta_data"] if one["key"] != meta["key"]]
            order["meta_data"] = [*kept, {"id": 7, **meta}]

    async def _notes(self, request: web.Request, id: str) -> web.Response:
        # https://developer.woocommerce.com/docs/apis/rest-api/v3/order-notes/
        if request.method == "GET":
            return web.json_response(self.notes[id][::-1])  # newest first is assumed: the order of WordPress' comments
        said = await request.json()
        assert said.keys() <= {"note", "customer_note", "added_by_user"}
        assert said["note"]
        made = {"id": len(self.notes[id]) + 1, "customer_note": False} | said
        self.notes[id].append(made)
        return web.json_response(made, status=201)

    async def refuse(self, request: web.Request) -> web.Response:
        return _error(400, "rest_invalid_param", "Invalid parameter(s): refused")


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "data": {"status": status}}, status=status)
