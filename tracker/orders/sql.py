"""The order book: orders, their lines and the latest word on each of their parcels, in SQL."""

from __future__ import annotations

import asyncio
import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tracker.errors import BadInput
from tracker.orders.engine import answering, engine_of, open_tables, rewrite
from tracker.orders.posting import STATED, Posting, Row, parcels_of
from tracker.orders.protocol import OrderUpdate
from tracker.orders.rules import Attention, OrderStatus
from tracker.orders.statement import Line, StatedOrder
from tracker.orders.tables import lines, orders, parcels
from tracker.orders.together import Together
from tracker.orders.views import Order, OrderPage, OrderQuery, Placed
from tracker.underway import UnderWay, to_its_end

T = TypeVar("T")

_HOUR = 3_600_000
_BATCH = 500
_ATTEMPTS = 3
_PARTS = 2_000  # lines and parcels of the orders of one page
_KEEP_DEPARTED = 40 * 24 * _HOUR  # longer than a dead letter can come back


class OrderSettings(Struct, frozen=True, kw_only=True):
    """Where the book lies and when a shipment is overdue. `url` is SQLAlchemy's; None: `orders.db` in `directory`."""

    directory: Path
    url: str | None = None
    overdue_after_s: int = 48 * 3600


@asynccontextmanager
async def open_book(settings: OrderSettings) -> AsyncIterator[OrderBook]:
    """Open the book, make its tables at the first start, and close it at the end.

    Raises ConfigError for an address that can't be opened and for a book that a later version wrote.
    """
    engine = engine_of(settings.url or f"sqlite+aiosqlite:///{settings.directory / 'orders.db'}")
    under_way = UnderWay()
    try:
        await open_tables(engine)
        yield OrderBook(engine, overdue_after_ms=settings.overdue_after_s * 1000, under_way=under_way)
    finally:
        await under_way.ended()
        await engine.dispose()


class OrderBook:
    """Orders by account and number. Every write is one transaction; reads never wait for a write.

    A call may be cancelled at any moment: what it began at the database ends by itself. Raises StoreDown where the
    database is away.
    """

    def __init__(self, engine: AsyncEngine, *, overdue_after_ms: int, under_way: UnderWay) -> None:
        self._engine = engine
        self.under_way = under_way
        self._snapshots = _snapshots(engine)
        self._overdue_after = overdue_after_ms
        self._lock = asyncio.Lock()
        self._together = Together(self.apply_all, limit=_BATCH, lock=self._lock, under_way=under_way)

    async def apply(self, update: OrderUpdate) -> None:
        """Take in one parcel's update unless that shipment's revision is known already; shares its transaction."""
        await self._together.submit(update)

    @to_its_end
    async def apply_all(self, updates: Sequence[OrderUpdate]) -> None:
        """Take in many updates in one transaction; the caller holds no other write open."""
        await _insisting(partial(self._apply_all, updates))

    @to_its_end
    async def put(self, account: str, order: StatedOrder, *, now: int) -> Placed:
        """Create or replace an order as its shop states it; its parcels stay. `now` in ms."""
        async with self._lock:
            created = await _insisting(partial(self._state, account, order, now))
        kept = await self.get(account, order.number)
        assert kept is not None
        return Placed(kept, created, order.waybills)

    @to_its_end
    async def get(self, account: str, number: str) -> Order | None:
        """The order of that number in that account."""
        where = and_(orders.c.account == account, orders.c.number == number)
        async with self._reading() as connection:
            found = await _read(connection, account, select(orders).where(where))
        return found[0] if found else None

    @to_its_end
    async def list(self, account: str, query: OrderQuery) -> OrderPage:
        """Orders, newest first; raises BadInput for a cursor that is none of ours.

        A page ends early where its orders have more than `_PARTS` lines and parcels together.
        """
        wanted = (
            select(orders)
            .where(orders.c.account == account, *_conditions(query))
            .order_by(orders.c.listed_at.desc(), orders.c.number.desc())
            .limit(query.limit + 1)
        )
        async with self._reading() as connection:
            rows = (await connection.execute(wanted)).mappings().all()
            taken = await _together(connection, account, [row["number"] for row in rows[: query.limit]])
            page = await _orders(connection, account, rows[:taken])
        return OrderPage(tuple(page), _cursor(page[-1]) if len(rows) > taken else None)

    @to_its_end
    async def counts(self, account: str) -> dict[str, int]:
        """How many orders stand at each status, and `needs_attention` across them."""
        columns = (orders.c.status, func.count(), func.count(orders.c.attention))
        wanted = select(*columns).where(orders.c.account == account).group_by(orders.c.status)
        async with self._reading() as connection:
            found = (await connection.execute(wanted)).all()
        counted = {status: number for status, number, _ in found}
        return counted | {"needs_attention": sum(flagged for _, _, flagged in found)}

    @to_its_end
    async def sweep(self, now: int) -> int:
        """Flag the orders that were paid and wait too long for shipment; returns how many. `now` in ms."""
        waiting = and_(
            orders.c.status == OrderStatus.AWAITING_SHIPMENT,
            orders.c.paid_at <= now - self._overdue_after,
            orders.c.attention.is_(None),
        )
        departed = and_(parcels.c.order_number.is_(None), parcels.c.updated_at < now - _KEEP_DEPARTED)
        async with self._lock, self._write() as connection:
            flagged = await connection.execute(update(orders).where(waiting).values(attention=Attention.OVERDUE.value))
            await connection.execute(delete(parcels).where(departed))
        return flagged.rowcount

    @to_its_end
    async def drop_account(self, account: str) -> None:
        """Forget everything of an account."""
        async with self._lock, self._write() as connection:
            for table in (parcels, lines, orders):
                await connection.execute(delete(table).where(table.c.account == account))

    @to_its_end
    async def compact(self) -> None:
        """Leave no trace of what was deleted in an SQLite book's files; PostgreSQL has its own ways."""
        async with self._lock:
            await rewrite(self._engine)

    async def _apply_all(self, updates: Sequence[OrderUpdate]) -> None:
        async with self._write() as connection:
            for account, batch in _by_account(_newest(updates)).items():
                await Posting(connection, account).take_in(batch)

    async def _state(self, account: str, order: StatedOrder, now: int) -> bool:
        """Write it; whether it is new."""
        async with self._write() as connection:
            page = Posting(connection, account)
            created = not await page.held([order.number])
            await page.state(order, now)
        return created

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        with answering():
            async with self._engine.connect() as connection:
                await connection.execution_options(milepost_writes=True)
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees the book as of one moment."""
        with answering():
            async with self._snapshots.connect() as connection:
                yield connection


def _snapshots(engine: AsyncEngine) -> AsyncEngine:
    """The engine for reads of several statements; SQLite's transactions are snapshots anyway."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ")
    return engine


