"""Every wrong request is refused with problem details that name what is wrong, and changes nothing."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tracker.accounts import Scope
from tracker.store.types import StoreDown

from .world import Api

DEEP = b"[" * 5_000 + b"]" * 5_000
DEEP_OBJECT = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
GOOD = {"waybill": "AC000001", "carrier": "acme"}


def _json(**said: Any) -> bytes:
    return json.dumps(GOOD | said).encode()


@pytest.mark.parametrize(
    ("body", "status", "field", "code"),
    [
        pytest.param(b"", 400, None, None, id="nothing"),
        pytest.param(b"{", 400, None, None, id="cut short"),
        pytest.param(b"\xff\xfe", 400, None, None, id="not UTF-8"),
        pytest.param(b'{"waybill": "\\ud800"}', 400, None, None, id="half a surrogate pair"),
        pytest.param(b'{"waybill": NaN}', 400, None, None, id="NaN"),
        pytest.param(DEEP, 400, None, None, id="arrays of depth 5,000"),
        pytest.param(DEEP_OBJECT, 400, None, None, id="objects of depth 5,000"),
        pytest.param(b"[]", 422, "body", "model_type", id="a list"),
        pytest.param(b"null", 422, "body", "model_type", id="null"),
        pytest.param(b'"AC000001"', 422, "body", "model_type", id="a string"),
        pytest.param(b"{}", 422, "waybill", "missing", id="empty"),
        pytest.param(_json(waybill=7), 422, "waybill", "string_type", id="wrong type"),
        pytest.param(_json(waybill="A B!"), 422, "waybill", "invalid", id="malformed number"),
        pytest.param(_json(waybill="9" * 101), 422, "waybill", "string_too_long", id="long number"),
        pytest.param(_json(waybil="x"), 422, "waybil", "unknown_field", id="unknown field"),
        pytest.param(_json(carrier="acmee"), 422, "carrier", "unknown_carrier", id="unknown carrier"),
        pytest.param(_json(tags="vip"), 422, "tags", "list_type", id="tags as text"),
        pytest.param(_json(tags=["ok", 1]), 422, "tags[1]", "string_type", id="one wrong tag"),
        pytest.param(_json(tags=["t"] * 21), 422, "tags", "too_long", id="too many tags"),
        pytest.param(_json(shop="a\nb"), 422, "shop", "string_pattern_mismatch", id="a line break in a label"),
        pytest.param(_json(phone_tail="12a4"), 422, "phone_tail", "string_pattern_mismatch", id="phone tail"),
        pytest.param(_json(ship_date="2026-13-45"), 422, "ship_date", "value_error", id="no such day"),
        pytest.param(_json(paused="yes"), 422, "paused", "bool_type", id="paused as text"),
        pytest.param(b'{"shipments": {}}', 422, "shipments", "list_type", id="batch is no list"),
        pytest.param(b'{"shipments": []}', 422, "shipments", "too_short", id="empty batch"),
        pytest.param(json.dumps({"shipments": [1] * 1_001}).encode(), 422, "shipments", "too_long", id="1,001 items"),
        pytest.param(b'{"shipments": [], "x": 1}', 422, "x", "unknown_field", id="batch with more"),
        pytest.param(b" " * 200_001, 413, None, None, id="too large"),
    ],
)
async def test_a_wrong_registration_is_refused_and_nothing_is_done(
    api: Api, account: str, body: bytes, status: int, field: str | None, code: str | None
) -> None:
    started = time.monotonic()
    answer = await api.call(account, "POST", "/shipments", data=body, headers={"Content-Type": "application/json"})
    assert time.monotonic() - started < 30
    assert answer.status == status, answer.body
    if field is not None:
        found = {error["field"]: error["code"] for error in answer.body["errors"]}
        assert found.get(field) == code, found
    assert (await api.call(account, "GET", "/shipments")).body["shipments"] == []


async def test_an_unknown_field_that_is_nearly_right_is_told_what_was_meant(api: Api, account: str) -> None:
    answer = await api.call(account, "POST", "/shipments", json=GOOD | {"order_no": "1"})
    assert "did you mean 'order_number'?" in answer.body["errors"][0]["problem"]


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        (
            "/subscriptions",
            {"url": "https://a.example/", "payload": "tiny"},
            "Input should be 'full' or 'thin', not 'tiny'",
        ),
        ("/subscriptions", {"url": "https://a.example/", "rate": 0}, "greater than or equal to 0.1, not 0"),
        ("/subscriptions", {"url": 7}, "Input should be a valid string, not 7"),
        ("/subscriptions", {"url": None}, "Input should be a valid string, not null"),
        (
            "/shipments",
            GOOD | {"waybill": "9" * 200},
            "at most 100 characters, not '9999999999999999999999999999999999999999…'",
        ),
        ("/shipments", GOOD | {"paused": 10**30}, "Input should be a valid boolean"),
    ],
)
async def test_a_wrong_value_is_named(api: Api, account: str, path: str, body: dict[str, Any], problem: str) -> None:
    [error] = (await api.call(account, "POST", path, json=body)).body["errors"]
    assert error["problem"].endswith(problem)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/connections", {"carrier": "acme", "credentials": {"app_key": 31_415}}),
        ("/connections", {"carrier": "acme", "credentials": "31415"}),
        ("/subscriptions", {"url": "https://a.example/", "headers": {"Authorization": 31_415}}),
    ],
)
async def test_a_wrong_value_that_may_be_a_secret_is_not_repeated(
    api: Api, account: str, path: str, body: dict[str, Any]
) -> None:
    answer = await api.call(account, "POST", path, json=body)
    assert answer.status == 422
    assert "31415" not in json.dumps(answer.body)


@pytest.mark.parametrize(
    "path", ["/shipments?cursor=nowhere", "/changes?after=nowhere", "/dead-letters?cursor=nowhere"]
)
async def test_a_wrong_cursor_is_told_how_to_begin(api: Api, account: str, path: str) -> None:
    [error] = (await api.call(account, "GET", path)).body["errors"]
    start = "say `now`" if "changes" in path else "leave it out"
    told = f"'nowhere' is no cursor of this list: take that of an answer before, or {start}"
    assert (error["problem"], error["code"]) == (told, "bad_cursor")


async def test_a_stream_that_says_no_length_is_cut_at_the_limit(api: Api, account: str) -> None:
    async def endless() -> Any:
        for _ in range(1_000):
            yield b" " * 1_000

    answer = await api.call(account, "POST", "/shipments", data=endless(), headers={"Content-Type": "application/json"})
    assert answer.status == 413


async def test_a_body_that_is_not_said_to_be_json_is_refused(api: Api, account: str) -> None:
    answer = await api.call(account, "POST", "/shipments", data=b"waybill=1", headers={"Content-Type": "text/plain"})
    assert answer.status == 415


async def test_a_body_that_does_not_match_its_encoding_is_refused(api: Api, account: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await api.call(account, "POST", "/shipments", data=b"no gzip at all", headers=headers)
    assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/shipments?limit=0", "limit"),
        ("/shipments?limit=many", "limit"),
        ("/shipments?limit=201", "limit"),
        ("/shipments?status=lost", "status"),
        ("/shipments?stalled=perhaps", "stalled"),
        ("/shipments?shopp=1", "shopp"),
        ("/shipments?shop=a&shop=b", "shop"),
        ("/shipments?waybill=!", "waybill"),
        ("/shipments?cursor=%21%21", "cursor"),
        ("/changes?after=%21%21", "after"),
        ("/changes?wait=61", "wait"),
        ("/changes?wait=nan", "wait"),
        ("/orders?status=lost", "status"),
        ("/orders?placed_from=2026-11-23T00:00:00", "placed_from"),
        ("/orders?placed_to=soon", "placed_to"),
        ("/orders?cursor=%21%21", "cursor"),
        ("/quarantine?cursor=%21%21", "cursor"),
        ("/dead-letters?cursor=%21%21", "cursor"),
        ("/counts?x=1", "x"),
    ],
)
async def test_a_wrong_parameter_is_named(api: Api, account: str, path: str, field: str) -> None:
    answer = await api.call(account, "GET", path)
    assert answer.status == 422, answer.body
    assert answer.body["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "body"),
        (b'{"total": "many"}', "total"),
        (b'{"total": "1.999"}', "total"),
        (b'{"placed_at": "2026-11-23T00:00:00"}', "placed_at"),
        (b'{"lines": [{"name": "tea", "quantity": 0}]}', "lines[0].quantity"),
        (b'{"waybills": [{"number": "x"}]}', "waybills[0]"),
        (b'{"colour": "red"}', "body"),
    ],
)
async def test_a_wrong_order_is_refused_and_no_order_is_made(api: Api, account: str, body: bytes, field: str) -> None:
    answer = await api.call(account, "PUT", "/orders/SO-1", data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 422, answer.body
    assert answer.body["errors"][0]["field"] == field
    assert (await api.call(account, "GET", "/orders/SO-1")).status == 404


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer mp_00000000_0", "Basic bXA6eA==", "Bearer mp_" + "a" * 8 + "_" + "b" * 32],
)
async def test_an_unknown_key_is_refused_before_anything_is_read(api: Api, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}
    answer = await api.raw("POST", "/shipments", headers=headers, data=DEEP)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_an_unknown_path_and_a_wrong_method_are_told_apart(api: Api, account: str) -> None:
    assert (await api.call(account, "GET", "/parcels")).status == 404
    assert (await api.call(account, "GET", "/shipments/")).status == 404
    assert (await api.call(account, "GET", "/")).status == 404
    wrong = await api.call(account, "PUT", "/shipments", json={})
    assert wrong.status == 405
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].split(", "))


async def test_a_key_without_the_scope_is_told_which_it_lacks(api: Api, account: str) -> None:
    answer = await api.call(account, "POST", "/shipments", json=GOOD, scope=Scope.READ)
    assert answer.status == 403
    assert "'write'" in answer.body["detail"]


async def test_a_store_that_is_gone_is_503_with_a_time_to_come_back(
    api: Api, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.key(account)

    async def gone(kind: str) -> int:
        raise StoreDown("gone")

    monkeypatch.setattr(api.services.store, "records_version", gone)
    answer = await api.call(account, "GET", "/shipments")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0


async def test_an_error_that_nobody_foresaw_tells_nothing_of_the_inside(
    api: Api, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(api.services.store, "counts", broken)
    answer = await api.call(account, "GET", "/counts")
    assert answer.status == 500
    assert "secret" not in json.dumps(answer.body)
