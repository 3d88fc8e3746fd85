"""The order book on a real database file."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tracker.errors import BadInput, ConfigError
from tracker.orders import (
    Attention,
    Order,
    OrderBook,
    OrderDestination,
    OrderQuery,
    OrderSettings,
    OrderStatus,
    OrderUpdate,
    open_book,
    order_view,
    stated_from,
    update_from,
)
from tracker.store.types import Delivery, Outcome

from .changes import change, scan

HOUR = 3_600_000
BEYOND = urlsafe_b64encode(b'[9223372036854775808, "x"]').decode().rstrip("=")
DAY = 24 * HOUR
PAID = 1_763_000_000_000
LATER = 1_900_000_000_000
BODY: dict[str, Any] = {
    "placed_at": "2025-11-13T02:00:00Z",
    "paid_at": "2025-11-13T02:13:20Z",
    "total": "129.90",
    "shop": "tmall",
    "lines": [{"name": "保温杯", "spec": "白色", "quantity": 2, "price": "64.95"}],
}


async def tell(book: OrderBook, *args: Any, account: str = "acme", **kwargs: Any) -> None:
    update = update_from(account, change(*args, **kwargs))
    assert update is not None
    await book.apply(update)


async def order(book: OrderBook, number: str = "A-1", account: str = "acme") -> Order:
    found = await book.get(account, number)
    assert found is not None
    return found


async def numbers(book: OrderBook, **query: Any) -> list[str]:
    return [found.number for found in (await book.list("acme", OrderQuery(**query))).orders]


async def test_a_registration_that_names_an_order_creates_it(book: OrderBook) -> None:
    await tell(book, "pending", 1, kind="registered")
    found = await order(book)
    assert (found.status, found.stated, found.shop, found.warehouse) == (
        OrderStatus.AWAITING_SHIPMENT,
        False,
        "tmall",
        "HZ-1",
    )


async def test_an_order_follows_its_parcel_from_the_label_to_the_signature(book: OrderBook) -> None:
    await book.put("acme", stated_from("A-1", BODY | {"paid_at": None}), now=PAID)
    seen = [(await order(book)).status]
    await book.put("acme", stated_from("A-1", BODY), now=PAID)
    seen.append((await order(book)).status)
    for revision, status in enumerate(["info_received", "picked_up", "out_for_delivery", "delivered"], 1):
        await tell(book, status, revision)
        seen.append((await order(book)).status)
    assert [status.value for status in seen] == [
        "awaiting_payment",
        "awaiting_shipment",
        "awaiting_shipment",
        "shipped",
        "shipped",
        "completed",
    ]


async def test_a_delivery_that_was_not_so_reopens_the_order(book: OrderBook) -> None:
    await tell(book, "delivered", 5)
    await tell(book, "available_for_pickup", 6, kind="corrected")
    assert (await order(book)).status is OrderStatus.SHIPPED


async def test_an_older_or_repeated_revision_changes_nothing(book: OrderBook) -> None:
    await tell(book, "delivered", 7)
    before = await order(book)
    await tell(book, "in_transit", 6)
    await tell(book, "delivered", 7)
    assert await order(book) == before


async def test_putting_an_order_again_replaces_its_lines_and_keeps_its_parcels(book: OrderBook) -> None:
    first = await book.put("acme", stated_from("A-1", BODY | {"waybills": ["SF01"]}), now=PAID)
    await tell(book, "picked_up", 2)
    again = await book.put("acme", stated_from("A-1", BODY | {"lines": [], "total": "1.00"}), now=LATER)
    assert (first.created, again.created) == (True, False)
    assert [named.waybill for named in first.waybills] == ["SF01"]
    assert (again.order.lines, again.order.total) == ((), 100)
    assert [parcel.waybill for parcel in again.order.parcels] == ["SF01"]
    assert (again.order.created_at, again.order.updated_at) == (first.order.created_at, LATER)


async def test_a_parcel_patched_to_another_order_moves_there(book: OrderBook) -> None:
    await book.put("acme", stated_from("A-1", BODY), now=PAID)
    await tell(book, "delivered", 3)
    await tell(book, "delivered", 4, kind="updated", order="B-2")
    await tell(book, "delivered", 3)
    assert (await order(book, "A-1")).status is OrderStatus.AWAITING_SHIPMENT
    assert (await order(book, "B-2")).status is OrderStatus.COMPLETED


async def test_a_deleted_parcel_leaves_the_book_and_its_unstated_order_with_it(book: OrderBook) -> None:
    await tell(book, "picked_up", 2)
    await tell(book, "picked_up", 3, kind="deleted")
    await tell(book, "picked_up", 2)
    assert await book.get("acme", "A-1") is None


async def test_a_departure_heard_first_keeps_the_older_update_out(book: OrderBook) -> None:
    await tell(book, "picked_up", 3, kind="deleted")
    await tell(book, "picked_up", 2)
    assert await book.get("acme", "A-1") is None


async def test_a_lost_parcel_flags_its_order_until_it_turns_up(book: OrderBook) -> None:
    await tell(book, "exception", 4, events=[scan("picked_up"), scan("exception", "lost")])
    assert (await order(book)).attention is Attention.LOST
    await tell(book, "delivered", 5)
    assert ((await order(book)).attention, (await order(book)).status) == (None, OrderStatus.COMPLETED)


async def test_an_order_that_waits_too_long_for_shipment_is_flagged_until_it_ships(book: OrderBook) -> None:
    await book.put("acme", stated_from("A-1", BODY), now=PAID)
    await book.put("acme", stated_from("B-2", BODY | {"paid_at": None}), now=PAID)
    assert await book.sweep(PAID + 47 * HOUR) == 0
    assert await book.sweep(PAID + 49 * HOUR) == 1
    assert await book.sweep(PAID + 50 * HOUR) == 0
    await tell(book, "info_received", 1)
    assert (await order(book)).attention is Attention.OVERDUE
    assert await numbers(book, needs_attention=True) == ["A-1"]
    await tell(book, "picked_up", 2)
    assert (await order(book)).attention is None


async def test_what_left_the_book_is_forgotten_in_time(book: OrderBook) -> None:
    await tell(book, "picked_up", 3, kind="deleted")
    await book.sweep(LATER)
    await tell(book, "picked_up", 2)
    assert await book.get("acme", "A-1") is not None


async def test_orders_are_listed_newest_first_a_page_at_a_time(book: OrderBook) -> None:
    for hour in range(5):
        body = BODY | {"placed_at": f"2025-11-13T0{hour // 2}:00:00Z"}
        await book.put("acme", stated_from(f"A-{hour}", body), now=PAID)
    first = await book.list("acme", OrderQuery(limit=2))
    second = await book.list("acme", OrderQuery(limit=2, cursor=first.cursor))
    third = await book.list("acme", OrderQuery(limit=2, cursor=second.cursor))
    pages = [[found.number for found in page.orders] for page in (first, second, third)]
    assert pages == [["A-4", "A-3"], ["A-2", "A-1"], ["A-0"]]
    assert third.cursor is None


async def test_orders_are_filtered_by_status_payment_time_and_number(book: OrderBook) -> None:
    await book.put("acme", stated_from("A-1", BODY), now=PAID)
    await book.put("acme", stated_from("A_1", BODY | {"placed_at": "2025-12-01T00:00:00Z"}), now=PAID)
    await book.put("acme", stated_from("B-2", BODY | {"paid_at": None}), now=PAID)
    assert await numbers(book, status="awaiting_payment") == ["B-2"]
    assert await numbers(book, paid=True) == ["A_1", "A-1"]
    assert await numbers(book, paid=False) == ["B-2"]
    assert await numbers(book, prefix="A_") == ["A_1"]
    assert await numbers(book, prefix="a-") == ["A-1"]
    assert await numbers(book, placed_from=PAID + DAY) == ["A_1"]
    assert await numbers(book, placed_to=PAID + DAY) == ["B-2", "A-1"]
    assert await book.counts("acme") == {"awaiting_shipment": 2, "awaiting_payment": 1, "needs_attention": 0}


async def test_a_page_of_large_orders_ends_early_and_the_rest_follows(
    book: OrderBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One order is shown however large it is."""
    monkeypatch.setattr("tracker.orders.sql._PARTS", 3)
    for number, count in (("A-1", 5), ("A-2", 2), ("A-3", 1), ("A-4", 1)):
        for n in range(count):
            await tell(book, "pending", 1, kind="registered", order=number, shipment=f"shp_{number}{n}")
    pages: list[list[int]] = []
    cursor: str | None = None
    while not pages or cursor:
        page = await book.list("acme", OrderQuery(cursor=cursor, limit=3))
        pages.append([len(order.parcels) for order in page.orders])
        cursor = page.cursor
    assert pages == [[1, 1], [2], [5]]


