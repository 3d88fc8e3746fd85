"""Shopify's Admin GraphQL API, as far as orders and fulfilments go: its schema, its ids, its costs and its bucket."""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from graphql import GraphQLError, GraphQLScalarType, build_schema, graphql_sync, parse

from tracker.order_stores.platforms.shopify import platform

from .peer import Peer
from .shopify_costs import LONGEST, Bucket, actual, requested

TOKEN = "shpat_not_a_real_token_of_a_shop"
SECRET = "shpss_not_a_real_secret_of_an_app"
SCHEMA = build_schema(Path(__file__).with_suffix(".graphql").read_text(encoding="utf-8"))
FULFILMENT = re.compile(r"gid://shopify/Fulfillment/\d+")  # https://shopify.dev/docs/api/usage/gids


def _moment(value: Any) -> str:
    """A DateTime is ISO 8601 with its offset: https://shopify.dev/docs/api/admin-graphql/latest/scalars/DateTime"""
    if not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is None:
        raise GraphQLError(f"{value!r} is no DateTime")
    return value


_DATE_TIME = SCHEMA.get_type("DateTime")
assert isinstance(_DATE_TIME, GraphQLScalarType)
_DATE_TIME.parse_value = _moment  # type: ignore[method-assign]


class ShopifyPeer(Peer):
    """One fulfilment for each waybill of an order, unless `orders` is told otherwise."""

    platform = platform

    def __init__(self) -> None:
        super().__init__()
        self.credentials = {"access_token": TOKEN}
        self.orders: dict[str, dict[str, str]] = {}  # name → waybill → id of its fulfilment
        self.updated: dict[str, datetime] = {}  # when an order was changed
        self.cancelled: set[str] = set()  # fulfilments
        self.to: dict[str, str] | None = {"phone": "+1 555 010-4477", "zip": "K2P 2L8"}
        self.hides_addresses = False
        self.lacks_scope = False
        self.events: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)  # of a fulfilment
        self.bucket = Bucket()
        self.asked: list[int] = []  # what each query might have cost
        self.throttled = 0
        self._refuses = self._mutates = False
        self.grants = 0
        self.life_s = 86_399

    def sell(self, number: str, waybills: list[str]) -> None:
        at = 1_000 * len(self.orders)
        ids = [f"gid://shopify/Fulfillment/{at + place}" for place, _ in enumerate(waybills)]
        self.orders[f"#{number}"] = dict(zip(waybills, ids, strict=True))
        self.touch(number, datetime.now(UTC))

    def touch(self, number: str, at: datetime) -> None:
        """Change the order then: making a fulfilment, or giving it another number, does so (assumed)."""
        self.updated[f"#{number}"] = at.replace(microsecond=0)

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
        return web.json_response(self._answer(said["query"], said["variables"]))

    def _grant(self, asked: dict[str, Any]) -> web.Response:
        # https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant
        self._mutates = False
        if asked != {"grant_type": "client_credentials", "client_id": "id", "client_secret": SECRET}:
            return web.json_response({"error": "invalid_client"}, status=400)
        self.grants += 1
        return web.json_response({"access_token": TOKEN, "scope": "write_fulfillments", "expires_in": self.life_s})

    def _answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        self._mutates = query.lstrip().startswith("mutation")
        document = parse(query)
        asked = requested(document)
        self.asked.append(asked)
        if asked > LONGEST:
            return _failure("MAX_COST_EXCEEDED", f"Query cost is {asked}, which exceeds the limit of a query")
        if not self.bucket.take(asked):
            self.throttled += 1
            return _failure("THROTTLED", "Throttled") | {"extensions": self.bucket.state(asked, None)}
        if self.lacks_scope and "orders(" in query:
            # ACCESS_DENIED, with 200: https://shopify.dev/docs/api/admin-graphql#status-and-error-codes ; the words are
            # assumed.
            lacking = "Access denied for orders field. Required access: `read_orders` access scope."
            return {"data": None} | _failure("ACCESS_DENIED", lacking)
        result = graphql_sync(SCHEMA, query, _Root(self), variable_values=variables)
        was = actual(document, result.data)
        self.bucket.settle(asked, was)
        answer: dict[str, Any] = {"data": result.data, "extensions": self.bucket.state(asked, was)}
        if result.errors:  # 200 with `errors`: https://shopify.dev/docs/api/admin-graphql#status-and-error-codes
            answer["errors"] = [
                {"message": error.message, "path": error.path, "extensions": error.extensions}
                for error in result.errors
            ]
        return answer

    async def refuse(self, request: web.Request) -> web.Response:
        self._refuses = True
        try:
            return await self.serve(request)
        finally:
            self._refuses = False

    def limit(self) -> web.Response:
        # 200 with THROTTLED and the state of the bucket:
        # https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits
        return web.json_response(_failure("THROTTLED", "Throttled") | {"extensions": Bucket(0).state(700, None)})

    def changes(self, request: web.Request) -> bool:
        return self._mutates


