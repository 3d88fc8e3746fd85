"""Order stores: the shops and ERPs that are told what became of their orders. What they hold is never shown again."""

from __future__ import annotations

from typing import cast

from tracker.accounts import Scope
from tracker.api.checking import instant
from tracker.api.models.common import AddressMade, AddressRotation, CredentialView
from tracker.api.models.deliveries import DeliveryList, DeliveryQuery, DeliveryView
from tracker.api.models.order_stores import (
    BackfillView,
    BackfillWish,
    NewOrderStore,
    OptionView,
    OrderStoreList,
    OrderStoreMade,
    OrderStorePatch,
    OrderStoreView,
    PlatformList,
    PlatformView,
    ProbeResult,
)
from tracker.api.problems import not_found
from tracker.api.route import Call, Routes
from tracker.errors import BadInput
from tracker.order_stores import OrderStore, Watermark
from tracker.order_stores.sdk import Platform
from tracker.path_secrets import overlap_until
from tracker.views import attempts_told, iso

routes = Routes("order stores")
_FARTHEST_MS = 90 * 86_400_000  # that a round may begin in the past


@routes("GET", "/order-platforms")
async def list_order_platforms(call: Call) -> PlatformList:
    """The platforms that an order store can be of: what each must hold, and the words that it has for our statuses."""
    return PlatformList(platforms=[_platform(one) for one in call.services.platforms])


@routes("GET", "/order-stores")
async def list_order_stores(call: Call) -> OrderStoreList:
    """The order stores of the account, oldest first, without their secrets."""
    marks = await call.services.watermarks.of(call.account)
    found = await call.services.order_stores.all(call.account)
    return OrderStoreList(order_stores=[_view(call, one, marks.get(one.id)) for one in found])


@routes("POST", "/order-stores", scope=Scope.ADMIN, status=201)
async def create_order_store(call: Call, body: NewOrderStore) -> OrderStoreMade:
    """Make an order store: from now on it is told of every change of an order's parcel.

    `webhook_url`, where its platform may push new fulfilments, is shown this once; null where it pushes none.
    """
    made = await call.services.order_stores.create(call.account, **body.model_dump(), now=call.now)
    return OrderStoreMade(**_view(call, made), webhook_url=_webhook_url(call, made))


@routes("GET", "/order-stores/{id}")
async def get_order_store(call: Call, id: str) -> OrderStoreView:
    """One order store."""
    found = await _one(call, id)
    return _view(call, found, (await call.services.watermarks.of(call.account)).get(id))


@routes("PATCH", "/order-stores/{id}", scope=Scope.ADMIN)
async def amend_order_store(call: Call, id: str, body: OrderStorePatch) -> OrderStoreView:
    """Change an order store; credentials, options and statuses are replaced as a whole.

    Credentials are given again with a `base` at another host.
    """
    await _one(call, id)
    amended = await call.services.order_stores.amend(call.account, id, **body.model_dump(exclude_unset=True))
    return _view(call, amended, (await call.services.watermarks.of(call.account)).get(id))


@routes("DELETE", "/order-stores/{id}", scope=Scope.ADMIN, status=204)
async def delete_order_store(call: Call, id: str) -> None:
    """Remove an order store; what waits for it is dropped, and its pushes are refused."""
    await _one(call, id)
    await call.services.order_stores.remove(call.account, id)


@routes("POST", "/order-stores/{id}/rotate", scope=Scope.ADMIN)
async def rotate_order_store_address(call: Call, id: str, body: AddressRotation) -> AddressMade:
    """Make a new `webhook_url`, shown this once; at the one before it pushes are taken too, for `overlap_h` hours."""
    found = await _one(call, id)
    if not call.services.order_stores.takes_pushes(found):
        raise BadInput("id", f"{found.platform} pushes nothing: the order store has no address", code="no_address")
    rotated = await call.services.order_stores.rotate(call.account, id, overlap_s=body.overlap_h * 3600, now=call.now)
    return AddressMade(webhook_url=_webhook_url(call, rotated) or "", overlap_until=_old_until(call, rotated))


