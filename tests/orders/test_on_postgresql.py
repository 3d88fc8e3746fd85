"""What is PostgreSQL's alone: it can be away while we go on, and be told wrongly where it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.postgres import Postgres
from tracker.errors import ConfigError
from tracker.orders import OrderDestination, OrderQuery, OrderSettings, open_book, stated_from
from tracker.store.types import Outcome, StoreDown

from .changes import change
from .conftest import PostgresSchema
from .test_book import PAID, delivery, order, tell


async def test_a_server_that_was_away_is_found_again(on_postgresql: PostgresSchema) -> None:
    server, body = on_postgresql.server, msgspec.json.encode(change("picked_up"))
    async with open_book(await on_postgresql.empty()) as book:
        handle = OrderDestination(book).handle
        await book.put("acme", stated_from("A-1", {}), now=PAID)
        server.stop()
        try:
            away = await handle(delivery(body))
            with pytest.raises(StoreDown, match="order book"):
                await book.list("acme", OrderQuery())
            with pytest.raises(StoreDown, match="order book"):
                await book.sweep(PAID)
        finally:
            server.start()
        assert (away.outcome, away.retry_after_ms) == (Outcome.RETRY, 1_000)
        assert (await handle(delivery(body))).outcome is Outcome.DONE
        assert len((await order(book)).parcels) == 1


async def test_two_daemons_that_write_to_the_same_orders_lose_nothing(on_postgresql: PostgresSchema) -> None:
    settings = await on_postgresql.empty()
    async with open_book(settings) as here, open_book(settings) as there, asyncio.TaskGroup() as tasks:
        for turn in range(60):
            book, number = (here, there)[turn % 2], f"A-{turn % 3}"
            tasks.create_task(tell(book, "picked_up", turn, shipment=f"shp_{turn // 4}", order=number))
            tasks.create_task(book.put("acme", stated_from(f"A-{turn % 5}", {"shop": "tmall"}), now=PAID))
    async with open_book(settings) as book:
        found = (await book.list("acme", OrderQuery())).orders
    # each of 15 parcels is where its newest revision put it, and nowhere else
    held = {parcel.shipment: (one.number, parcel.revision) for one in found for parcel in one.parcels}
    assert held == {f"shp_{turn // 4}": (f"A-{turn % 3}", turn) for turn in range(60)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("/postgres?", "/nowhere?"), 'database "nowhere" does not exist'),
        (("milepost@", "stranger@"), 'role "stranger" does not exist'),
        (("?host", "?sslmode=require&host"), "unexpected keyword argument 'sslmode'"),
        (("postgresql+asyncpg", "mysql+aiomysql"), "mysql is neither sqlite nor postgresql"),
        (("postgresql+asyncpg", "postgresql+nosuch"), r"pip install 'milepost\[postgresql\]'"),
    ],
)
async def test_a_wrong_address_is_told_at_the_start(
    postgres_server: Postgres, tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    settings = OrderSettings(directory=tmp_path, url=postgres_server.url.replace(*change))
    with pytest.raises(ConfigError, match=rf"orders\.url: .*{told}"):
        async with open_book(settings):
            pass


async def test_the_driver_need_not_be_named(on_postgresql: PostgresSchema) -> None:
    settings = await on_postgresql.empty()
    assert settings.url
    plain = OrderSettings(directory=settings.directory, url=settings.url.replace("+asyncpg", ""))
    async with open_book(plain) as book:
        await tell(book, "picked_up")
        assert (await order(book)).parcels
