"""An address that is changed: what is sent there beside a request, and shown to nobody, is given again."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from .everything import ORDER_STORE
from .world import Api

HELD: dict[str, tuple[dict[str, Any], str, str]] = {  # what is made, the field of its address and of its secrets
    "connections": (
        {"carrier": "acme", "credentials": {"app_key": "k"}, "base": "https://api.acme.example/v1"},
        "base",
        "credentials",
    ),
    "order-stores": (ORDER_STORE, "base", "credentials"),
    "subscriptions": ({"url": "https://shop.example/a", "headers": {"Authorization": "x"}}, "url", "headers"),
}


@pytest.mark.parametrize("resource", HELD)
async def test_secrets_go_to_no_host_that_they_were_not_given_for(api: Api, account: str, resource: str) -> None:
    """Whoever may change an address is not shown them, and must not have them sent to an address of his own."""
    body, address, secrets = HELD[resource]
    made = (await api.call(account, "POST", f"/{resource}", json=body)).body
    path, there = f"/{resource}/{made['id']}", str(URL(body[address]).with_path("/b"))
    assert (await api.call(account, "PATCH", path, json={address: there})).status == 200
    for elsewhere in (there.replace("https:", "http:"), there.replace("/b", ":8443/b"), "https://thief.example/b"):
        refused = await api.call(account, "PATCH", path, json={address: elsewhere})
        assert (refused.status, refused.body["errors"][0]["field"]) == (422, secrets), elsewhere
        assert (await api.call(account, "GET", path)).body[address] == there
    moved = {address: "https://new.example/b", secrets: body[secrets]}
    assert (await api.call(account, "PATCH", path, json=moved)).status == 200
