"""Connections, subscriptions, deliveries, dead letters and quarantine over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tracker.accounts import Scope
from tracker.quarantine import quarantined
from tracker.store import Store
from tracker.store.types import LaneRef, Outcome, Settlement
from webhooks.standard import new_secret

from .desk import Lanes
from .everything import ORDER_STORE
from .world import NOW, Api

HOOK = {"url": "https://receiver.example/hook", "types": ["shipment.delivered"], "shops": ["north"]}
QUIET = {"platform": "http", "base": "https://shop.example", "credentials": {"signing_secret": new_secret()}}
CONNECTION = {"carrier": "acme", "name": "main", "credentials": {"app_key": "very-secret"}}
ATTEMPT = {
    "at": "2026-11-20T10:00:00Z",
    "id": "msg_1_1",
    "type": "shipment.registered",
    "shipment_id": "shp_1",
    "revision": 1,
    "attempt": 10,
    "outcome": "dead",
    "status": 500,
    "latency_ms": 12.5,
    "error": None,
    "response": "said",
    "next_at": None,
    "test": False,
}


async def test_a_connections_secrets_are_never_shown_again(api: Api, account: str, store: Store) -> None:
    made = await api.call(account, "POST", "/connections", json=CONNECTION)
    assert made.status == 201
    id, url = made.body["id"], made.body.pop("webhook_url")
    assert url.startswith(f"/hooks/{id}/")
    shown = await api.call(account, "GET", f"/connections/{id}")
    assert shown.body == made.body
    assert shown.body["credentials"] == ["app_key"]
    listed = await api.call(account, "GET", "/connections")
    amended = await api.call(account, "PATCH", f"/connections/{id}", json={"enabled": False})
    assert amended.body["enabled"] is False
    assert amended.body["name"] == "main"
    secret = url.rpartition("/")[2]
    for text in (str(made.body), str(shown.body), str(listed.body), str(amended.body)):
        assert "very-secret" not in text
        assert secret not in text
    [kept] = (await store.records("connection", account)).values()
    assert b"very-secret" not in kept
    assert (await api.call(account, "DELETE", f"/connections/{id}")).status == 204
    assert (await api.call(account, "GET", f"/connections/{id}")).status == 404


async def test_an_address_that_takes_pushes_is_replaced_with_an_overlap(api: Api, account: str, store: Store) -> None:
    """Of a connection and of a shop; a store whose platform pushes nothing has none. What is kept is sealed."""
    for resource, kind, body in (
        ("connections", "connection", {"carrier": "acme", "credentials": {"app_key": "k"}}),
        ("order-stores", "order_store", ORDER_STORE),
    ):
        made = (await api.call(account, "POST", f"/{resource}", json=body)).body
        path = f"/{resource}/{made['id']}"
        new = (await api.call(account, "POST", f"{path}/rotate", json={"overlap_h": 48})).body
        assert new["webhook_url"].rpartition("/")[0] == made["webhook_url"].rpartition("/")[0]
        assert new["webhook_url"] != made["webhook_url"]
        seen = (await api.call(account, "GET", path)).body
        assert seen["old_address_until"] == new["overlap_until"] is not None
        assert "webhook_url" not in seen
        kept = await store.get_record(kind, account, made["id"])
        assert kept
        for url in (made["webhook_url"], new["webhook_url"]):
            assert url.rpartition("/")[2].encode() not in kept
        at_once = (await api.call(account, "POST", f"{path}/rotate", json={"overlap_h": 0})).body
        assert at_once["overlap_until"] is None
        assert (await api.call(account, "GET", path)).body["old_address_until"] is None
        for wrong in (2_161, -1, False, "24"):
            refused = await api.call(account, "POST", f"{path}/rotate", json={"overlap_h": wrong})
            assert (refused.status, refused.body["errors"][0]["field"]) == (422, "overlap_h")
        assert (await api.call(account, "POST", f"{path}/rotate", scope=Scope.WRITE, json={})).status == 403
    quiet = (await api.call(account, "POST", "/order-stores", json=QUIET)).body
    refused = await api.call(account, "POST", f"/order-stores/{quiet['id']}/rotate", json={})
    assert (refused.status, refused.body["errors"][0]["code"]) == (422, "no_address")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"carrier": "acne"}, "carrier"),
        ({"carrier": "courier-post"}, "carrier"),
        ({"carrier": "acme"}, "credentials.app_key"),
        ({"carrier": "acme", "credentials": {"app_key": "k", "pin": "1"}}, "credentials.pin"),
        ({"carrier": "acme", "credentials": {"app_key": 7}}, "credentials.app_key"),
        (CONNECTION | {"base": "ftp://x"}, "base"),
        (CONNECTION | {"base": "http://169.254.169.254"}, "base"),
        (CONNECTION | {"base": "https://api.acme.example:22"}, "base"),
        (CONNECTION | {"secret": "x"}, "secret"),
    ],
)
async def test_a_wrong_connection_is_refused(api: Api, account: str, body: dict[str, Any], field: str) -> None:
    answer = await api.call(account, "POST", "/connections", json=body)
    assert answer.status == 422, answer.body
    assert answer.body["errors"][0]["field"] == field
    assert (await api.call(account, "GET", "/connections")).body["connections"] == []


async def test_a_subscription_shows_its_secret_once(api: Api, account: str) -> None:
    made = await api.call(account, "POST", "/subscriptions", json=HOOK)
    secret = made.body.pop("secret")
    assert secret.startswith("whsec_")
    id = made.body["id"]
    assert (await api.call(account, "GET", f"/subscriptions/{id}")).body == made.body | {"waiting": 0}
    amended = await api.call(account, "PATCH", f"/subscriptions/{id}", json={"shops": []})
    assert (amended.body["shops"], amended.body["types"]) == ([], ["shipment.delivered"])
    rotated = await api.call(account, "POST", f"/subscriptions/{id}/rotate")
    assert rotated.body["secret"] != secret
    assert (await api.call(account, "POST", f"/subscriptions/{id}/test")).body["delivered"] is True
    assert (await api.call(account, "DELETE", f"/subscriptions/{id}")).status == 204
    assert (await api.call(account, "GET", "/subscriptions")).body["subscriptions"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://receiver.example"}, "url"),
        ({"url": "http://127.0.0.1/hook"}, "url"),
        (HOOK | {"types": ["shipment.lost"]}, "types[0]"),
        (HOOK | {"types": "shipment.lost"}, "types"),
        (HOOK | {"shop": "north"}, "shop"),
        (HOOK | {"statuses": ["eaten"]}, "statuses[0]"),
        (HOOK | {"payload": "fat"}, "payload"),
        (HOOK | {"signature": "rsa"}, "signature"),
        (HOOK | {"headers": {"Host": "x"}}, "headers.Host"),
        (HOOK | {"headers": {"X": "a\nb"}}, "headers.X"),
        (HOOK | {"concurrency": 0}, "concurrency"),
        (HOOK | {"rate": 0}, "rate"),
        (HOOK | {"carriers": ["acme", "acmee"]}, "carriers[1]"),
    ],
)
async def test_a_wrong_subscription_is_refused(api: Api, account: str, body: dict[str, Any], field: str) -> None:
    answer = await api.call(account, "POST", "/subscriptions", json=body)
    assert answer.status == 422, answer.body
    assert answer.body["errors"][0]["field"] == field
    assert (await api.call(account, "GET", "/subscriptions")).body["subscriptions"] == []


async def test_a_filter_for_a_carrier_that_nobody_knows_is_refused_when_it_is_amended_too(
    api: Api, account: str
) -> None:
    """It would keep everything back, and look like quiet days."""
    id = (await api.call(account, "POST", "/subscriptions", json=HOOK | {"carriers": ["zto"]})).body["id"]
    answer = await api.call(account, "PATCH", f"/subscriptions/{id}", json={"carriers": ["ztoo"]})
    assert answer.status == 422
    assert answer.body["errors"][0]["problem"] == "'ztoo' is no carrier that we know; did you mean 'zto'?"
    assert (await api.call(account, "GET", f"/subscriptions/{id}")).body["carriers"] == ["zto"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"types": ["delivered"]}, "'delivered' is no type of change; did you mean 'shipment.delivered'?"),
        ({"statuses": ["delivred"]}, "'delivred' is no status; did you mean 'delivered'?"),
        ({"url": "http://10.0.0.1/"}, "10.0.0.1 is refused: private; it must be a public address, or in a network"),
        ({"url": "http://8.8.8.8:99/"}, "port 99 of 8.8.8.8 is refused: not among the allowed ports; 80, 443, 8080, "),
        ({"url": "shop.example/hook"}, "'shop.example/hook' has no scheme: write http:// or https:// and the host"),
    ],
)
async def test_a_refusal_says_what_would_be_right(api: Api, account: str, said: dict[str, Any], meant: str) -> None:
    answer = await api.call(account, "POST", "/subscriptions", json=HOOK | said)
    assert answer.body["errors"][0]["problem"].startswith(meant)


async def test_a_subscription_says_how_much_waits_for_it(api: Api, account: str) -> None:
    """A dead letter waits no more; sent again, it does."""
    hook = await _dead(api, account)
    assert (await api.call(account, "GET", f"/subscriptions/{hook}")).body["waiting"] == 0
    await api.call(account, "POST", f"/subscriptions/{hook}/recover")
    assert (await api.call(account, "GET", f"/subscriptions/{hook}")).body["waiting"] == 1


async def test_after_its_overlap_a_replaced_key_is_shown_no_more(api: Api, account: str) -> None:
    made = (await api.call(account, "POST", "/subscriptions", json=HOOK | {"signature": "ed25519"})).body
    path = f"/subscriptions/{made['id']}"
    rotated = (await api.call(account, "POST", f"{path}/rotate", json={"overlap_h": 0.0003})).body
    assert rotated["public_keys"][1:] == made["public_keys"]
    await asyncio.sleep(1.1)
    shown = (await api.call(account, "GET", path)).body
    assert (shown["public_keys"], shown["overlap_until"]) == (rotated["public_keys"][:1], None)


LIFE = {
    "url": "https://receiver.example/hook",
    "statuses": ["delivered"],
    "payload": "thin",
    "signature": "ed25519",
    "headers": {"Authorization": "Bearer s3cret"},
    "concurrency": 4,
    "rate": 2.5,
    "paused": True,
}


async def test_a_subscription_tells_all_of_itself_but_its_secrets(api: Api, account: str, store: Store) -> None:
    made = (await api.call(account, "POST", "/subscriptions", json=LIFE)).body
    assert made.pop("secret") is None
    [public] = made["public_keys"]
    assert public.startswith("whpk_")
    assert made["headers"] == ["Authorization"]
    assert {name: made[name] for name in ("statuses", "payload", "signature", "concurrency", "rate", "paused")} == {
        name: LIFE[name] for name in ("statuses", "payload", "signature", "concurrency", "rate", "paused")
    }
    assert (made["state"], made["why"], made["overlap_until"]) == ("paused", None, None)
    assert made["since"] is not None
    listed = (await api.call(account, "GET", "/subscriptions")).body["subscriptions"]
    assert listed == [made]
    [kept] = (await store.records("subscription", account)).values()
    assert b"s3cret" not in kept
    going = await api.call(account, "PATCH", f"/subscriptions/{made['id']}", json={"paused": False, "rate": None})
    assert (going.body["state"], going.body["since"], going.body["rate"], going.body["concurrency"]) == (
        "active",
        None,
        None,
        4,
    )


async def test_a_rotation_tells_the_new_secret_and_when_the_old_one_ends(api: Api, account: str) -> None:
    id = (await api.call(account, "POST", "/subscriptions", json=HOOK)).body["id"]
    rotated = await api.call(account, "POST", f"/subscriptions/{id}/rotate", json={"overlap_h": 2})
    assert rotated.body["secret"].startswith("whsec_")
    assert (
        rotated.body["overlap_until"] == (await api.call(account, "GET", f"/subscriptions/{id}")).body["overlap_until"]
    )
    public = await api.call(account, "POST", f"/subscriptions/{id}/rotate", json={"signature": "ed25519"})
    assert (public.body["secret"], len(public.body["public_keys"])) == (None, 1)
    sent = await api.call(account, "POST", f"/subscriptions/{id}/test", json={"type": "shipment.delivered"})
    assert sent.body["detail"].startswith("shipment.delivered to ")
    refused = await api.call(account, "POST", f"/subscriptions/{id}/test", json={"type": "shipment.eaten"})
    assert refused.body["errors"][0]["field"] == "type"


async def test_a_subscription_that_fails_says_since_when_and_why(api: Api, account: str, store: Store) -> None:
    id = (await api.call(account, "POST", "/subscriptions", json=HOOK)).body["id"]
    await store.put_record("failing", account, id, b'{"since": 1795687200000, "why": "answered 500"}')
    shown = (await api.call(account, "GET", f"/subscriptions/{id}")).body
    assert (shown["state"], shown["since"], shown["why"]) == ("failing", "2026-11-26T10:00:00Z", "answered 500")
    off = (await api.call(account, "PATCH", f"/subscriptions/{id}", json={"enabled": False})).body
    assert (off["state"], off["since"] is not None, off["why"]) == ("disabled", True, None)


async def _dead(api: Api, account: str) -> str:
    """One change that died at a subscription of the account; the subscription's id."""
    store = api.store
    made = await api.call(account, "POST", "/subscriptions", json={"url": "https://receiver.example/hook"})
    hook: str = made.body["id"]
    await api.call(account, "POST", "/shipments", json={"waybill": "AC000001", "carrier": "acme"})
    for shard in range(store.shards):
        cursor, entries = await store.unfanned(shard)
        if entries:
            refs = [LaneRef(hook, account, entry.id, entry.revision, entry.kind) for entry in entries]
            assert (await store.fan_out(shard, cursor, entries[-1].position, refs)).moved
    [delivery] = await store.claim_lanes("claim", free={}, default_free=5, limit=10, lease_ms=60_000)
    log = msgspec.json.encode(ATTEMPT)
    await store.settle_lanes([Settlement(delivery=delivery, outcome=Outcome.DEAD, detail="500 for 75 h", log=log)])
    return hook


