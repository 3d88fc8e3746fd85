"""The order book's database, SQLite or PostgreSQL: opened, tuned, given its tables, and known when it is away."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tracker.errors import ConfigError
from tracker.orders.tables import SCHEMA, metadata, schema
from tracker.store.types import StoreDown

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}

_PATIENCE_S = 10.0  # for a connection to PostgreSQL, and for one statement
_FIRST_START = 0x6D706F62  # "mpob": the advisory lock under which the tables are made
# Classes of SQLSTATE that say "not now": https://www.postgresql.org/docs/current/errcodes-appendix.html
_NOT_NOW = ("08", "25", "40", "53", "55", "57", "58")


def engine_of(address: str) -> AsyncEngine:
    """An engine for an SQLAlchemy address; raises ConfigError for one that is neither SQLite's nor PostgreSQL's."""
    try:
        url = _url(address)
        return _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        why = "the port is no number" if isinstance(error, ValueError) else reason(error)  # it may be of a password
        raise ConfigError(
            f"orders.url: {why}; write sqlite+aiosqlite:///path or postgresql+asyncpg://user@host/name "
            "(pip install 'milepost[postgresql]')"
        ) from None


async def open_tables(engine: AsyncEngine) -> None:
    """Make the tables at the first start; raises ConfigError for what can't be opened or a later version wrote."""
    ends = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await _open(engine)
        except (SQLAlchemyError, OSError, TypeError) as error:  # TypeError: a parameter that the driver does not know
            # of several that turn a new file to WAL at once SQLite tells all but one so, without waiting
            if _is_busy(error) and time.monotonic() < ends:
                await asyncio.sleep(0.02)
                continue
            raise ConfigError(f"orders.url: can't open {_shown(engine.url)}: {reason(error)}") from None


async def _open(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(milepost_writes=True)
        async with connection.begin():
            await _make_tables(connection)


@contextmanager
def answering() -> Iterator[None]:
    """Raise StoreDown where the database is away or has no time for us; what it refuses stays as it is."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        if _is_away(error):
            raise StoreDown(f"order book: {reason(error) or type(error).__name__}") from error
        raise


def reason(error: Exception) -> str:
    """The first line of what went wrong, in the driver's words."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


def _is_away(error: Exception) -> bool:
    if isinstance(error, OSError | OperationalError | InterfaceError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_NOT_NOW)


def _is_busy(error: Exception) -> bool:
    cause = getattr(error, "orig", None)
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _url(address: str) -> URL:
    url = make_url(address)
    if url.get_backend_name() not in DRIVERS:
        raise ConfigError(f"orders.url: {url.get_backend_name()} is neither sqlite nor postgresql")
    return url if "+" in url.drivername else url.set(drivername=DRIVERS[url.drivername])


def _shown(url: URL) -> str:
    """The address without a password, which may stand in its query too."""
    return repr(url.difference_update_query([name for name in url.query if "password" in name]))


def _postgresql(url: URL) -> AsyncEngine:
    # asyncpg's own names: https://magicstack.github.io/asyncpg/current/api/index.html#connection
    patience = {"timeout": _PATIENCE_S, "command_timeout": _PATIENCE_S}
    return create_async_engine(url, pool_pre_ping=True, pool_timeout=_PATIENCE_S, connect_args=patience)


def _sqlite(url: URL) -> AsyncEngine:
    engine = create_async_engine(url)
    event.listen(engine.sync_engine, "connect", _tune)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _tune(connection: Any, _: object) -> None:
    """Take the transactions over from the driver, and make every commit durable."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def rewrite(engine: AsyncEngine) -> None:
    """Write SQLite's file anew, and cut its log off: what was deleted leaves traces in both. Raises StoreDown."""
    if engine.dialect.name != "sqlite":
        return
    with answering():
        async with engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection  # neither runs in a transaction
            try:
                await raw.execute("VACUUM")
                await raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:  # somebody reads for long, or the disk is full
                raise StoreDown(f"order book: {error}") from error


def _begin(connection: Any) -> None:
    # A write that begins as a read can't wait for another process's: take the lock at once.
    writes = connection.get_execution_options().get("milepost_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _make_tables(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":  # processes that start together make them once
        await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_FIRST_START})")
    await connection.run_sync(metadata.create_all)
    version = (await connection.execute(select(schema.c.version))).scalar()
    if version is None:
        await connection.execute(insert(schema).values(version=SCHEMA))
    elif version != SCHEMA:
        raise ConfigError(f"orders: the book has schema {version}, this version reads {SCHEMA}")
