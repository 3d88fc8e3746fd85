"""An empty order book, on each of the databases that it may lie on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from tests import postgres
from tests.postgres import Postgres
from tracker.orders import OrderBook, OrderSettings, open_book


class Database(Protocol):
    """Where a book may lie."""

    async def empty(self) -> OrderSettings: ...


class SqliteFiles:
    """A directory of its own for each book."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count()

    async def empty(self) -> OrderSettings:
        directory = self._directory / str(next(self._numbers))
        directory.mkdir()
        return OrderSettings(directory=directory)


class PostgresSchema:
    """One schema, emptied for each book."""

    def __init__(self, server: Postgres, directory: Path) -> None:
        self.server = server
        self._directory = directory

    async def empty(self) -> OrderSettings:
        engine = create_async_engine(self.server.url)
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            await connection.exec_driver_sql("CREATE SCHEMA public")
        await engine.dispose()
        return OrderSettings(directory=self._directory, url=self.server.url)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    lacking = postgres.lacking()
    if lacking:
        pytest.skip(lacking)
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def on_postgresql(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> PostgresSchema:
    return PostgresSchema(postgres_server, tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    if request.param == "sqlite":
        return SqliteFiles(tmp_path_factory.mktemp("books"))
    schema: PostgresSchema = request.getfixturevalue("on_postgresql")
    return schema


@pytest.fixture
async def settings(database: Database) -> OrderSettings:
    return await database.empty()


@pytest.fixture
async def book(settings: OrderSettings) -> AsyncIterator[OrderBook]:
    async with open_book(settings) as opened:
        yield opened
