"""Routes: the order of connections for a carrier, set, shown, refused and forgotten."""

from __future__ import annotations

from .world import Api

CONNECTION = {"carrier": "acme", "credentials": {"app_key": "k"}}


async def connect(api: Api, account: str) -> str:
    made = await api.call(account, "POST", "/connections", json=CONNECTION)
    return str(made.body["id"])


async def test_an_order_is_set_shown_and_forgotten(api: Api, account: str) -> None:
    ids = [await connect(api, account), await connect(api, account)]
    said = {"carrier": "acme", "connections": ids[::-1]}
    for _ in range(2):
        answer = await api.call(account, "PUT", "/routes/acme", json={"connections": ids[::-1]})
        assert (answer.status, answer.body) == (200, said)
    assert (await api.call(account, "GET", "/routes")).body == {"routes": [said]}
    assert (await api.call(account, "DELETE", "/routes/acme")).status == 204
    assert (await api.call(account, "GET", "/routes")).body == {"routes": []}
    assert (await api.call(account, "DELETE", "/routes/acme")).status == 404


async def test_a_wrong_order_is_refused_by_field_and_changes_nothing(api: Api, account: str) -> None:
    theirs = await connect(api, await api.account())
    for path, body, field in (
        ("/routes/acme", {"connections": [theirs]}, "connections[0]"),
        ("/routes/acme", {"connections": []}, "connections"),
        ("/routes/nobody", {"connections": [theirs]}, "carrier"),
    ):
        answer = await api.call(account, "PUT", path, json=body)
        assert answer.status == 422
        assert answer.body["errors"][0]["field"] == field
    assert (await api.call(account, "GET", "/routes")).body == {"routes": []}