async def test_a_dead_letter_is_seen_with_its_body_and_goes_out_again(api: Api, account: str) -> None:
    hook = await _dead(api, account)
    [letter] = (await api.call(account, "GET", f"/dead-letters?destination={hook}")).body["dead_letters"]
    assert (letter["destination"], letter["type"], letter["detail"]) == (hook, "shipment.registered", "500 for 75 h")
    assert letter["body"]["data"]["shipment"]["waybill"] == "AC000001"
    assert (await api.call(account, "GET", "/dead-letters?destination=orders")).body["dead_letters"] == []
    log = (await api.call(account, "GET", f"/subscriptions/{hook}/deliveries")).body["deliveries"]
    assert log == [ATTEMPT]
    stranger = await api.account()
    body = {"ids": [letter["id"]]}
    assert (await api.call(stranger, "POST", "/dead-letters/replay", json=body)).body == {"replayed": 0}
    await api.call(account, "PATCH", f"/subscriptions/{hook}", json={"enabled": False})
    assert (await api.call(account, "POST", "/dead-letters/replay", json=body)).body == {"replayed": 0}
    await api.call(account, "PATCH", f"/subscriptions/{hook}", json={"enabled": True})
    assert (await api.call(account, "POST", "/dead-letters/replay", json=body)).body == {"replayed": 1}
    assert (await api.call(account, "GET", "/dead-letters")).body["dead_letters"] == []


