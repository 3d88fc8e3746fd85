"""Subscriptions: who is told of changes, and how the telling went."""

from __future__ import annotations

from tracker.accounts import Scope
from tracker.api.models import (
    DeliveryList,
    DeliveryQuery,
    NewSubscription,
    SecretMade,
    SubscriptionList,
    SubscriptionMade,
    SubscriptionPatch,
    SubscriptionView,
    TestResult,
)
from tracker.api.problems import not_found
from tracker.api.quarantine import read_entry
from tracker.api.route import Call, Routes
from tracker.api.services import Subscription
from tracker.views import iso

routes = Routes("subscriptions")


@routes("GET", "/subscriptions")
async def list_subscriptions(call: Call) -> SubscriptionList:
    """The subscriptions of the account, oldest first, without their signing secrets."""
    found = await call.services.subscriptions.all(call.account)
    return SubscriptionList(subscriptions=[_view(one) for one in found])


@routes("POST", "/subscriptions", scope=Scope.WRITE, status=201)
async def create_subscription(call: Call, body: NewSubscription) -> SubscriptionMade:
    """Subscribe an address. Its signing secret (Standard Webhooks, `whsec_…`) is shown this once."""
    made, secret = await call.services.subscriptions.create(call.account, **body.model_dump(), now=call.now)
    return SubscriptionMade(**_view(made), secret=secret)


@routes("GET", "/subscriptions/{id}")
async def get_subscription(call: Call, id: str) -> SubscriptionView:
    """One subscription."""
    return _view(await _one(call, id))


@routes("PATCH", "/subscriptions/{id}", scope=Scope.WRITE)
async def amend_subscription(call: Call, id: str, body: SubscriptionPatch) -> SubscriptionView:
    """Change a subscription; what is left out stays."""
    await _one(call, id)
    return _view(await call.services.subscriptions.amend(call.account, id, **body.model_dump(exclude_unset=True)))


@routes("DELETE", "/subscriptions/{id}", scope=Scope.WRITE, status=204)
async def delete_subscription(call: Call, id: str) -> None:
    """Remove a subscription; what waits for it is dropped."""
    await _one(call, id)
    await call.services.subscriptions.remove(call.account, id)


@routes("POST", "/subscriptions/{id}/test", scope=Scope.WRITE)
async def test_subscription(call: Call, id: str) -> TestResult:
    """Send one signed `milepost.test` event now, and say what the receiver answered."""
    result = await call.services.subscriptions.test(await _one(call, id), now=call.now)
    return TestResult(delivered=result.delivered, status=result.status, detail=result.detail)


@routes("POST", "/subscriptions/{id}/rotate", scope=Scope.WRITE)
async def rotate_secret(call: Call, id: str) -> SecretMade:
    """Make a new signing secret, shown this once; the one before it signs beside it until the next rotation."""
    await _one(call, id)
    return SecretMade(secret=await call.services.subscriptions.rotate(call.account, id))


@routes("GET", "/subscriptions/{id}/deliveries")
async def list_deliveries(call: Call, id: str, query: DeliveryQuery) -> DeliveryList:
    """The latest attempts to deliver to a subscription, newest first."""
    await _one(call, id)
    log = await call.services.store.delivery_log(call.account, id, query.limit)
    return DeliveryList(deliveries=[read_entry(entry) for entry in log])


async def _one(call: Call, id: str) -> Subscription:
    found = await call.services.subscriptions.get(call.account, id)
    if found is None:
        raise not_found()
    return found


def _view(subscription: Subscription) -> SubscriptionView:
    return SubscriptionView(
        id=subscription.id,
        url=subscription.url,
        types=list(subscription.types),
        shops=list(subscription.shops),
        carriers=list(subscription.carriers),
        description=subscription.description,
        enabled=subscription.enabled,
        disabled_why=subscription.disabled_why,
        created_at=iso(subscription.created_at),
    )
