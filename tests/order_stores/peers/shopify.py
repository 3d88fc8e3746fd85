"""Shopify's Admin GraphQL API, as far as fulfilment events go. Queries are told by the root field that they name."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Any

from aiohttp import web

from tracker.order_stores.platforms.shopify import platform

from .peer import Peer

TOKEN = "shpat_not_a_real_token_of_a_shop"
SECRET = "shpss_not_a_real_secret_of_an_app"
# https://shopify.dev/docs/api/admin-graphql/latest/enums/FulfillmentEventStatus
STATUSES = {
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
    "PICKED_UP",
    "READY_FOR_PICKUP",
}
# https://shopify.dev/docs/api/admin-graphql/latest/input-objects/FulfillmentEventInput
INPUT = {
    "address1",
    "city",
    "country",
    "estimatedDeliveryAt",
    "fulfillmentId",
    "happenedAt",
    "latitude",
    "longitude",
    "message",
    "province",
    "status",
    "zip",
}


class ShopifyPeer(Peer):
    """One fulfilment for each waybill of an order."""

    platform = platform

    def __init__(self) -> None:
        super().__init__()
        self.credentials = {"access_token": TOKEN}
        self.orders: dict[str, dict[str, str]] = {}  # name → waybill → id of its fulfilment
        self.events: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)  # of a fulfilment
        self._mutates = False
        self.grants = 0
        self.life_s = 86_399

    def sell(self, number: str, waybills: list[str]) -> None:
        gid = "gid://shopify/Fulfillment/"
        self.orders[f"#{number}"] = {one: f"{gid}{number}{place}" for place, one in enumerate(waybills)}

    def told(self, number: str, waybill: str) -> list[str]:
        return [event["status"] for event in self.events[self.orders[f"#{number}"][waybill]]]

    async def serve(self, request: web.Request) -> web.Response:
        # Endpoint and header: https://shopify.dev/docs/api/admin-graphql#authentication
        assert request.method == "POST"
        if request.path == "/admin/oauth/access_token":
            return self._grant(dict(await request.post()))
        assert re.fullmatch(r"/admin/api/\d{4}-\d{2}/graphql\.json", request.path)
        if request.headers.get("X-Shopify-Access-Token") != TOKEN:
            # Status: https://shopify.dev/docs/api/admin-graphql#status-and-error-codes; the words are assumed.
            return web.json_response({"errors": "[API] Invalid API key or access token"}, status=401)
        said = await request.json()
        return web.json_response({"data": self._execute(said["query"], said["variables"]), "extensions": _cost(900)})

    def _grant(self, asked: dict[str, Any]) -> web.Response:
        # https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant
        self._mutates = False
        if asked != {"grant_type": "client_credentials", "client_id": "id", "client_secret": SECRET}:
            return web.json_response({"error": "invalid_client"}, status=400)
        self.grants += 1
        return web.json_response({"access_token": TOKEN, "scope": "write_fulfillments", "expires_in": self.life_s})

    def _execute(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        self._mutates = query.lstrip().startswith("mutation")
        if "fulfillmentEventCreate" in query:
            return {"fulfillmentEventCreate": self._create(variables["event"])}
        if "fulfillment(" in query:
            return {"fulfillment": self._read(variables["id"])}
        if "orders(" in query:
            return {"orders": {"nodes": self._find(variables["query"])}}
        return {"shop": {"name": "Tea House"}}

    def _find(self, query: str) -> list[dict[str, Any]]:
        # `name:` filters by the order's name: https://shopify.dev/docs/api/admin-graphql/latest/queries/orders
        # That the name is found without its `#` is assumed.
        # Quotes inside a quoted value are escaped: https://shopify.dev/docs/api/usage/search-syntax
        fits = re.fullmatch(r'name:"((?:[^"\\]|\\.)*)"', query)
        assert fits, query
        found = self.orders.get(f"#{fits[1]}")
        if found is None:
            return []
        fulfilments = [{"id": id, "trackingInfo": [{"number": waybill}]} for waybill, id in found.items()]
        return [{"name": f"#{fits[1]}", "fulfillments": fulfilments}]

    def _read(self, id: str) -> dict[str, Any]:
        nodes = [{"status": one["status"], "happenedAt": one["happenedAt"]} for one in self.events[id]]
        return {"events": {"nodes": sorted(nodes, key=lambda node: node["happenedAt"], reverse=True)}}

    def _create(self, event: dict[str, Any]) -> dict[str, Any]:
        assert event.keys() <= INPUT
        assert event["status"] in STATUSES
        assert datetime.fromisoformat(event["happenedAt"]).tzinfo  # a DateTime is ISO 8601 with its offset
        if event["fulfillmentId"] not in [id for found in self.orders.values() for id in found.values()]:
            return _user_error("Fulfillment does not exist.")
        # Nothing says that the same event is kept once: it is not.
        self.events[event["fulfillmentId"]].append(event)
        return {"fulfillmentEvent": {"id": "gid://shopify/FulfillmentEvent/1"}, "userErrors": []}

    async def refuse(self, request: web.Request) -> web.Response:
        if "mutation" not in (await request.json())["query"]:
            return await self.serve(request)
        # userErrors: https://shopify.dev/docs/api/admin-graphql/latest/mutations/fulfillmentEventCreate
        data = {"fulfillmentEventCreate": _user_error("The event is refused: the fulfillment was cancelled")}
        return web.json_response({"data": data, "extensions": _cost(900)})

    def limit(self) -> web.Response:
        # 200 with THROTTLED and the state of the bucket:
        # https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return web.json_response({"errors": [error], "extensions": _cost(0)})

    def changes(self, request: web.Request) -> bool:
        return self._mutates


def _user_error(message: str) -> dict[str, Any]:
    errors = [{"field": ["fulfillmentEvent", "fulfillmentId"], "message": message}]
    return {"fulfillmentEvent": None, "userErrors": errors}


def _cost(available: float) -> dict[str, Any]:
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": 100.0}
    return {"cost": {"requestedQueryCost": 700, "actualQueryCost": None, "throttleStatus": status}}