class _Root:
    """Answers the schema's root fields."""

    def __init__(self, peer: ShopifyPeer) -> None:
        self._peer = peer

    def shop(self, _: Any) -> dict[str, str]:
        return {"name": "Tea House"}

    def orders(self, _: Any, first: int, query: str, after: str | None = None, **sorting: Any) -> dict[str, Any]:
        # Filters, sort keys and cursors: https://shopify.dev/docs/api/admin-graphql/latest/queries/orders
        # Values are quoted, dates must be: https://shopify.dev/docs/api/usage/search-syntax
        # That a name is found without its `#`, and orders of every status unless one is asked for, is assumed.
        if since := re.fullmatch(r"updated_at:>='([^']+)'", query):
            assert sorting == {"sortKey": "UPDATED_AT", "reverse": False}
            return self._updated(datetime.fromisoformat(since[1]), first, after)
        fits = re.fullmatch(r'name:"((?:[^"\\]|\\.)*)"', query)
        assert fits, query
        name = f"#{fits[1]}"
        return {"nodes": [self._order(name)][:first] if name in self._peer.orders else []}

    def _updated(self, since: datetime, first: int, after: str | None) -> dict[str, Any]:
        """Those after the cursor: of the last order's time and id (assumed), wherever that order is by now."""
        found = sorted((at.isoformat(), name) for name, at in self._peer.updated.items() if at >= since)
        rest = [one for one in found if after is None or one > tuple(json.loads(base64.b64decode(after)))]
        page = rest[:first]
        self._peer.moves()
        end = base64.b64encode(json.dumps(page[-1]).encode()).decode() if page else None
        info = {"hasNextPage": len(rest) > first, "endCursor": end}
        return {"nodes": [self._order(name) for _, name in page], "pageInfo": info}

    def order(self, _: Any, id: str) -> Any:
        name = "#" + id.removeprefix("gid://shopify/Order/")
        return self._order(name) if name in self._peer.orders else None

    def _order(self, name: str) -> dict[str, Any]:
        def address(_: Any) -> dict[str, str] | None:
            # https://shopify.dev/docs/apps/launch/protected-customer-data ; the words are assumed.
            if self._peer.hides_addresses:
                raise GraphQLError("This app is not approved", extensions={"code": "ACCESS_DENIED"})
            return self._peer.to

        return {
            "id": f"gid://shopify/Order/{name[1:]}",
            "name": name,
            "updatedAt": self._peer.updated[name].isoformat().replace("+00:00", "Z"),
            "shippingAddress": address,
            "fulfillments": self._within(self._peer.orders[name]),
        }

    def _within(self, found: dict[str, str]) -> Any:
        rows = [self._fulfilment(id, found) for id in dict.fromkeys(found.values())]
        return lambda _, first: rows[:first]

    def fulfillment(self, _: Any, id: str) -> Any:
        if not FULFILMENT.fullmatch(id):
            raise GraphQLError(f"Invalid global id '{id}'")
        holding = (found for found in self._peer.orders.values() if id in found.values())
        return next((self._fulfilment(id, found) for found in holding), None)

    def _fulfilment(self, id: str, found: dict[str, str]) -> dict[str, Any]:
        def events(_: Any, first: int, reverse: bool, **sorting: str) -> dict[str, Any]:
            assert sorting == {"sortKey": "HAPPENED_AT"}
            rows = sorted(self._peer.events[id], key=lambda one: str(one["happenedAt"]), reverse=reverse)
            return {"nodes": rows[:first]}

        tracking = [{"company": self._peer.carrier, "number": waybill} for waybill, of in found.items() if of == id]
        return {
            "id": id,
            "name": "#1.1",
            "status": "CANCELLED" if id in self._peer.cancelled else "SUCCESS",
            "trackingInfo": lambda _, first: tracking[:first],
            "events": events,
        }

    # https://shopify.dev/docs/api/admin-graphql/latest/mutations/fulfillmentEventCreate
    def fulfillmentEventCreate(self, _: Any, fulfillmentEvent: dict[str, Any]) -> dict[str, Any]:  # noqa: N802, N803
        id = fulfillmentEvent["fulfillmentId"]
        if not FULFILMENT.fullmatch(id):
            raise GraphQLError(f"Invalid global id '{id}'")
        if self._peer._refuses:
            return _user_error("The event is refused: the fulfillment was cancelled")
        if not any(id in found.values() for found in self._peer.orders.values()):
            return _user_error("Fulfillment does not exist.")
        # Nothing says that the same event is kept once: it is not.
        number = sum(map(len, self._peer.events.values())) + 1
        self._peer.events[id].append({"id": f"gid://shopify/FulfillmentEvent/{number}"} | fulfillmentEvent)
        return {"fulfillmentEvent": self._peer.events[id][-1], "userErrors": []}


def _failure(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def _user_error(message: str) -> dict[str, Any]:
    errors = [{"field": ["fulfillmentEvent", "fulfillmentId"], "message": message}]
    return {"fulfillmentEvent": None, "userErrors": errors}
