"""Subscriptions: who is told of changes, how the telling went, and telling it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from tracker.accounts import Scope
from tracker.api.checking import cursors, instant
from tracker.api.models.deliveries import DeliveryList, DeliveryQuery, DeliveryView, Recovered, Repeat, Repeated, Resent
from tracker.api.models.subscriptions import (
    Example,
    NewSubscription,
    Rotation,
    SecretMade,
    SubscriptionList,
    SubscriptionMade,
    SubscriptionPatch,
    SubscriptionStanding,
    SubscriptionView,
    TestResult,
)
from tracker.api.problems import CURSOR_TOO_OLD, Refusal, not_found
from tracker.api.registering import check_carrier
from tracker.api.route import Call, Routes
from tracker.errors import BadInput
from tracker.store.types import CursorTooOld, Relayed
from tracker.subscribers import Standing, Subscription
from tracker.views import attempts_told, iso

routes = Routes("subscriptions")

_RECOVERED = 1_000  # dead letters at once
_WORDS = {Relayed.KEPT: "kept", Relayed.PUT: "rendered", Relayed.WAITS: "waiting", Relayed.LOST: "lost"}


@routes("GET", "/subscriptions")
async def list_subscriptions(call: Call) -> SubscriptionList:
    """The subscriptions of the account, oldest first, without their signing secrets."""
    found = await call.services.subscriptions.all(call.account)
    standings = await call.services.subscriptions.standings(call.account, found)
    return SubscriptionList(subscriptions=[_view(*pair, call.now) for pair in zip(found, standings, strict=True)])


@routes("POST", "/subscriptions", scope=Scope.WRITE, status=201)
async def create_subscription(call: Call, body: NewSubscription) -> SubscriptionMade:
    """Subscribe an address. Its signing secret (Standard Webhooks, `whsec_…`) is shown this once.

    With the signature `ed25519` there is none to keep: `public_keys` verify.
    """
    _check_carriers(call, body.carriers)
    made, secret = await call.services.subscriptions.create(call.account, **body.model_dump(), now=call.now)
    return SubscriptionMade(**await _shown(call, made), secret=_told(made, secret))


@routes("GET", "/subscriptions/{id}")
async def get_subscription(call: Call, id: str) -> SubscriptionStanding:
    """One subscription, and how much waits for it."""
    shown = await _shown(call, await _one(call, id))
    return SubscriptionStanding(**shown, waiting=await call.services.store.lanes(id))


@routes("PATCH", "/subscriptions/{id}", scope=Scope.WRITE)
async def amend_subscription(call: Call, id: str, body: SubscriptionPatch) -> SubscriptionView:
    """Change a subscription; what is left out stays.

    `headers` are replaced as a whole, and given again with a `url` at another host.

    `paused` keeps what happens and delivers it afterwards; `enabled` false drops what waits and skips what happens.
    """
    await _one(call, id)
    said = body.model_dump(exclude_unset=True)
    _check_carriers(call, said.get("carriers", ()))
    return await _shown(call, await call.services.subscriptions.amend(call.account, id, **said))


@routes("DELETE", "/subscriptions/{id}", scope=Scope.WRITE, status=204)
async def delete_subscription(call: Call, id: str) -> None:
    """Remove a subscription; what waits for it is dropped."""
    await _one(call, id)
    await call.services.subscriptions.remove(call.account, id)


@routes("POST", "/subscriptions/{id}/test", scope=Scope.WRITE, waits=True)
async def test_subscription(call: Call, id: str, body: Example) -> TestResult:
    """Send one signed event now, and say what the receiver answered: `milepost.test`, or an example of a type.

    An example is marked by `"test": true`, and its shipment does not exist. The delivery log has it, marked so too.
    """
    result = await call.services.subscriptions.test(await _one(call, id), body.type, now=call.now)
    return TestResult(
        delivered=result.delivered,
        status=result.status,
        detail=result.detail,
        id=result.id,
        latency_ms=result.latency_ms,
        response=result.head.decode(errors="replace") or None,
    )


@routes("POST", "/subscriptions/{id}/rotate", scope=Scope.WRITE)
async def rotate_secret(call: Call, id: str, body: Rotation) -> SecretMade:
    """Make a new signing secret, shown this once; the one before it signs beside it for `overlap_h` hours."""
    await _one(call, id)
    after, secret = await call.services.subscriptions.rotate(
        call.account, id, overlap_s=int(body.overlap_h * 3600), signature=body.signature
    )
    return SecretMade(
        secret=_told(after, secret), public_keys=list(after.public_keys), overlap_until=_iso(after.overlap_until)
    )


@routes("GET", "/subscriptions/{id}/deliveries")
async def list_deliveries(call: Call, id: str, query: DeliveryQuery) -> DeliveryList:
    """The latest attempts to deliver to a subscription, newest first."""
    await _one(call, id)
    return DeliveryList(deliveries=await _log(call, id, query.limit))


@routes("POST", "/subscriptions/{id}/deliveries/{message}/resend", scope=Scope.WRITE)
async def resend_delivery(call: Call, id: str, message: str) -> Resent:
    """Send a message of the log again, under the same `webhook-id`; one that waits for a retry goes at once.

    The same bytes go out where they are kept; where they are not, the shipment as it stands now, `rendered_anew`.
    """
    became = await call.services.redelivery.message(await _enabled(call, id), message, now=call.now)
    if became is None:
        raise not_found()
    return Resent(result=cast(Any, _WORDS[became]))


@routes("POST", "/subscriptions/{id}/replay", scope=Scope.WRITE, problems=[CURSOR_TOO_OLD])
async def replay_changes(call: Call, id: str, body: Repeat) -> Repeated:
    """Send what the subscription wants of the changes since a time, or after a cursor, again.

    Each goes under its own `webhook-id`: the same bytes where they are kept, else as for one that is resent. A call
    takes `limit` changes; while there is `more`, ask again with `after` set to the `cursor` of the answer.
    """
    subscription = await _enabled(call, id)
    start = await _start(call, body)
    try:
        with cursors(body.after, "after", "say `since`"):
            tally = await call.services.redelivery.after(subscription, start, limit=body.limit, now=call.now)
    except CursorTooOld:
        asked = f"since {body.since}" if body.since else "after that cursor"
        detail = f"some of the changes {asked} are no longer kept (feed.keep_days): ask for a later `since`"
        raise Refusal(CURSOR_TOO_OLD, detail) from None
    return Repeated(
        kept=tally.counts[Relayed.KEPT],
        rendered=tally.counts[Relayed.PUT],
        waiting=tally.counts[Relayed.WAITS],
        lost=tally.counts[Relayed.LOST],
        cursor=tally.cursor,
        more=tally.more,
    )


@routes("POST", "/subscriptions/{id}/recover", scope=Scope.WRITE)
async def recover_subscription(call: Call, id: str) -> Recovered:
    """Put the subscription's dead letters back into their lanes, up to 1,000; ask again while there is `more`."""
    replayed, more = await call.services.redelivery.recover(await _enabled(call, id), _RECOVERED)
    return Recovered(replayed=replayed, more=more)


