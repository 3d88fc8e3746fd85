"""Registering, finding and changing shipments over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tracker.accounts import Scope

from .world import Api

ONE = {"waybill": "AC000001", "carrier": "acme", "order_number": "SO-1", "shop": "north", "tags": ["vip"]}


async def _register(api: Api, account: str, **said: Any) -> dict[str, Any]:
    answer = await api.call(account, "POST", "/shipments", json=ONE | said)
    assert answer.status in (200, 201), answer.body
    shipment: dict[str, Any] = answer.body
    return shipment


async def test_a_waybill_is_registered_once_however_often_it_is_sent(api: Api, account: str) -> None:
    first = await api.call(account, "POST", "/shipments", json=ONE)
    again = await api.call(account, "POST", "/shipments", json=ONE)
    assert (first.status, again.status) == (201, 200)
    assert first.body == again.body
    assert first.body["status"] == "pending"
    assert first.body["tracking_url"] == f"https://track.example/p/{first.body['id']}"


async def test_a_batch_answers_for_each_item_and_a_wrong_one_holds_up_no_other(api: Api, account: str) -> None:
    await _register(api, account, waybill="AC000003")
    items = [
        {"waybill": "AC000002", "carrier": "acme"},
        {"waybill": "AC000003", "carrier": "acme"},
        {"waybill": "AC000004", "carrier": "acne"},
        {"waybill": 7, "carrier": "acme"},
        {"waybill": "!", "carrier": "acme"},
        {"waybill": "BO000001", "carrier": "bolt"},
        "AC000009",
    ]
    answer = await api.call(account, "POST", "/shipments", json={"shipments": items})
    assert answer.status == 200
    told = [item["result"] for item in answer.body["results"]]
    assert told == ["created", "existing", "failed", "failed", "failed", "failed", "failed"]
    assert [answer.body[name] for name in ("created", "existing", "failed")] == [1, 1, 5]
    errors = [item["errors"][0] for item in answer.body["results"][2:]]
    assert [error["field"] for error in errors] == [
        "shipments[2].carrier",
        "shipments[3].waybill",
        "shipments[4].waybill",
        "shipments[5].phone_tail",
        "shipments[6]",
    ]
    assert "'acme'" in errors[0]["problem"]


async def test_the_same_waybill_twice_in_a_batch_is_one_shipment(api: Api, account: str) -> None:
    answer = await api.call(account, "POST", "/shipments", json={"shipments": [ONE, ONE]})
    first, second = (item["shipment"] for item in answer.body["results"])
    assert first["id"] == second["id"]
    assert (answer.body["created"], answer.body["existing"]) == (1, 1)


async def test_a_number_tells_its_carrier_where_only_one_has_such_numbers(api: Api, account: str) -> None:
    answer = await api.call(account, "POST", "/shipments", json={"waybill": "ac 000 005"})
    assert (answer.body["carrier"], answer.body["waybill"]) == ("acme", "AC000005")
    unknown = await api.call(account, "POST", "/shipments", json={"waybill": "XY000005"})
    assert unknown.body["errors"][0]["field"] == "carrier"


async def test_filters_hold_together_and_pages_follow_each_other(api: Api, account: str) -> None:
    items = [
        {
            "waybill": f"AC0001{n:02}",
            "carrier": "acme",
            "shop": "north" if n % 3 == 0 else "south",
            "tags": [f"t{n % 2}"],
        }
        for n in range(20)
    ]
    await api.call(account, "POST", "/shipments", json={"shipments": items})
    seen: list[str] = []
    path = "/shipments?shop=north&tag=t0&limit=2"
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.call(account, "GET", path + cursor)).body
        assert len(page["shipments"]) <= 2
        seen += [shipment["waybill"] for shipment in page["shipments"]]
        cursor = page["cursor"] and f"&cursor={page['cursor']}"
    assert sorted(seen) == ["AC000100", "AC000106", "AC000112", "AC000118"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("waybill=AC000001", 1),
        ("waybill=ac000001", 1),
        ("waybill=AC999999", 0),
        ("order_number=SO-1", 1),
        ("order_number=SO-2", 0),
        ("waybill=AC000001&order_number=SO-1", 1),
        ("waybill=AC000001&shop=south", 0),
        ("status=pending", 1),
        ("status=delivered", 0),
        ("stalled=true", 0),
        ("stalled=false", 1),
        ("carrier=acme", 1),
        ("carrier=bolt", 0),
        ("warehouse=w1", 0),
    ],
)
async def test_a_shipment_is_found_by_what_it_is(api: Api, account: str, query: str, found: int) -> None:
    await _register(api, account)
    answer = await api.call(account, "GET", f"/shipments?{query}")
    assert len(answer.body["shipments"]) == found


async def test_a_patch_changes_what_it_names_and_nothing_else(api: Api, account: str) -> None:
    id = (await _register(api, account))["id"]
    patch = {"order_number": None, "warehouse": "w1", "tags": ["a", "b", "a"], "paused": True}
    answer = await api.call(account, "PATCH", f"/shipments/{id}", json=patch)
    assert answer.body["order_number"] is None
    assert answer.body["warehouse"] == "w1"
    assert answer.body["tags"] == ["a", "b"]
    assert answer.body["paused"] is True
    assert answer.body["shop"] == "north"


async def test_a_carrier_can_be_corrected_and_the_id_stays(api: Api, account: str) -> None:
    id = (await _register(api, account))["id"]
    wrong = await api.call(account, "PATCH", f"/shipments/{id}", json={"carrier": "blot", "shop": "x"})
    assert wrong.status == 422
    assert "'bolt'" in wrong.body["errors"][0]["problem"]
    right = await api.call(account, "PATCH", f"/shipments/{id}", json={"carrier": "bolt"})
    assert (right.body["id"], right.body["carrier"], right.body["shop"]) == (id, "bolt", "north")


async def test_a_deleted_shipment_is_gone_and_may_come_again(api: Api, account: str) -> None:
    id = (await _register(api, account))["id"]
    assert (await api.call(account, "DELETE", f"/shipments/{id}")).status == 204
    assert (await api.call(account, "GET", f"/shipments/{id}")).status == 404
    assert (await api.call(account, "DELETE", f"/shipments/{id}")).status == 404
    assert (await _register(api, account))["id"] != id


async def test_timeline_retrack_and_counts_answer(api: Api, account: str) -> None:
    id = (await _register(api, account))["id"]
    assert (await api.call(account, "GET", f"/shipments/{id}/timeline")).body["events"] == []
    assert (await api.call(account, "POST", f"/shipments/{id}/retrack")).body["id"] == id
    assert (await api.call(account, "GET", "/counts")).body["counts"]["pending"] == 1
    assert (await api.call(account, "GET", "/stalled")).body == {"shipments": [], "cursor": None}


async def test_a_reader_can_change_nothing(api: Api, account: str) -> None:
    assert (await api.call(account, "POST", "/shipments", json=ONE, scope=Scope.READ)).status == 403
    assert (await api.call(account, "GET", "/shipments", scope=Scope.READ)).body["shipments"] == []