async def test_a_dead_letter_of_an_order_store_that_is_off_stays(api: Api, account: str) -> None:
    """In its lanes it would be passed over, and be gone."""
    shop = (await api.call(account, "POST", "/order-stores", json=QUIET)).body["id"]
    lanes = Lanes(api.store, f"store:{shop}")
    await api.call(
        account, "POST", "/shipments", json={"waybill": "AC000001", "carrier": "acme", "order_number": "A-1"}
    )
    await lanes.fan_out()
    assert len(await lanes.settle(Outcome.DEAD)) == 1
    [letter] = (await api.call(account, "GET", f"/dead-letters?destination={shop}")).body["dead_letters"]
    for enabled, replayed in ((False, 0), (True, 1)):
        await api.call(account, "PATCH", f"/order-stores/{shop}", json={"enabled": enabled})
        answer = await api.call(account, "POST", "/dead-letters/replay", json={"ids": [letter["id"]]})
        assert answer.body == {"replayed": replayed}


async def test_a_body_in_quarantine_is_read_whole_and_dropped(api: Api, account: str) -> None:
    store = api.store
    kept = [quarantined("acme", "con_1/push", body, {}, reason="no JSON", now=NOW) for body in (b"<html>", b"\xff\x00")]
    text_id, raw_id = [await store.quarantine(account, entry.encode()) for entry in kept]
    listed = (await api.call(account, "GET", "/quarantine")).body["quarantine"]
    assert {one["id"] for one in listed} == {text_id, raw_id}
    assert (await api.call(account, "GET", f"/quarantine/{text_id}")).body["entry"]["text"] == "<html>"
    assert (await api.call(account, "GET", f"/quarantine/{raw_id}")).body["entry"]["body"] == "/wA="
    assert (await api.call(account, "DELETE", f"/quarantine/{text_id}")).status == 204
    assert (await api.call(account, "DELETE", f"/quarantine/{text_id}")).status == 404


