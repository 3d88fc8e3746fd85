"""What a subscription wants, and what of it lies in the store."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webhooks.receiving import ACCOUNT, Desk
from tracker.errors import BadInput, NotFound
from webhooks.subscription import KIND, TYPES, Subscription, from_record, to_record


def subscription(**said: Any) -> Subscription:
    return Subscription(id="sub_1", account=ACCOUNT, url="https://shop.example/", **said)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, True),
        ({"types": ("shipment.delivered",)}, True),
        ({"types": ("shipment.stalled",)}, False),
        ({"shops": ("north", "south")}, True),
        ({"shops": ("south",)}, False),
        ({"carriers": ("sf",)}, True),
        ({"carriers": ("zto",)}, False),
        ({"types": ("shipment.delivered",), "shops": ("north",), "carriers": ("zto",)}, False),
        ({"enabled": False}, False),
    ],
)
def test_a_subscription_wants_what_passes_all_its_filters(said: dict[str, object], wanted: bool) -> None:
    assert subscription(**said).wants("delivered", "north", "sf") is wanted
    assert subscription(**said).wants("shipment.delivered", "north", "sf") is wanted


def test_what_is_not_known_of_a_shipment_excludes_it_from_nothing() -> None:
    assert subscription(shops=("south",), carriers=("sf",)).wants("deleted", None, None)


def test_a_record_comes_back_as_it_was() -> None:
    one = subscription(types=TYPES[:2], shops=("南店",), created_at=5, secret="sealed", disabled_at=7, disabled_why="x")
    assert from_record(ACCOUNT, to_record(one)) == one


async def test_a_secret_is_shown_once_and_sealed_in_the_store(desk: Desk) -> None:
    made, secret = await desk.subscribe("http://127.0.0.1/hook")
    record = await desk.store.get_record(KIND, ACCOUNT, made.id)
    assert record is not None
    assert secret.startswith("whsec_")
    assert secret.encode() not in record
    assert made.id.startswith("sub_")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "https://shop.example/", "types": ["shipment.delivered", "shipment.eaten"]}, "types[1]"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_kept(desk: Desk, said: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refused:
        await desk.subscriptions.create(ACCOUNT, now=1, **said)
    assert refused.value.field == field
    assert await desk.subscriptions.all(ACCOUNT) == []


async def test_an_amendment_changes_what_it_says_and_leaves_the_rest(desk: Desk) -> None:
    made, _ = await desk.subscribe("http://127.0.0.1/hook", shops=["north"], description="desk")
    changed = await desk.subscriptions.amend(ACCOUNT, made.id, shops=["south"], enabled=False)
    assert (changed.shops, changed.enabled, changed.description) == (("south",), False, "desk")
    assert await desk.subscriptions.get(ACCOUNT, made.id) == changed
    with pytest.raises(BadInput):
        await desk.subscriptions.amend(ACCOUNT, made.id, url="ftp://shop.example/")


async def test_a_subscription_of_another_account_does_not_exist(desk: Desk) -> None:
    made, _ = await desk.subscribe("http://127.0.0.1/hook")
    assert await desk.subscriptions.get("other", made.id) is None
    assert await desk.subscriptions.all("other") == []
    await desk.subscriptions.remove("other", made.id)
    for call in (
        desk.subscriptions.amend("other", made.id, enabled=False),
        desk.subscriptions.rotate("other", made.id),
    ):
        with pytest.raises(NotFound):
            await call
    assert await desk.subscriptions.get(ACCOUNT, made.id) == made


async def test_subscriptions_are_listed_oldest_first(desk: Desk) -> None:
    made = [await desk.subscriptions.create(ACCOUNT, url="http://127.0.0.1/", now=now) for now in (30, 10, 20)]
    listed = await desk.subscriptions.all(ACCOUNT)
    assert [one.created_at for one in listed] == [10, 20, 30]
    assert {one.id for one in listed} == {one.id for one, _ in made}