async def _insisting(write: Callable[[], Awaitable[T]]) -> T:
    """Write, and again where a daemon beside us on the same PostgreSQL was first to insert the same row."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(IntegrityError):
            return await write()
    return await write()


def _newest(updates: Iterable[OrderUpdate]) -> list[OrderUpdate]:
    newest: dict[tuple[str, str], OrderUpdate] = {}
    for change in updates:
        key = (change.account, change.shipment)
        if key not in newest or change.revision > newest[key].revision:
            newest[key] = change
    return list(newest.values())


def _by_account(updates: Iterable[OrderUpdate]) -> dict[str, list[OrderUpdate]]:
    grouped: dict[str, list[OrderUpdate]] = defaultdict(list)
    for change in sorted(updates, key=lambda change: (change.account, change.shipment)):
        grouped[change.account].append(change)
    return grouped


async def _together(connection: AsyncConnection, account: str, numbers: Sequence[str]) -> int:
    """How many of these orders, from the first on, are read at once: one, and as many more as are small enough."""
    parts: Counter[str] = Counter()
    for table, column in ((parcels, parcels.c.order_number), (lines, lines.c.number)):
        counted = select(column, func.count()).where(table.c.account == account, column.in_(numbers)).group_by(column)
        for number, count in await connection.execute(counted):
            parts[number] += count
    read = 0
    for place, number in enumerate(numbers):
        read += parts[number]
        if place and read > _PARTS:
            return place
    return len(numbers)


async def _read(connection: AsyncConnection, account: str, wanted: Select[Any]) -> list[Order]:
    return await _orders(connection, account, (await connection.execute(wanted)).mappings().all())


async def _orders(connection: AsyncConnection, account: str, rows: Sequence[Row]) -> list[Order]:
    numbers = [row["number"] for row in rows]
    held = await parcels_of(connection, account, numbers)
    stated = await _lines_of(connection, account, numbers)
    return [_order(row, stated[row["number"]], held[row["number"]]) for row in rows]


async def _lines_of(connection: AsyncConnection, account: str, numbers: Sequence[str]) -> defaultdict[str, list[Line]]:
    wanted = select(lines).where(lines.c.account == account, lines.c.number.in_(numbers)).order_by(lines.c.place)
    stated: defaultdict[str, list[Line]] = defaultdict(list)
    for row in await connection.execute(wanted):
        stated[row.number].append(Line(name=row.name, spec=row.spec, quantity=row.quantity, unit_price=row.unit_price))
    return stated


def _order(row: Row, stated: Sequence[Line], held: Sequence[OrderUpdate]) -> Order:
    return Order(
        account=row["account"],
        number=row["number"],
        status=OrderStatus(row["status"]),
        attention=Attention(row["attention"]) if row["attention"] else None,
        stated=row["stated_at"] is not None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        lines=tuple(stated),
        parcels=tuple(held),
        **{name: row[name] for name in STATED},
    )


def _conditions(query: OrderQuery) -> Iterator[ColumnElement[bool]]:
    column = orders.c
    if query.status is not None:
        yield column.status == query.status
    if query.paid is not None:
        yield column.paid_at.is_not(None) if query.paid else column.paid_at.is_(None)
    if query.placed_from is not None:
        yield column.placed_at >= query.placed_from
    if query.placed_to is not None:
        yield column.placed_at < query.placed_to
    if query.prefix:
        yield column.number.istartswith(query.prefix, autoescape=True)
    if query.needs_attention is not None:
        yield column.attention.is_not(None) if query.needs_attention else column.attention.is_(None)
    if query.cursor is not None:
        yield _after(query.cursor)


def _after(cursor: str) -> ColumnElement[bool]:
    listed_at, number = _read_cursor(cursor)
    return or_(orders.c.listed_at < listed_at, and_(orders.c.listed_at == listed_at, orders.c.number < number))


def _cursor(order: Order) -> str:
    listed_at = order.created_at if order.placed_at is None else order.placed_at
    return urlsafe_b64encode(msgspec.json.encode((listed_at, order.number))).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        plain = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        listed_at, number = msgspec.json.decode(plain, type=tuple[int, str])
        if not -(1 << 63) <= listed_at < 1 << 63 or "\0" in number:
            raise ValueError("no database has such an order")
        return listed_at, number
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise BadInput("cursor", "is no cursor of this list", code="bad_cursor") from None
