"""Order stores over the API: what they must hold, what is never shown, and what becomes of those that go."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import account, api  # noqa: F401
from tests.api.world import Api
from tracker.order_stores import KIND, listeners
from tracker.order_stores.registry import _platform, load, wrong_words
from tracker.order_stores.sdk import Platform, Status
from tracker.store import Store
from tracker.store.types import LaneRef, Outcome, Settlement

SECRET = "whsec_" + "c2VjcmV0" * 4
STORE: dict[str, Any] = {
    "platform": "http",
    "base": "https://shop.example/orders",
    "name": "our own",
    "credentials": {"signing_secret": SECRET},
    "shops": ["north"],
}


async def test_an_order_stores_secrets_are_never_shown_again(api: Api, account: str, store: Store) -> None:  # noqa: F811
    made = (await api.call(account, "POST", "/order-stores", json=STORE)).body
    assert made.pop("webhook_url") is None
    shown = await api.call(account, "GET", f"/order-stores/{made['id']}")
    listed = await api.call(account, "GET", "/order-stores")
    amended = await api.call(account, "PATCH", f"/order-stores/{made['id']}", json={"name": "the shop"})
    assert shown.body == made
    assert (shown.body["credentials"], amended.body["name"]) == (["signing_secret"], "the shop")
    assert (amended.body["shops"], amended.body["base"]) == (["north"], "https://shop.example/orders")
    for answer in (shown, listed, amended):
        assert SECRET not in str(answer.body)
    [kept] = (await store.records(KIND, account)).values()
    assert SECRET.encode() not in kept
    test = await api.call(account, "POST", f"/order-stores/{made['id']}/test")
    assert test.body == {"reached": True, "detail": "HTTP"}
    assert (await api.call(account, "DELETE", f"/order-stores/{made['id']}")).status == 204
    assert (await api.call(account, "GET", f"/order-stores/{made['id']}")).status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"platform": "htpp"}, "platform"),
        ({"base": "shop.example"}, "base"),
        ({"base": "http://127.0.0.1/orders"}, "base"),
        ({"base": "https://me:secret@shop.example"}, "base"),
        ({"base": "https://shop.example/orders?tenant=7"}, "base"),
        ({"credentials": {}}, "credentials.signing_secret"),
        ({"credentials": {"signing_secret": "hush"}}, "credentials.signing_secret"),
        ({"credentials": {"signing_secret": SECRET, "pin": "1"}}, "credentials.pin"),
        ({"options": {"colour": "red"}}, "options.colour"),
        ({"statuses": {"posted": "done"}}, "statuses.posted"),
        ({"shops": "north"}, "shops"),
        ({"secret": "x"}, "secret"),
    ],
)
async def test_a_wrong_order_store_is_refused_by_its_field(api: Api, account: str, change: Any, field: str) -> None:  # noqa: F811
    answer = await api.call(account, "POST", "/order-stores", json=STORE | change)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, field), answer.body
    assert (await api.call(account, "GET", "/order-stores")).body["order_stores"] == []


async def test_what_is_dead_at_an_order_store_goes_with_it(api: Api, account: str, store: Store) -> None:  # noqa: F811
    id = (await api.call(account, "POST", "/order-stores", json=STORE)).body["id"]
    body = {"waybill": "AC000001", "carrier": "acme", "order_number": "A-1", "shop": "north"}
    await api.call(account, "POST", "/shipments", json=body)
    [heard] = listeners(await store.records(KIND, account))
    assert (heard.wants("updated", "north", None), heard.wants("updated", "south", None)) == (True, False)
    for shard in range(store.shards):
        cursor, entries = await store.unfanned(shard)
        if entries:
            refs = [LaneRef(heard.id, account, entry.id, entry.revision, entry.kind) for entry in entries]
            await store.fan_out(shard, cursor, entries[-1].position, refs)
    [delivery] = await store.claim_lanes("claim", free={}, default_free=5, limit=10, lease_ms=60_000)
    await store.settle_lanes([Settlement(delivery=delivery, outcome=Outcome.DEAD, detail="refused: no such order")])
    [letter] = (await api.call(account, "GET", f"/dead-letters?destination={id}")).body["dead_letters"]
    assert (letter["destination"], letter["detail"]) == (id, "refused: no such order")
    assert (await api.call(account, "GET", f"/order-stores/{id}/deliveries")).body["deliveries"] == []
    await api.call(account, "DELETE", f"/order-stores/{id}")
    assert (await api.call(account, "GET", "/dead-letters")).body["dead_letters"] == []


async def _nothing(*_: Any) -> Any:
    return None


def _made(**said: Any) -> Platform:
    named: dict[str, Any] = {
        "slug": "acme",
        "name": "Acme",
        "docs": "",
        "address": "",
        "tell": _nothing,
        "probe": _nothing,
    }
    return Platform(**(named | said))


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"slug": "Acme"}, "slug"),
        ({"tell": None}, "tell is None"),
        ({"statuses": {"delivered": "done"}}, "is no status to map"),
        ({"words_for": Status, "words": ("DONE",), "statuses": {"delivered": "done"}}, "there are DONE"),
        ({"words_for": Status, "word": "[a-z]+", "statuses": {"delivered": "Done"}}, r"must fit \[a-z\]\+"),
    ],
)
def test_a_broken_platform_is_told_by_what_is_wrong(broken: dict[str, Any], problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        _platform(_made(**broken))


def test_a_module_that_breaks_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        name, value, dist = "acme", "acme:platform", None

        def load(self) -> object:
            raise SystemExit("no such thing")

    monkeypatch.setattr("tracker.plugins.entry_points", lambda group: [Entry()])
    platforms, failures = load()
    assert [failure.problem for failure in failures] == ["SystemExit: no such thing"]
    assert platforms.get("http")


def test_a_word_may_be_taken_back() -> None:
    assert not list(wrong_words(_made(words_for=Status, words=("DONE",)), {"delivered": ""}))
