"""What order platforms push to us: `POST /order-stores/{id}/{secret}`. A waybill of a new fulfilment is followed.

Verified on the raw bytes before anything reads them. What can't be registered, and what can't be read, is kept in
quarantine and acknowledged: pushed again, it would be no better, and platforms stop pushing where they are refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import msgspec
import structlog
from aiohttp import web
from msgspec import Struct, structs

from carriers.sdk import ParseError, Push, Verify
from tracker.catalogue import named
from tracker.detect import Hints, decided, detect
from tracker.ingest.types import Registered, Registration
from tracker.ingress.bodies import when_read
from tracker.ingress.bounds import Bounds
from tracker.model import Details, Document, Shipment
from tracker.order_stores import OrderStore, OrderStores
from tracker.order_stores.sdk import Fulfilment, Platform
from tracker.path_secrets import opens
from tracker.quarantine import Quarantined, quarantined
from tracker.store.types import Conflict, Gone, StoreDown
from webhooks.pushes import (
    ANSWERED_WITHIN_S,
    Quarantine,
    RefusedPush,
    problem,
    read_push,
    too_many_guesses,
    too_many_pushes,
    weight_of,
)

PATH = "/order-stores/{id}/{secret}"
_FOUND = "/backfill"  # how the source of what the platform said when it was asked ends

log = structlog.get_logger()


class Door(Protocol):
    """The one door, as fulfilments need it."""

    async def register(self, account: str, wanted: Sequence[Registration], *, now: int) -> list[Registered]: ...
    async def amend(self, account: str, id: str, change: Callable[[Document], Document], *, now: int) -> Shipment: ...


class Followed(Struct, frozen=True):
    """What became of some fulfilments: so many are new here, and those that can't be followed, each with why."""

    created: int = 0
    wrong: Sequence[tuple[Fulfilment, str]] = ()