@pytest.mark.parametrize("cursor", ["", "x", "éé", "bnVsbA", "WzEsMl0", "WzFlMzAsIngiXQ", "WzEsIlx1MDAwMCJd", BEYOND])
async def test_a_cursor_of_another_list_is_refused(book: OrderBook, cursor: str) -> None:
    with pytest.raises(BadInput, match="cursor"):
        await book.list("acme", OrderQuery(cursor=cursor))


async def test_an_account_sees_and_drops_only_its_own_orders(book: OrderBook) -> None:
    await tell(book, "picked_up", 1)
    await tell(book, "delivered", 1, account="other")
    assert (await order(book)).status is OrderStatus.SHIPPED
    await book.drop_account("acme")
    assert await book.get("acme", "A-1") is None
    assert (await order(book, account="other")).status is OrderStatus.COMPLETED


async def test_words_that_hold_a_nul_are_kept_without_it(book: OrderBook) -> None:
    await tell(book, "picked_up", 2, events=[scan("picked_up", description="已揽\0收", location="\0")])
    [parcel] = (await order(book)).parcels
    assert (parcel.last_text, parcel.last_location) == ("已揽收", "")


async def test_an_order_reads_as_json(book: OrderBook) -> None:
    await book.put("acme", stated_from("A-1", BODY), now=PAID)
    await tell(book, "picked_up", 2, events=[scan("picked_up")])
    view = msgspec.json.decode(msgspec.json.encode(order_view(await order(book))))
    assert (view["total"], view["lines"][0]["price"], view["placed_at"]) == ("129.90", "64.95", "2025-11-13T02:00:00Z")
    assert view["status_label"] == {"zh": "已发货", "en": "Shipped"}
    assert view["parcels"][0]["last_event"]["label"] == {"zh": "已揽收", "en": "Picked up"}


