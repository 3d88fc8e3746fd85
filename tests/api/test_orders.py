"""Orders over HTTP: stated by a shop, joined by their parcels."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tracker.api.models.orders import LineBody, OrderBody, WaybillBody
from tracker.orders import stated_from, statement, update_from

from .world import Api

ORDER: dict[str, Any] = {
    "placed_at": "2026-11-20T10:00:00+08:00",
    "paid_at": "2026-11-20T10:05:00+08:00",
    "total": "259.80",
    "shop": "north",
    "lines": [{"name": "乌龙茶", "spec": "250 g", "quantity": 2, "price": "129.90"}],
    "waybills": ["AC000001", {"waybill": "BO000001", "carrier": "bolt"}],
}


async def test_an_order_is_stated_and_its_waybills_are_registered_under_it(api: Api, account: str) -> None:
    first = await api.call(account, "PUT", "/orders/SO-1", json=ORDER)
    assert first.status == 201
    assert [item["result"] for item in first.body["shipments"]] == ["created", "failed"]
    assert first.body["shipments"][0]["shipment"]["order_number"] == "SO-1"
    assert first.body["shipments"][1]["errors"][0]["field"] == "waybills[1].phone_tail"
    assert first.body["order"]["status"] == "awaiting_shipment"
    assert first.body["order"]["lines"][0]["price"] == "129.90"
    again = await api.call(account, "PUT", "/orders/SO-1", json=ORDER)
    assert (again.status, again.body["shipments"][0]["result"]) == (200, "existing")


async def test_an_order_says_of_a_waybill_what_its_carrier_wants_to_be_told(api: Api, account: str) -> None:
    """And what is wrong of it costs that waybill alone."""
    waybills = [
        {"waybill": "BO000001", "carrier": "bolt", "phone_tail": "0000"},
        {"waybill": "BO000002", "carrier": "bolt", "phone_tail": "12"},
    ]
    said = await api.call(account, "PUT", "/orders/SO-1", json={"waybills": waybills})
    assert [item["result"] for item in said.body["shipments"]] == ["created", "failed"]
    assert said.body["shipments"][1]["errors"][0]["field"] == "waybills[1].phone_tail"
    again = await api.call(account, "PUT", "/orders/SO-1", json={"waybills": waybills[:1]})
    assert again.body["shipments"][0]["result"] == "existing"


async def test_a_waybill_that_was_followed_before_joins_the_order_that_names_it(api: Api, account: str) -> None:
    made = await api.call(account, "POST", "/shipments", json={"waybill": "AC000001", "carrier": "acme"})
    await api.call(account, "PUT", "/orders/SO-1", json={"waybills": ["AC000001"]})
    found = await api.call(account, "GET", "/shipments?order_number=SO-1")
    assert [shipment["id"] for shipment in found.body["shipments"]] == [made.body["id"]]


async def test_the_detail_of_an_order_has_its_parcels_timelines(api: Api, account: str) -> None:
    body = {"waybill": "AC000001", "carrier": "acme", "order_number": "SO-1"}
    shipment = (await api.call(account, "POST", "/shipments", json=body)).body
    change = {"type": "shipment.registered", "data": {"shipment": shipment, "revision": 1, "events_added": []}}
    update = update_from(account, change)
    assert update is not None
    book = api.book
    await book.apply(update)
    order = (await api.call(account, "GET", "/orders/SO-1")).body
    assert [(parcel["waybill"], parcel["events"]) for parcel in order["parcels"]] == [("AC000001", [])]


async def test_orders_are_listed_newest_first_and_filtered(api: Api, account: str) -> None:
    for day in (20, 22, 21):
        paid = {"paid_at": None} if day == 21 else {}
        said = ORDER | {"placed_at": f"2026-11-{day}T10:00:00+08:00", "waybills": []} | paid
        await api.call(account, "PUT", f"/orders/SO-{day}", json=said)

    async def numbers(query: str) -> list[str]:
        answer = await api.call(account, "GET", f"/orders?{query}")
        return [order["number"] for order in answer.body["orders"]]

    assert await numbers("") == ["SO-22", "SO-21", "SO-20"]
    assert await numbers("paid=true") == ["SO-22", "SO-20"]
    assert await numbers("status=awaiting_payment") == ["SO-21"]
    assert await numbers("number=SO-2") == ["SO-22", "SO-21", "SO-20"]
    assert await numbers("number=SO-20") == ["SO-20"]
    assert await numbers("placed_from=2026-11-21T00:00:00%2B08:00&placed_to=2026-11-22T00:00:00%2B08:00") == ["SO-21"]
    assert await numbers("needs_attention=true") == []
    first = (await api.call(account, "GET", "/orders?limit=2")).body
    rest = (await api.call(account, "GET", f"/orders?limit=2&cursor={first['cursor']}")).body
    assert [order["number"] for order in first["orders"] + rest["orders"]] == ["SO-22", "SO-21", "SO-20"]
    assert rest["cursor"] is None


async def test_a_number_may_be_chinese_and_hold_blanks(api: Api, account: str) -> None:
    path = f"/orders/{quote('订单 7#?')}"
    assert (await api.call(account, "PUT", path, json={})).status == 201
    assert (await api.call(account, "GET", path)).body["number"] == "订单 7#?"


def test_what_the_page_says_of_an_order_is_what_the_book_reads() -> None:
    assert set(OrderBody.model_fields) == set(statement._OrderBody.__struct_fields__)
    assert set(LineBody.model_fields) == set(statement._LineBody.__struct_fields__)
    assert set(WaybillBody.model_fields) == set(statement.NamedWaybill.__struct_fields__)
    assert stated_from("SO-1", ORDER).number == "SO-1"
    assert OrderBody.model_validate(ORDER).total == "259.80"
