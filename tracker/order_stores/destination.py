"""Order stores as a destination of changes: a change of a parcel becomes what its platform is told of its order."""

from __future__ import annotations

from typing import Protocol

import msgspec

from tracker.order_stores.exit import Exits
from tracker.order_stores.order_store import PREFIX, OrderStore, word_for
from tracker.order_stores.sdk import Limited, Platform, Refused, Told, Unavailable
from tracker.orders import Answer, Order, OrderStatus, OrderUpdate, update_from
from tracker.store.types import Delivery, Outcome

_ROUNDS = 3  # tellings of one order whose other parcels change meanwhile
_SOON_MS = 2_000


class Book(Protocol):
    """The order book, as telling needs it."""

    async def apply(self, update: OrderUpdate) -> None: ...
    async def get(self, account: str, number: str) -> Order | None: ...


class Directory(Protocol):
    """The order stores, as telling needs them."""

    async def find(self, id: str) -> OrderStore | None: ...
    def platform_of(self, store: OrderStore) -> Platform | None: ...


class OrderStoreDestination:
    """Feeds the order stores from the lanes of `store:<id>`.

    The book comes first: an update is taken in there, and what is told is what the book then says. So an older revision
    that comes late tells nothing, and the status of an order is that of all its parcels.
    """

    prefix = PREFIX

    def __init__(self, stores: Directory, book: Book, exits: Exits) -> None:
        self._stores = stores
        self._book = book
        self._exits = exits

    async def handle(self, delivery: Delivery) -> Answer:
        """One attempt. What the platform refuses is dead; an order store that is gone or off is passed over."""
        store = await self._stores.find(delivery.destination.removeprefix(PREFIX))
        if store is None or not store.enabled or store.account != delivery.account:
            return Answer(Outcome.DISCARD, "not wanted any more")
        platform = self._stores.platform_of(store)
        if platform is None:
            return Answer(Outcome.RETRY, f"the platform {store.platform!r} is not installed")
        try:
            update = update_from(delivery.account, msgspec.json.decode(delivery.body))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Answer(Outcome.DEAD, f"unreadable change: {type(error).__name__}: {error}")
        if update is None:
            return Answer(Outcome.DONE)
        await self._book.apply(update)
        if not update.order_number:
            return Answer(Outcome.DONE)  # it has left its order: there is nothing to tell
        return await self._try(store, platform, update)

    async def _try(self, store: OrderStore, platform: Platform, update: OrderUpdate) -> Answer:
        try:
            return await self._tell(store, platform, update)
        except Refused as error:
            return Answer(Outcome.DEAD, f"refused: {error}")
        except Limited as error:
            return Answer(Outcome.RETRY, str(error), max(1_000, round(error.retry_after_s * 1000)))
        except Unavailable as error:
            return Answer(Outcome.RETRY, str(error))

    async def _tell(self, store: OrderStore, platform: Platform, update: OrderUpdate) -> Answer:
        """Tell until what was told is still so: another parcel of the order may be told by someone else meanwhile."""
        exit = self._exits.of(store, platform)
        order = await self._book.get(update.account, update.order_number)
        for _ in range(_ROUNDS):
            parcel = _parcel(order, update)
            if order is None or parcel is None or parcel.revision > update.revision:
                return Answer(Outcome.DONE)  # it has left the order, or a newer revision of it tells for both
            await exit.tell(Told(order=order, parcel=parcel, word=_word(store, platform, order, parcel)))
            if not platform.whole_order:
                return Answer(Outcome.DONE)
            before, order = order, await self._book.get(update.account, update.order_number)
            if order == before:
                return Answer(Outcome.DONE)
        return Answer(Outcome.RETRY, "the order keeps changing while it is told", _SOON_MS)


def _parcel(order: Order | None, update: OrderUpdate) -> OrderUpdate | None:
    return next((one for one in order.parcels if one.shipment == update.shipment), None) if order else None


def _word(store: OrderStore, platform: Platform, order: Order, parcel: OrderUpdate) -> str:
    whole = platform.words_for is OrderStatus
    return word_for(store, platform, order.status.value if whole else parcel.status)
