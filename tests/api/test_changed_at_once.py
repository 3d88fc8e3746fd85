"""What several change at the same moment: no change is lost, and what was removed stays removed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tracker.errors import NotFound
from tracker.store import Store

from .everything import ORDER_STORE
from .world import NOW, Api

CREDENTIALS = {"app_key": "k"}


async def kept(api: Api, kind: str) -> tuple[Any, str, str]:
    """Who keeps the kind, an account, and the id of one of it there."""
    account, services = await api.account(), api.services
    if kind == "subscription":
        hook, _ = await services.subscriptions.create(account, now=NOW, url="https://receiver.example/hook")
        return services.subscriptions, account, hook.id
    if kind == "connection":
        made = await services.connections.create(account, carrier="acme", credentials=CREDENTIALS, now=NOW)
        return services.connections, account, made.id
    shop = await services.order_stores.create(account, now=NOW, **ORDER_STORE)
    return services.order_stores, account, shop.id


KINDS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "subscription": ({"description": "new"}, {"concurrency": 3}, {"shops": ["north"]}, {"paused": True}),
    "connection": ({"name": "new"}, {"enabled": False}, {"auto_register": True}),
    "order_store": ({"name": "new"}, {"enabled": False}, {"shop": "north"}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_secret_that_is_replaced_while_other_things_are_changed_is_the_one_that_was_shown(
    api: Api, kind: str
) -> None:
    """Whoever replaces one that was stolen must not find it in force again."""
    keeper, account, id = await kept(api, kind)
    how = {} if kind == "subscription" else {"now": NOW}
    rotation = keeper.rotate(account, id, overlap_s=0, **how)
    shown, *_ = await asyncio.gather(rotation, *[keeper.amend(account, id, **said) for said in KINDS[kind]])
    after = await keeper.get(account, id)
    if kind == "subscription":
        assert after.secret == shown[0].secret
    else:
        assert after.path_secret == shown.path_secret
    for said in KINDS[kind]:
        for name, value in said.items():
            assert getattr(after, name) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_removed_while_it_is_changed_does_not_come_back(api: Api, store: Store, kind: str) -> None:
    keeper, account, id = await kept(api, kind)
    changes = [keeper.amend(account, id, **said) for said in KINDS[kind]]
    how = {} if kind == "subscription" else {"now": NOW}
    ended = (*changes, keeper.rotate(account, id, overlap_s=0, **how), keeper.remove(account, id))
    told = await asyncio.gather(*ended, return_exceptions=True)
    assert [one for one in told if isinstance(one, Exception) and not isinstance(one, NotFound)] == []
    assert await store.get_record(kind, account, id) is None
    assert await keeper.get(account, id) is None