async def test_a_closed_book_opens_again_with_everything_in_it(settings: OrderSettings) -> None:
    async with open_book(settings) as book:
        await tell(book, "picked_up", 2)
    async with open_book(settings) as book:
        assert (await order(book)).status is OrderStatus.SHIPPED


async def test_two_books_on_one_file_take_turns(settings: OrderSettings) -> None:
    async with open_book(settings) as here, open_book(settings) as there, asyncio.TaskGroup() as tasks:
        for turn in range(40):
            tasks.create_task(tell((here, there)[turn % 2], "in_transit", turn, shipment=f"shp_{turn % 5}"))
    async with open_book(settings) as book:
        assert [parcel.revision for parcel in (await order(book)).parcels] == [35, 36, 37, 38, 39]


async def test_books_that_open_together_make_the_tables_once(settings: OrderSettings) -> None:
    async def opened() -> None:
        async with open_book(settings) as book:
            await tell(book, "picked_up", shipment=f"shp_{id(book)}")

    await asyncio.gather(*(opened() for _ in range(8)))
    async with open_book(settings) as book:
        assert len((await order(book)).parcels) == 8


async def test_a_book_of_a_later_version_is_refused(settings: OrderSettings) -> None:
    async with open_book(settings) as book, book._write() as connection:
        await connection.exec_driver_sql("UPDATE order_book SET version = 99")
    with pytest.raises(ConfigError, match="schema 99"):
        async with open_book(settings):
            pass


def delivery(body: bytes, account: str = "acme") -> Delivery:
    return Delivery(f"orders:{account}", account, "shp_01", 1, "updated", 1, 0, "c", 0, body)


async def test_deliveries_that_wait_together_share_a_transaction(
    book: OrderBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    posted = book.apply_all

    async def counting(updates: Sequence[OrderUpdate]) -> None:
        sizes.append(len(updates))
        await posted(updates)

    book._together._work = counting
    handle = OrderDestination(book).handle
    bodies = [msgspec.json.encode(change("picked_up", shipment=f"shp_{n:03}", order=f"A-{n}")) for n in range(200)]
    answers = await asyncio.gather(*(handle(delivery(body)) for body in bodies))
    assert {answer.outcome for answer in answers} == {Outcome.DONE}
    assert sizes == [200]


async def test_a_caller_that_gives_up_leaves_the_others_served(book: OrderBook) -> None:
    tasks = [asyncio.create_task(tell(book, "picked_up", shipment=f"shp_{n}")) for n in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in done[1:]] == [type(None)] * 3
    assert len((await order(book)).parcels) == 3


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"type":"shipment.updated"}', b'{"type":1,"data":7}'])
async def test_a_body_that_is_no_change_is_dead(book: OrderBook, body: bytes) -> None:
    assert (await OrderDestination(book).handle(delivery(body))).outcome is Outcome.DEAD


async def test_a_book_that_is_away_is_tried_again(settings: OrderSettings) -> None:
    async with open_book(settings) as book:
        async with book._write() as connection:
            await connection.exec_driver_sql("DROP TABLE parcels")
        answer = await OrderDestination(book).handle(delivery(msgspec.json.encode(change())))
    assert (answer.outcome, answer.retry_after_ms) == (Outcome.RETRY, 1_000)
