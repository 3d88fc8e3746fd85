"""The order book's tables, in SQL that SQLite and PostgreSQL both read. Times `*_at` are ms; money is minor units."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Integer, MetaData, Table, Text

SCHEMA = 1

metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, default="")


orders = Table(
    "orders",
    metadata,
    Column("account", Text, primary_key=True),
    Column("number", Text, primary_key=True),
    _text("status"),
    Column("attention", Text),
    Column("listed_at", BigInteger, nullable=False, default=0),  # placed_at, or created_at where nobody said
    Column("created_at", BigInteger, nullable=False, default=0),
    Column("updated_at", BigInteger, nullable=False, default=0),
    Column("stated_at", BigInteger),  # first and latest put; null: known from registrations alone
    Column("restated_at", BigInteger),
    Column("placed_at", BigInteger),
    Column("paid_at", BigInteger),
    Column("cancelled_at", BigInteger),
    Column("currency", Text, nullable=False, default="CNY"),
    Column("total", BigInteger),
    _text("shop"),
    _text("warehouse"),
    Index("orders_listed", "account", "listed_at", "number"),
    Index("orders_by_status", "account", "status", "listed_at", "number"),
    Index("orders_waiting", "status", "paid_at"),
)

lines = Table(
    "lines",
    metadata,
    Column("account", Text, primary_key=True),
    Column("number", Text, primary_key=True),
    Column("place", Integer, primary_key=True),
    _text("name"),
    _text("spec"),
    Column("quantity", Integer, nullable=False, default=1),
    Column("unit_price", BigInteger),
    ForeignKeyConstraint(["account", "number"], ["orders.account", "orders.number"], ondelete="CASCADE"),
)

# A parcel that left (deleted, or taken out of its order) stays for a while with a null order_number and no waybill:
# its revision keeps a late older update from bringing it back.
parcels = Table(
    "parcels",
    metadata,
    Column("account", Text, primary_key=True),
    Column("shipment", Text, primary_key=True),
    Column("order_number", Text),
    Column("revision", BigInteger, nullable=False),
    _text("waybill"),
    _text("carrier"),
    _text("status"),
    Column("registered_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    _text("status_at"),
    _text("delivered_at"),
    _text("expected"),
    Column("picked_up", Boolean, nullable=False),
    Column("lost", Boolean, nullable=False),
    Column("stalled", Boolean, nullable=False),
    _text("shop"),
    _text("warehouse"),
    _text("last_at"),
    _text("last_milestone"),
    _text("last_text"),
    _text("last_location"),
    ForeignKeyConstraint(["account", "order_number"], ["orders.account", "orders.number"]),
    Index("parcels_of_order", "account", "order_number"),
)

schema = Table("order_book", metadata, Column("version", Integer, primary_key=True))