class Fulfilments:
    """The handler of platforms' pushes, and of what they say when they are asked.

    `hints` helps to find carriers, `known` are the slugs that there are.

    `quarantined` counts the bodies that were kept, by platform.
    """

    def __init__(
        self,
        door: Door,
        store: Quarantine,
        order_stores: OrderStores,
        hints: Callable[[str], Awaitable[Hints]],
        known: Callable[[], Collection[str]],
        *,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.time,
        quarantined: Callable[[str], None] = lambda platform: None,
    ) -> None:
        self._door = door
        self._store = store
        self._order_stores = order_stores
        self._hints = hints
        self._known = known
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._quarantined = quarantined

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [web.post(PATH, self.take, expect_handler=when_read)]

    async def take(self, request: web.Request) -> web.Response:
        """Answer one push."""
        try:
            order_store, platform = await self._addressed(request)
            push = await read_push(request)
            if platform.greeting is None or not platform.greeting(push):
                self._check_genuine(request, push, order_store, platform)
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    await self._hear(push, order_store, platform)
            return web.Response()
        except RefusedPush as error:
            return error.answer()
        except Gone:
            return problem(404, "not_found", "there is no such order store")
        except (StoreDown, Conflict, TimeoutError) as error:
            log.warning("fulfilment.not_taken", error=str(error))
            return problem(503, "store_unavailable", "nothing was taken in: send it again")

    async def _addressed(self, request: web.Request) -> tuple[OrderStore, Platform]:
        order_store = await self._order_stores.find(request.match_info["id"])
        platform = self._order_stores.platform_of(order_store) if order_store else None
        if order_store is None or not order_store.enabled or platform is None or platform.fulfilments is None:
            self._bounds.unproved(request)
            raise RefusedPush(404, "not_found", "there is no such order store")
        if wait := self._bounds.wait_s(request, order_store.id, guessing=order_store.id):
            raise too_many_guesses(wait)
        if not opens(request.match_info["secret"], order_store, now=round(self._clock() * 1000)):
            self._bounds.guessed(request, guessing=order_store.id)
            raise RefusedPush(401, "wrong_secret", "the secret in the address is wrong")
        return order_store, platform

    def _check_genuine(self, request: web.Request, push: Push, order_store: OrderStore, platform: Platform) -> None:
        """Raise RefusedPush for a push that is not the platform's, or one too many."""
        if platform.verify is not None and not _verified(platform.verify, push, order_store):
            self._bounds.unproved(request)
            detail = "the signature does not fit the body, or the order store holds no webhook_secret"
            raise RefusedPush(401, "wrong_signature", detail)
        self._bounds.proved(request, order_store.id)
        standing = self._bounds.pushes.take(order_store.id, weight_of(push))
        if standing.wait_s:
            raise too_many_pushes(standing.wait_s)

    async def _hear(self, push: Push, order_store: OrderStore, platform: Platform) -> None:
        """Register what it names; returns when that is on disk, or the body is in quarantine."""
        now = round(self._clock() * 1000)
        found, unread = _read(push, platform)
        wrong = [unread] if unread else [why for _, why in (await self._register(order_store, found, now)).wrong]
        if wrong:
            await self._keep(order_store, "/push", push, "; ".join(wrong), now)

    async def follow(self, order_store: OrderStore, found: Sequence[Fulfilment]) -> Followed:
        """Follow what a platform told of when it was asked, as if it had pushed it."""
        return await self._register(order_store, found, round(self._clock() * 1000))

    async def keep(self, order_store: OrderStore, one: Fulfilment, reason: str) -> None:
        """Keep such a fulfilment that can't be followed in quarantine."""
        push = Push(headers={"content-type": "application/json"}, query={}, body=msgspec.json.encode(one))
        await self._keep(order_store, _FOUND, push, reason, round(self._clock() * 1000))

    async def _keep(self, order_store: OrderStore, how: str, push: Push, reason: str, now: int) -> None:
        entry = quarantined(order_store.platform, order_store.id + how, push.body, push.headers, reason=reason, now=now)
        await self._store.quarantine(order_store.account, entry.encode())
        self._quarantined(order_store.platform)
        log.warning("fulfilment.quarantined", order_store=order_store.id, reason=reason[:300])

    async def again(self, account: str, body: Quarantined, *, dry: bool) -> bool:
        """Whether each waybill that a kept body names can be followed now; not `dry`: then they are."""
        order_store = await self._order_stores.find(body.source.partition("/")[0])
        platform = self._order_stores.platform_of(order_store) if order_store else None
        if order_store is None or order_store.account != account or platform is None or platform.slug != body.carrier:
            return False
        found, unread = _read_again(body, platform)
        if unread:
            return False
        if dry:
            hints = await self._hints(account)
            return all(self._carrier(one, hints) for one in found)
        return not (await self.follow(order_store, found)).wrong

    async def _register(self, order_store: OrderStore, found: Sequence[Fulfilment], now: int) -> Followed:
        """Follow each waybill under its order."""
        if not found:
            return Followed()
        hints = await self._hints(order_store.account)
        wanted = [self._registration(order_store, one, hints) for one in found]
        done = await self._door.register(order_store.account, wanted, now=now)
        for one, registered in zip(wanted, done, strict=True):
            if registered.shipment and not registered.created:
                await self._join(order_store, registered.shipment, one.details.order_number, now)
        wrong = [(each[0], _why_not(*each)) for each in zip(found, wanted, done, strict=True) if each[2].error]
        return Followed(sum(one.created for one in done), wrong)

    def _registration(self, order_store: OrderStore, one: Fulfilment, hints: Hints) -> Registration:
        details = Details(
            order_number=one.order_number, shop=order_store.shop, phone_tail=one.phone_tail, postal_code=one.postal_code
        )
        return Registration(waybill=one.waybill, carrier=self._carrier(one, hints), details=details)

    def _carrier(self, one: Fulfilment, hints: Hints) -> str:
        """By its name, else by the number where that tells clearly; "" is refused at the door."""
        by_name = named(one.carrier)
        if by_name in self._known():
            return by_name
        return decided(detect(one.waybill, hints), hints.connected) or ""

    async def _join(self, order_store: OrderStore, shipment: Shipment, order_number: str, now: int) -> None:
        """A waybill that was followed before, under no order, joins the one that names it."""
        details = shipment.document.details
        if details.order_number:
            return
        joined = structs.replace(details, order_number=order_number, shop=details.shop or order_store.shop)
        await self._door.amend(
            order_store.account, shipment.document.id, lambda doc: structs.replace(doc, details=joined), now=now
        )


def _why_not(said: Fulfilment, wanted: Registration, done: Registered) -> str:
    if wanted.carrier:
        return f"{wanted.waybill}: {done.error}"
    return f"{wanted.waybill}: carrier: {said.carrier[:64]!r} is no carrier that we know, and the number tells none"


def _read_again(body: Quarantined, platform: Platform) -> tuple[Sequence[Fulfilment], str]:
    """The same of a body that was kept, or the fulfilment that was found."""
    if body.source.endswith(_FOUND):
        return (msgspec.json.decode(body.raw, type=Fulfilment),), ""
    return _read(Push(headers=body.headers, query={}, body=body.raw), platform)


def _read(push: Push, platform: Platform) -> tuple[Sequence[Fulfilment], str]:
    """What a push says, or why it can't be read."""
    assert platform.fulfilments
    try:
        return platform.fulfilments(push), ""
    except ParseError as error:
        return (), str(error)
    except Exception as error:  # promised never to happen, and the body is worth more than the promise
        log.exception("fulfilment.platform_broken", platform=platform.slug)
        return (), f"platform: {type(error).__name__}"


def _verified(verify: Verify, push: Push, order_store: OrderStore) -> bool:
    try:
        return verify(push, order_store.credentials)
    except ValueError:  # a header that is no text at all
        return False
