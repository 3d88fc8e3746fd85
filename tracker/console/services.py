"""What the pages need to know, as a protocol: the console itself reads no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from tracker.console.session import Session
from tracker.orders import OrderQuery

View = Mapping[str, Any]


class ShipmentList(Struct, frozen=True):
    """Shipments as `views.shipment_view` shows them; `cursor` leads on, None at the end.

    `carriers` and `shops` are what the list can be narrowed to.
    """

    shipments: tuple[View, ...]
    cursor: str | None = None
    carriers: tuple[str, ...] = ()
    shops: tuple[str, ...] = ()


class OrderList(Struct, frozen=True):
    """Orders as `orders.order_view` shows them, newest first."""

    orders: tuple[View, ...]
    cursor: str | None = None


class Found(Struct, frozen=True):
    """What a number belongs to: shipments, and whether it is the number of an order."""

    shipments: tuple[View, ...] = ()
    order: bool = False


class Services(Protocol):
    """The questions of the pages. Nothing of another account is ever told, not even that it exists."""

    async def counts(self, account: str) -> Mapping[str, int]:
        """Shipments by status, and `stalled`."""

    async def stalled(self, account: str, *, carrier: str, shop: str, cursor: str | None) -> ShipmentList:
        """Stalled shipments, narrowed to a carrier and a shop unless these are ""."""

    async def shipments(self, account: str, *, status: str, cursor: str | None) -> ShipmentList:
        """Shipments newest first; `status` "" lists all."""

    async def shipment(self, account: str, id: str) -> View | None:
        """One shipment with its timeline."""

    async def owner(self, id: str) -> str | None:
        """The account that a shipment belongs to: for who has shown that he may see it."""

    async def siblings(self, account: str, view: View) -> Sequence[View]:
        """The other shipments of its order, as far as they are of the same shop: elsewhere the number is another's."""

    async def find(self, account: str, q: str) -> Found:
        """What is known under a waybill or an order number."""

    async def orders(self, account: str, query: OrderQuery) -> OrderList:
        """Orders with their lines and parcels."""

    async def order_counts(self, account: str) -> Mapping[str, int]:
        """Orders by status, and `needs_attention`."""

    async def drift(self, account: str, key_id: str) -> Sequence[View]:
        """What carriers said that nothing covers: to the account, or all of it where the key is an operator's."""

    def carrier_name(self, slug: str, lang: str) -> str:
        """The carrier's name in `lang`; the slug where it is unknown."""

    async def authenticate(self, key: str) -> str | None:
        """The account that an API key with the scope `read` belongs to."""

    async def still_valid(self, session: Session) -> bool:
        """Whether the key that signed in is still there, and nobody signed out."""

    async def end(self, session: Session) -> None:
        """The session is over, wherever its cookie is."""