async def test_the_quarantine_is_emptied_by_carrier_or_whole(api: Api, account: str) -> None:
    store = api.store
    for carrier in ("acme", "acme", "bolt", "bolt", "bolt"):
        await store.quarantine(account, quarantined(carrier, "con_1/push", b"<html>", {}, reason="", now=NOW).encode())
    emptied = await api.call(account, "DELETE", "/quarantine?carrier=acme")
    assert (emptied.status, emptied.body) == (200, {"dropped": 2, "more": False})
    left = (await api.call(account, "GET", "/quarantine")).body["quarantine"]
    assert [one["entry"]["carrier"] for one in left] == ["bolt"] * 3
    assert (await api.call(account, "DELETE", "/quarantine")).body == {"dropped": 3, "more": False}


async def test_carriers_say_what_a_connection_must_hold(api: Api, account: str) -> None:
    carriers = (await api.call(account, "GET", "/carriers")).body["carriers"]
    assert [(carrier["slug"], carrier["adapter"]) for carrier in carriers] == [
        ("acme", True),
        ("bolt", True),
        ("courier-post", False),
        ("zto", False),
    ]
    zto = carriers[-1]
    assert (zto["name"], zto["name_zh"], zto["country"]) == ("ZTO Express", "中通快递", "CN")
    assert (zto["zone"], zto["site"]) == ("Asia/Shanghai", "https://www.zto.com")
    assert carriers[-2]["country"] is None
    acme = (await api.call(account, "GET", "/carriers/acme")).body
    assert [(one["name"], one["required"]) for one in acme["credentials"]] == [("app_key", True), ("note", False)]
    assert (await api.call(account, "GET", "/carriers/acne")).status == 404


async def test_nothing_of_a_deleted_account_is_left(api: Api, account: str) -> None:
    await _dead(api, account)
    await api.call(account, "PUT", "/orders/SO-1", json={})
    await api.services.accounts.first_start(now=NOW)
    assert (await api.call("default", "DELETE", f"/accounts/{account}")).status == 204
    assert await api.services.orders.get(account, "SO-1") is None
    store = api.store
    assert await store.page(account) == ([], None)
    for kind in ("account", "key", "subscription"):
        assert await store.records(kind, account) == {}
