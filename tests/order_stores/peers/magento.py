"""Magento's REST API, as far as orders, shipments, tracks and comments go.

The fields of a track and of a comment: https://developer.adobe.com/commerce/webapi/reference/rest/paas/ (sales).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from tracker.order_stores.platforms.magento import platform

from .peer import Peer

TOKEN = "not-a-real-token-of-an-integration"
# Required: https://magento2.doc.winkelstraat.nl/operation/operation-postv1shipmenttrack (Magento's own OpenAPI)
TRACK = {"order_id", "parent_id", "weight", "qty", "description", "track_number", "title", "carrier_code"}
COMMENT = {"parent_id", "comment", "is_visible_on_front", "is_customer_notified"}
HISTORY = COMMENT | {"status", "entity_name"}


class MagentoPeer(Peer):
    """Orders with one shipment that has no track yet."""

    platform = platform

    def __init__(self) -> None:
        super().__init__()
        self.credentials = {"access_token": TOKEN}
        self.orders: list[dict[str, Any]] = []
        self.shipments: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []

    def sell(self, number: str, waybills: list[str]) -> None:
        order = {"entity_id": 40 + len(self.orders), "increment_id": number, "status": "processing"}
        self.orders.append(order)
        self.shipments.append({"entity_id": 70, "order_id": order["entity_id"], "tracks": []})

    def told(self, number: str, waybill: str) -> list[str]:
        return [one["comment"] for one in self.comments if f" {waybill}:" in one["comment"]]

    async def serve(self, request: web.Request) -> web.Response:
        # Bearer: https://developer.adobe.com/commerce/webapi/get-started/authentication/gs-authentication-token/
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, "The consumer isn't authorized to access %resources.")
        path = request.path.removeprefix("/rest/V1")
        assert path != request.path
        if request.method == "GET":
            return web.json_response({"items": list(self._found(path, request)), "total_count": 1})
        return self._keep(path, await request.json())

    def _found(self, path: str, request: web.Request) -> Iterable[dict[str, Any]]:
        comments = re.fullmatch(r"/shipment/(\d+)/comments", path)
        if comments:
            return [one for one in self.comments if one["parent_id"] == int(comments[1])]
        # https://developer.adobe.com/commerce/webapi/rest/use-rest/performing-searches/
        group = "searchCriteria[filter_groups][0][filters][0]"
        field, value = request.query[f"{group}[field]"], request.query[f"{group}[value]"]
        assert request.query[f"{group}[condition_type]"] == "eq"
        rows = {"/orders": self.orders, "/shipments": self.shipments}[path]
        return [row for row in rows if str(row[field]) == value]

    def _keep(self, path: str, said: dict[str, Any]) -> web.Response:
        if path == "/shipment/track":
            return self._track(said["entity"])
        if re.fullmatch(r"/shipment/\d+/comments", path):
            # POST /V1/shipment/:id/comments: ShipmentCommentRepositoryInterface::save
            assert said["entity"].keys() == COMMENT
            self.comments.append({"entity_id": len(self.comments) + 1} | said["entity"])
            return web.json_response(self.comments[-1])
        assert re.fullmatch(r"/orders/\d+/comments", path), path
        assert said["statusHistory"].keys() == HISTORY
        self.history.append(said["statusHistory"])
        order = next(one for one in self.orders if one["entity_id"] == said["statusHistory"]["parent_id"])
        order["status"] = said["statusHistory"]["status"]
        return web.json_response(True)

    def _track(self, entity: dict[str, Any]) -> web.Response:
        assert entity.keys() == TRACK
        shipment = next(one for one in self.shipments if one["entity_id"] == entity["parent_id"])
        assert shipment["order_id"] == entity["order_id"]
        shipment["tracks"].append(entity)
        return web.json_response(entity)

    async def refuse(self, request: web.Request) -> web.Response:
        # https://developer.adobe.com/commerce/webapi/get-started/gs-web-api-response/ (400)
        errors = [{"message": "%1 may not be %2.", "parameters": ["track_number", "empty"]}]
        said = {"message": "The %what is refused.", "parameters": {"what": "request"}, "errors": errors}
        return web.json_response(said, status=400)


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
