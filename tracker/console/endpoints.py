"""What the console knows of webhook subscriptions, and what it may do for one that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from tracker.accounts import ApiKey, Scope
from tracker.console import destinations
from tracker.console.destinations import ATTEMPTS, DEAD, Page, page_of
from tracker.console.services import View
from tracker.store.types import Relayed
from tracker.subscribers import Probe, Standing, Subscription, Subscriptions
from tracker.views import iso

_LATELY = 10  # attempts that a standing counts at most
_TEST = "milepost.test"
_WRITERS = {Scope.WRITE, Scope.ADMIN}


class Redelivery(Protocol):
    """What sends again."""

    async def message(self, subscription: Any, message: str, *, now: int) -> Relayed | None: ...
    async def recover(self, subscription: Any, limit: int) -> tuple[int, bool]: ...


class Shelf(destinations.Shelf, Protocol):
    """What is asked of the store."""

    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...


class Endpoints:
    """The subscriptions of an account, for its pages."""

    def __init__(self, store: Shelf, subscriptions: Subscriptions, redelivery: Redelivery) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._redelivery = redelivery

    async def all(self, account: str) -> Sequence[View]:
        """Every subscription, those that need somebody first."""
        found = await self._subscriptions.all(account)
        standings = await self._subscriptions.standings(account, found)
        views = [_view(*pair) for pair in zip(found, standings, strict=True)]
        order = ("disabled", "failing", "failed", "paused", "active")
        return sorted(views, key=lambda view: order.index(view["shown"]))

    async def switched_off(self, account: str) -> int:
        """How many were switched off without anybody's wish: somebody must know."""
        return sum(not one.enabled and bool(one.disabled_why) for one in await self._subscriptions.all(account))

    async def page(self, account: str, id: str) -> Page | None:
        """One subscription, None where the account has no such."""
        subscription = await self._subscriptions.get(account, id)
        if subscription is None:
            return None
        [standing] = await self._subscriptions.standings(account, [subscription])
        log = await self._store.delivery_log(account, id, ATTEMPTS)
        return await page_of(self._store, account, id, _view(subscription, standing), log)

    async def may_write(self, account: str, key_id: str) -> bool:
        """Whether the key that signed in may change anything."""
        key = await self._store.get_record("key", account, key_id) if key_id else None
        return key is not None and bool(_WRITERS & set(msgspec.json.decode(key, type=ApiKey).scopes))

    async def resume(self, account: str, id: str) -> None:
        """Switch it on, and let what waits go out. Raises NotFound."""
        await self._subscriptions.amend(account, id, enabled=True, paused=False)

    async def pause(self, account: str, id: str) -> None:
        """Keep what happens until it is resumed. Raises NotFound."""
        await self._subscriptions.amend(account, id, paused=True)

    async def test(self, account: str, id: str, *, now: int) -> Probe | None:
        """Send a test event now; what was answered, None where there is no such subscription."""
        subscription = await self._subscriptions.get(account, id)
        return None if subscription is None else await self._subscriptions.test(subscription, _TEST, now=now)

    async def recover(self, account: str, id: str) -> int | None:
        """Send its dead letters again; how many went, None where it is switched off or gone."""
        subscription = await self._subscriptions.get(account, id)
        if subscription is None or not subscription.enabled:
            return None
        replayed, _ = await self._redelivery.recover(subscription, DEAD)
        return replayed

    async def resend(self, account: str, id: str, message: str, *, now: int) -> int | None:
        """Send a message of the log again: 1, or 0 where nothing is left of it; None where that can't be asked."""
        subscription = await self._subscriptions.get(account, id)
        if subscription is None or not subscription.enabled:
            return None
        became = await self._redelivery.message(subscription, message, now=now)
        return None if became is None else int(became is not Relayed.LOST)


def _view(subscription: Subscription, standing: Standing) -> Mapping[str, Any]:
    filters = (subscription.types, subscription.statuses, subscription.shops, subscription.carriers)
    return {
        "id": subscription.id,
        "url": subscription.url,
        "description": subscription.description,
        "filters": [word for some in filters for word in some],
        "payload": subscription.payload,
        "signature": subscription.signature,
        "concurrency": subscription.concurrency,
        "rate": subscription.rate,
        "state": standing.state,
        "shown": "failed" if standing.state == "active" and standing.failed else standing.state,
        "failed": f"{standing.failed}+" if standing.failed >= _LATELY else str(standing.failed),
        "since": iso(standing.since) if standing.since else None,
        "why": standing.why,
        "enabled": subscription.enabled,
        "created_at": iso(subscription.created_at),
    }
