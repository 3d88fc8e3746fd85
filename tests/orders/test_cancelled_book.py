"""The book, cancelled at any await as a delivery's deadline does it: whole or not at all, and open to the next.

On each of its databases: a transaction that is left open locks everybody out of SQLite, and who writes there out of
PostgreSQL, whose connections also have answers under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, cast

import pytest
from msgspec import structs
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import QueuePool

from tests.cancelling import Cut, When, chosen, watching
from tracker.orders import Order, OrderBook, OrderQuery, OrderSettings, OrderUpdate, open_book, stated_from, update_from
from tracker.store.types import StoreDown

from .changes import change, scan
from .test_book import BODY, PAID

Call = Callable[[OrderBook, str], Coroutine[Any, Any, Any]]


def update(account: str, shipment: str = "shp_01", revision: int = 2) -> OrderUpdate:
    told = update_from(account, change("picked_up", revision, events=[scan("picked_up")], shipment=shipment))
    assert told is not None
    return told


async def applied(book: OrderBook, account: str) -> None:
    await book.apply(update(account))


async def stated(book: OrderBook, account: str) -> None:
    await book.put(account, stated_from("A-1", BODY | {"waybills": ["SF01"]}), now=PAID)


async def dropped(book: OrderBook, account: str) -> None:
    await book.drop_account(account)


async def read(book: OrderBook, account: str) -> None:
    await book.get(account, "A-1")
    await book.list(account, OrderQuery())
    await book.counts(account)


async def standing(book: OrderBook, account: str) -> Order | None:
    """The order, whosever it is."""
    found = await book.get(account, "A-1")
    return found and structs.replace(
        found, account="", parcels=tuple(structs.replace(one, account="") for one in found.parcels)
    )


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("call", [applied, stated, dropped, read], ids=lambda call: call.__name__)
async def test_a_call_that_is_cancelled_anywhere_was_done_whole_or_not_at_all(
    call: Call, when: When, book: OrderBook
) -> None:
    """The next call works at once, and no connection is left: neither open nor in a transaction."""
    accounts = (f"acme-{n}" for n in count())
    pool = cast(QueuePool, book._engine.pool)

    async def prepared() -> str:
        account = next(accounts)
        await stated(book, account)
        if call is not applied:
            await applied(book, account)
        return account

    with watching():
        account = await prepared()
        before = await standing(book, account)
        whole = Cut(-1, when)
        await whole.run(call(book, account))
        done = await standing(book, account)
        for at in chosen(whole.awaits, all_of=12):
            account = await prepared()
            async with asyncio.timeout(60):
                await Cut(at, when).run(call(book, account))
                assert await standing(book, account) in (before, done), f"await {at} of {whole.awaits}"
                await call(book, account)
                assert await standing(book, account) == done
        await book.under_way.ended()
        assert pool.checkedout() == 0


async def test_whoever_shared_a_transaction_with_one_that_was_cancelled_has_its_own_update(book: OrderBook) -> None:
    """Whichever of them had the lock."""
    with watching():
        for place in range(3):
            for at in range(0, 36, 3):
                for when in When:
                    account = f"acme-{place}-{at}-{when.name}"
                    cut = Cut(at, when)
                    calls = [book.apply(update(account, f"shp_{n}")) for n in range(3)]
                    calls[place] = cut.run(calls[place])
                    async with asyncio.timeout(60):
                        await asyncio.gather(*calls)
                    found = await standing(book, account)
                    assert found
                    kept = {parcel.shipment for parcel in found.parcels}
                    assert kept >= {f"shp_{n}" for n in range(3) if n != place}


async def test_a_failure_that_nobody_waits_for_any_more_is_no_complaint(book: OrderBook) -> None:
    """The others hear of it, SQLite's as of a book that is away, PostgreSQL's as what it is."""
    async with book._write() as connection:
        await connection.exec_driver_sql("DROP TABLE parcels")
    with watching():
        for when in When:
            cut = Cut(0, when)
            told = await asyncio.gather(
                book.apply(update("acme")),
                cut.run(book.apply(update("acme", "shp_02"))),
                book.apply(update("acme", "shp_03")),
                return_exceptions=True,
            )
            assert told[1] is None
            assert all(isinstance(one, StoreDown | ProgrammingError) for one in told[::2])


async def test_a_book_is_closed_once_what_was_begun_has_ended(settings: OrderSettings) -> None:
    """What its caller gave up is there at the next start."""
    with watching():
        async with open_book(settings) as book:
            await Cut(0, When.UNANSWERED).run(stated(book, "acme"))
        async with open_book(settings) as book:
            assert await standing(book, "acme")
