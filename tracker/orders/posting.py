"""One account's part of an open transaction on the order book."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from tracker.orders.protocol import OrderUpdate
from tracker.orders.rules import Attention, OrderStatus, attention_of, status_of
from tracker.orders.statement import StatedOrder
from tracker.orders.tables import lines, orders, parcels

STATED = ("placed_at", "paid_at", "cancelled_at", "currency", "total", "shop", "warehouse")
_DERIVED = ("status", "attention", "listed_at", "created_at", "updated_at", "shop", "warehouse")
_PARCEL_FIELDS = tuple(name for name in OrderUpdate.__struct_fields__ if name != "order_number")
_UNKNOWN: tuple[int, str | None] = (-1, None)
Row = Mapping[str, Any] | RowMapping


class Posting:
    """One account's part of an open transaction."""

    def __init__(self, connection: AsyncConnection, account: str) -> None:
        self._connection = connection
        self._account = account

    async def take_in(self, batch: Sequence[OrderUpdate]) -> None:
        """Write the updates that are new, at most one for each shipment, and recompute the orders that they touch."""
        known = await self._known([change.shipment for change in batch])
        fresh = [change for change in batch if change.revision > known.get(change.shipment, _UNKNOWN)[0]]
        if not fresh:
            return
        left = {number for change in fresh if (number := known.get(change.shipment, _UNKNOWN)[1])}
        entered = {change.order_number for change in fresh} - {""}
        held = await self.held(left | entered)
        await self._open_missing(entered - held.keys())
        await self._write_parcels(fresh, known)
        await self._recompute(sorted(left | entered))

    async def state(self, order: StatedOrder, now: int) -> None:
        """Create or replace what the shop said of an order."""
        held = await self.held([order.number])
        await self._open_missing({order.number} - held.keys())
        said = msgspec.structs.asdict(order)
        said = {name: said[name] for name in STATED} | {"restated_at": now, "attention": None}
        first = (held[order.number]["stated_at"] if order.number in held else None) or now
        await self._connection.execute(update(orders).where(self._is(order.number)).values(**said, stated_at=first))
        await self._replace_lines(order)
        await self._recompute([order.number])

    async def held(self, numbers: Iterable[str]) -> dict[str, RowMapping]:
        """The orders of these numbers, locked until the end of the transaction."""
        wanted = select(orders).where(self._is_among(orders.c.number, numbers)).order_by(orders.c.number)
        rows = await self._connection.execute(wanted.with_for_update())
        return {row["number"]: row for row in rows.mappings()}

    async def _known(self, shipments: Sequence[str]) -> dict[str, tuple[int, str | None]]:
        """Revision and order of the parcels that the book has, locked until the end of the transaction."""
        columns = (parcels.c.shipment, parcels.c.revision, parcels.c.order_number)
        wanted = select(*columns).where(parcels.c.account == self._account, parcels.c.shipment.in_(shipments))
        rows = await self._connection.execute(wanted.order_by(parcels.c.shipment).with_for_update())
        return {row.shipment: (row.revision, row.order_number) for row in rows}

    async def _open_missing(self, numbers: Iterable[str]) -> None:
        rows = [{"account": self._account, "number": number} for number in sorted(numbers)]
        if rows:
            await self._connection.execute(insert(orders), rows)

    async def _write_parcels(self, fresh: Sequence[OrderUpdate], known: Mapping[str, object]) -> None:
        new = [_parcel_row(change) for change in fresh if change.shipment not in known]
        old = [_bound(_parcel_row(change)) for change in fresh if change.shipment in known]
        if new:
            await self._connection.execute(insert(parcels), new)
        if old:
            await self._connection.execute(_UPDATE_PARCEL, old)

    async def _replace_lines(self, order: StatedOrder) -> None:
        await self._connection.execute(
            delete(lines).where(lines.c.account == self._account, lines.c.number == order.number)
        )
        rows = [
            {"account": self._account, "number": order.number, "place": place} | msgspec.structs.asdict(line)
            for place, line in enumerate(order.lines)
        ]
        if rows:
            await self._connection.execute(insert(lines), rows)

    async def _recompute(self, numbers: Sequence[str]) -> None:
        held = await self.held(numbers)
        by_order = await parcels_of(self._connection, self._account, numbers)
        changed = []
        for number, row in held.items():
            if row["stated_at"] is None and not by_order[number]:
                await self._connection.execute(delete(orders).where(self._is(number)))
                continue
            derived = _derived(row, by_order[number])
            if any(row[name] != value for name, value in derived.items()):
                changed.append(_bound({"account": self._account, "number": number} | derived))
        if changed:
            await self._connection.execute(_UPDATE_ORDER, changed)

    def _is(self, number: str) -> ColumnElement[bool]:
        return and_(orders.c.account == self._account, orders.c.number == number)

    def _is_among(self, column: ColumnElement[str], numbers: Iterable[str]) -> ColumnElement[bool]:
        return and_(orders.c.account == self._account, column.in_(sorted(numbers)))


_UPDATE_ORDER = (
    update(orders)
    .where(orders.c.account == bindparam("new_account"), orders.c.number == bindparam("new_number"))
    .values({name: bindparam(f"new_{name}") for name in _DERIVED})
)
_UPDATE_PARCEL = (
    update(parcels)
    .where(
        parcels.c.account == bindparam("new_account"),
        parcels.c.shipment == bindparam("new_shipment"),
        parcels.c.revision < bindparam("new_revision"),
    )
    .values({column.name: bindparam(f"new_{column.name}") for column in parcels.c if not column.primary_key})
)


def _derived(row: Row, held: Sequence[OrderUpdate]) -> dict[str, Any]:
    stated = row["stated_at"] is not None
    status = status_of(held, unpaid=stated and row["paid_at"] is None, cancelled=row["cancelled_at"] is not None)
    created = min([row["stated_at"]] * stated + [parcel.registered_at for parcel in held])
    return {
        "status": status.value,
        "attention": _attention(row, status, held),
        "created_at": created,
        "updated_at": max([row["restated_at"]] * stated + [parcel.updated_at for parcel in held]),
        "listed_at": created if row["placed_at"] is None else row["placed_at"],
        "shop": row["shop"] if stated else held[0].shop,
        "warehouse": row["warehouse"] if stated else held[0].warehouse,
    }


def _attention(row: Row, status: OrderStatus, held: Sequence[OrderUpdate]) -> str | None:
    reason = attention_of(held)
    if reason is not None:
        return reason.value
    still_waits = row["attention"] == Attention.OVERDUE and status is OrderStatus.AWAITING_SHIPMENT
    return Attention.OVERDUE.value if still_waits else None


def _parcel_row(change: OrderUpdate) -> dict[str, Any]:
    row = {name: getattr(change, name) for name in _PARCEL_FIELDS}
    if change.order_number:
        return row | {"order_number": change.order_number}
    gone = dict.fromkeys(("waybill", "shop", "warehouse", "last_text", "last_location"), "")
    return row | gone | {"order_number": None}


def _bound(row: Row) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in row.items()}


async def parcels_of(
    connection: AsyncConnection, account: str, numbers: Sequence[str]
) -> defaultdict[str, list[OrderUpdate]]:
    """The latest update of each parcel of these orders, by order number, first registered first."""
    wanted = (
        select(parcels)
        .where(parcels.c.account == account, parcels.c.order_number.in_(numbers))
        .order_by(parcels.c.registered_at, parcels.c.shipment)
    )
    held: defaultdict[str, list[OrderUpdate]] = defaultdict(list)
    for row in (await connection.execute(wanted)).mappings():
        held[row["order_number"]].append(OrderUpdate(**row))
    return held