@routes("POST", "/order-stores/{id}/test", scope=Scope.WRITE, waits=True)
async def test_order_store(call: Call, id: str) -> ProbeResult:
    """Ask its platform something that changes nothing, with its credentials, and say what came back.

    The delivery log has it too.
    """
    probe = await call.services.order_stores.test(await _one(call, id))
    return ProbeResult(reached=probe.reached, detail=probe.detail)


@routes("POST", "/order-stores/{id}/backfill", scope=Scope.WRITE, status=202)
async def backfill_order_store(call: Call, id: str, body: BackfillWish) -> BackfillView:
    """Have its platform asked at once for waybills that it did not push, and those registered that are not followed.

    It is done in the background: `backfill` of the order store tells how it goes.
    """
    found = await _one(call, id)
    if not call.services.order_stores.can_be_asked(found):
        raise BadInput("id", f"{found.platform} can't be asked what it did not push", code="no_backfill")
    if not found.enabled:
        raise BadInput("id", "the order store is off", code="disabled", status=409)
    since = None if body.since is None else instant("since", body.since)
    if since is not None and not call.now - _FARTHEST_MS <= since <= call.now:
        raise BadInput("since", f"{body.since} is not within the last {_FARTHEST_MS // 86_400_000} days")
    first = call.now - round(call.services.settings.first_backfill_s * 1000)
    return _backfill(await call.services.watermarks.ask(found, first=first, since=since, now=call.now), call.now)


@routes("GET", "/order-stores/{id}/deliveries")
async def list_order_store_deliveries(call: Call, id: str, query: DeliveryQuery) -> DeliveryList:
    """The latest attempts to tell an order store, newest first; `status` is always null."""
    store = await _one(call, id)
    log = await call.services.store.delivery_log(call.account, store.destination, query.limit)
    return DeliveryList(deliveries=cast(list[DeliveryView], attempts_told(log)))


async def _one(call: Call, id: str) -> OrderStore:
    found = await call.services.order_stores.get(call.account, id)
    if found is None:
        raise not_found()
    return found


def _webhook_url(call: Call, store: OrderStore) -> str | None:
    if not call.services.order_stores.takes_pushes(store):
        return None
    template = call.services.settings.fulfilment_url
    return template.replace("{id}", store.id).replace("{secret}", store.path_secret)


def _view(call: Call, store: OrderStore, mark: Watermark | None = None) -> OrderStoreView:
    return OrderStoreView(
        id=store.id,
        platform=store.platform,
        name=store.name,
        base=store.base,
        credentials=sorted(store.credentials),
        options=dict(store.options),
        statuses=dict(store.statuses),
        shops=list(store.shops),
        shop=store.shop,
        enabled=store.enabled,
        created_at=iso(store.created_at),
        old_address_until=_old_until(call, store),
        backfill=_backfill(mark, call.now) if mark else None,
    )


def _backfill(mark: Watermark, now: int) -> BackfillView:
    return BackfillView(
        since=iso(mark.since),
        under_way=bool(mark.cursor) or mark.held(now) or mark.again_at > 0,
        tried_at=iso(mark.tried_at) if mark.tried_at else None,
        completed_at=iso(mark.done_at) if mark.done_at else None,
        found=mark.found,
        registered=mark.registered,
        failed=mark.failed,
        problem=mark.problem,
    )


def _old_until(call: Call, store: OrderStore) -> str | None:
    until = overlap_until(store, now=call.now)
    return iso(until) if until else None


def _platform(platform: Platform) -> PlatformView:
    return PlatformView(
        slug=platform.slug,
        name=platform.name,
        docs=platform.docs,
        address=platform.address,
        credentials=[
            CredentialView(name=one.name, about=one.about, secret=one.secret, required=one.required)
            for one in platform.credentials
        ],
        options=[OptionView(name=one.name, about=one.about, choices=list(one.choices)) for one in platform.options],
        statuses={one.value: platform.statuses.get(one.value, "") for one in platform.words_for or ()},
        words=sorted(platform.words),
        backfill=platform.recent is not None,
    )