async def _start(call: Call, body: Repeat) -> str:
    """The cursor from which to repeat."""
    if (body.since is None) == (body.after is None):
        raise BadInput("since", "give one of `since` and `after`")
    if body.after is not None:
        return body.after
    return await call.services.store.cursor_at(instant("since", cast(str, body.since)))


async def _log(call: Call, id: str, limit: int) -> list[DeliveryView]:
    return cast(list[DeliveryView], attempts_told(await call.services.store.delivery_log(call.account, id, limit)))


def _iso(at: int) -> str | None:
    return iso(at) if at else None


def _check_carriers(call: Call, slugs: Sequence[str]) -> None:
    """A filter for a carrier that nobody knows would keep everything back, and nobody would notice."""
    for place, slug in enumerate(slugs):
        check_carrier(call.services.registry, slug, f"carriers[{place}]")


async def _one(call: Call, id: str) -> Subscription:
    found = await call.services.subscriptions.get(call.account, id)
    if found is None:
        raise not_found()
    return found


async def _enabled(call: Call, id: str) -> Subscription:
    found = await _one(call, id)
    if not found.enabled:  # what is sent to it would be dropped
        raise BadInput("enabled", "the subscription is switched off: PATCH it to `true` first", code="disabled")
    return found


def _told(subscription: Subscription, secret: str) -> str | None:
    """A shared secret; a private key stays here."""
    return None if subscription.signature == "ed25519" else secret


async def _shown(call: Call, subscription: Subscription) -> SubscriptionView:
    [standing] = await call.services.subscriptions.standings(call.account, [subscription])
    return _view(subscription, standing, call.now)


def _view(subscription: Subscription, standing: Standing, now: int) -> SubscriptionView:
    alone = 0 < subscription.overlap_until <= now  # what was replaced signs no more
    return SubscriptionView(
        id=subscription.id,
        url=subscription.url,
        types=list(subscription.types),
        shops=list(subscription.shops),
        carriers=list(subscription.carriers),
        statuses=list(subscription.statuses),
        payload=subscription.payload.value,
        signature=subscription.signature.value,
        public_keys=list(subscription.public_keys)[: 1 if alone else None],
        overlap_until=None if alone else _iso(subscription.overlap_until),
        headers=list(subscription.header_names),
        concurrency=subscription.concurrency or None,
        rate=subscription.rate or None,
        description=subscription.description,
        enabled=subscription.enabled,
        paused=subscription.paused,
        disabled_why=subscription.disabled_why,
        state=standing.state,
        since=_iso(standing.since),
        why=standing.why or None,
        failed_in_a_row=standing.failed,
        created_at=iso(subscription.created_at),
    )
