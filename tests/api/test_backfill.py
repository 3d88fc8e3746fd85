"""The wish that a shop be asked at once what it did not push."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from .everything import ORDER_STORE
from .world import Api

HOUSE = {
    "platform": "http",
    "base": "https://shop.example/orders",
    "credentials": {"signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
}


async def made(api: Api, account: str, **said: object) -> str:
    answer = await api.call(account, "POST", "/order-stores", json=ORDER_STORE | said)
    return f"/order-stores/{answer.body['id']}"


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


async def test_an_order_store_that_was_never_asked_says_so(api: Api, account: str) -> None:
    path = await made(api, account)
    assert (await api.call(account, "GET", path)).body["backfill"] is None


async def test_a_wish_is_under_way_and_begins_where_the_first_round_would(api: Api, account: str) -> None:
    path = await made(api, account)
    answer = await api.call(account, "POST", f"{path}/backfill", json={})
    assert (answer.status, answer.body["under_way"], answer.body["completed_at"]) == (202, True, None)
    since = datetime.fromisoformat(answer.body["since"])
    assert timedelta(days=2) <= datetime.now(UTC) - since < timedelta(days=2, minutes=2)
    for body in (
        (await api.call(account, "GET", path)).body,
        (await api.call(account, "GET", "/order-stores")).body["order_stores"][0],
    ):
        assert body["backfill"]["since"] == answer.body["since"]


async def test_a_wish_reaches_further_back_and_never_less(api: Api, account: str) -> None:
    """What an earlier one asked for is not passed over."""
    path = await made(api, account)
    asked = [
        (await api.call(account, "POST", f"{path}/backfill", json={"since": ago(days=days)})).body["since"]
        for days in (5, 1, 9)
    ]
    assert asked[0] == asked[1]
    assert asked[2] < asked[1]


async def test_a_time_that_is_none_or_out_of_reach_names_the_field(api: Api, account: str) -> None:
    path = await made(api, account)
    for since in ("yesterday", "2026-11-20T00:00:00", ago(days=91), ago(days=-1), ""):
        answer = await api.call(account, "POST", f"{path}/backfill", json={"since": since})
        assert (answer.status, answer.body["errors"][0]["field"]) == (422, "since")


@pytest.mark.parametrize(
    ("said", "status", "code"), [(HOUSE, 422, "no_backfill"), ({"enabled": False}, 409, "disabled")]
)
async def test_one_that_can_not_be_asked_or_is_off_is_refused(
    api: Api, account: str, said: dict[str, object], status: int, code: str
) -> None:
    path = await made(api, account, **said)
    answer = await api.call(account, "POST", f"{path}/backfill", json={})
    assert (answer.status, answer.body["errors"][0]["code"]) == (status, code)


async def test_the_platforms_say_whether_they_can_be_asked(api: Api, account: str) -> None:
    platforms = (await api.call(account, "GET", "/order-platforms")).body["platforms"]
    assert [one["slug"] for one in platforms if one["backfill"]] == ["shopify", "woocommerce"]
