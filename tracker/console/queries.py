"""The console's questions, answered by the store, the ingest and the order book."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from tracker.accounts import OPERATOR, ApiKey, Scope
from tracker.console.services import Found, OrderList, ShipmentList, View
from tracker.console.session import LIFE_S, Session
from tracker.drift.kinds import Drifting, drift_view
from tracker.errors import BadInput
from tracker.model import Document, Shipment
from tracker.orders import OrderBook, OrderQuery, order_view

_PAGE = 50
_SIBLINGS = 20
_SCANNED_PAGES = 20  # a filter looks through this many pages of the stalled list at once
_KEY = "key"


class Shelf(Protocol):
    """What is asked of the store."""

    @property
    def clock(self) -> Callable[[], float]: ...

    async def page(
        self,
        account: str,
        *,
        status: str | None = None,
        stalled: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[list[str], str | None]: ...

    async def counts(self, account: str) -> dict[str, int]: ...

    async def find(self, account: str, waybills: Sequence[str]) -> list[str | None]: ...

    async def find_order(self, account: str, order_number: str) -> list[str]: ...

    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...

    async def marked(self, account: str, owner: str, mark: bytes) -> bool: ...

    async def mark(self, account: str, owner: str, mark: bytes, *, life_ms: int) -> None: ...


class Shipments(Protocol):
    """What is asked of the ingest."""

    async def get(self, account: str, ids: Sequence[str]) -> list[Shipment | None]: ...
    async def peek(self, ids: Sequence[str]) -> list[Document | None]: ...


class Drift(Protocol):
    """What is asked of the drift watch."""

    async def of(self, account: str) -> Sequence[Drifting]: ...
    async def of_all(self) -> Sequence[Drifting]: ...


class CarrierNames(Struct, frozen=True):
    """A carrier's names."""

    zh: str
    en: str


class Queries:
    """`Services` over the parts of a running daemon.

    `show` makes a view of a shipment (`views.shipment_view` with its tracking URL); `authenticate` returns the account
    of a key that may read.
    """

    def __init__(
        self,
        *,
        store: Shelf,
        ingest: Shipments,
        book: OrderBook,
        show: Callable[[Shipment], Mapping[str, Any]],
        authenticate: Callable[[str], Awaitable[str | None]],
        carriers: Mapping[str, CarrierNames],
        drift: Drift,
    ) -> None:
        self._store = store
        self._ingest = ingest
        self._book = book
        self._show = show
        self._authenticate = authenticate
        self._carriers = carriers
        self._drift = drift

    async def counts(self, account: str) -> Mapping[str, int]:
        return await self._store.counts(account)

    async def stalled(self, account: str, *, carrier: str, shop: str, cursor: str | None) -> ShipmentList:
        seen, listed, after = [], [], cursor
        for _ in range(_SCANNED_PAGES):
            views, after = await self._page(account, stalled=True, cursor=after)
            seen += views
            listed += [view for view in views if _fits(view, carrier, shop)]
            if after is None or len(listed) >= _PAGE:
                break
        return ShipmentList(tuple(listed), after, _values(seen, "carrier", carrier), _values(seen, "shop", shop))

    async def shipments(self, account: str, *, status: str, cursor: str | None) -> ShipmentList:
        views, after = await self._page(account, status=status or None, cursor=cursor)
        return ShipmentList(tuple(views), after)

    async def shipment(self, account: str, id: str) -> View | None:
        found = await self._views(account, [id])
        return found[0] if found else None

    async def owner(self, id: str) -> str | None:
        [document] = await self._ingest.peek([id])
        return document.account if document else None

    async def siblings(self, account: str, view: View) -> Sequence[View]:
        ids = await self._store.find_order(account, view["order_number"]) if view["order_number"] else []
        others = [id for id in ids if id != view["id"]]
        found: list[View] = []
        while others and len(found) < _SIBLINGS:  # another shop may have the same order number
            some, others = others[:_SIBLINGS], others[_SIBLINGS:]
            found += [one for one in await self._views(account, some) if one["shop"] == view["shop"]]
        return found[:_SIBLINGS]

    async def find(self, account: str, q: str) -> Found:
        if await self._book.get(account, q):
            return Found(order=True)
        found = [id for id in await self._store.find(account, _spellings(q)) if id]
        ids = dict.fromkeys(found + await self._store.find_order(account, q))
        return Found(tuple(await self._views(account, list(ids)[:_PAGE])))

    async def orders(self, account: str, query: OrderQuery) -> OrderList:
        page = await self._book.list(account, query)
        return OrderList(tuple(order_view(order) for order in page.orders), page.cursor)

    async def order_counts(self, account: str) -> Mapping[str, int]:
        return await self._book.counts(account)

    async def drift(self, account: str, key_id: str) -> Sequence[View]:
        found = await (self._drift.of_all() if await self._operates(account, key_id) else self._drift.of(account))
        return [drift_view(one) for one in found]

    async def _operates(self, account: str, key_id: str) -> bool:
        key = await self._store.get_record(_KEY, account, key_id) if account == OPERATOR and key_id else None
        return key is not None and Scope.ADMIN in msgspec.json.decode(key, type=ApiKey).scopes

    def carrier_name(self, slug: str, lang: str) -> str:
        names = self._carriers.get(slug)
        return slug if names is None else names.zh if lang == "zh" and names.zh else names.en

    async def authenticate(self, key: str) -> str | None:
        return await self._authenticate(key)

    async def still_valid(self, session: Session) -> bool:
        key, ended = await asyncio.gather(
            self._store.get_record(_KEY, session.account, session.key_id),
            self._store.marked(session.account, _sessions_of(session), session.id.encode()),
        )
        if key is None or ended:
            return False
        return not msgspec.json.decode(key, type=ApiKey).expired(round(self._store.clock() * 1000))

    async def end(self, session: Session) -> None:
        # as long for each: what is remembered of a key goes when the last one that was noted does
        await self._store.mark(session.account, _sessions_of(session), session.id.encode(), life_ms=LIFE_S * 1000)

    async def _page(self, account: str, *, cursor: str | None, **which: Any) -> tuple[list[View], str | None]:
        try:
            ids, after = await self._store.page(account, cursor=cursor, limit=_PAGE, **which)
        except ValueError:
            raise BadInput("cursor", "is no cursor of this list", code="bad_cursor") from None
        return await self._views(account, ids), after

    async def _views(self, account: str, ids: Sequence[str]) -> list[View]:
        found = await self._ingest.get(account, ids) if ids else []
        return [self._show(shipment) for shipment in found if shipment is not None]


def _sessions_of(session: Session) -> str:
    """Under what those of a key that were ended are remembered; an id of a connection or an order store it can't be."""
    return f"console {session.key_id}"


def _fits(view: View, carrier: str, shop: str) -> bool:
    return (not carrier or view["carrier"] == carrier) and (not shop or view["shop"] == shop)


def _values(views: Sequence[View], name: str, chosen: str) -> tuple[str, ...]:
    return tuple(sorted(filter(None, {view[name] for view in views} | {chosen})))


def _spellings(q: str) -> list[str]:
    return list(dict.fromkeys((q, q.upper(), "".join(q.upper().split()).replace("-", ""))))
