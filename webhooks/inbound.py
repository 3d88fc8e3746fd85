"""What carriers push to us: `POST /hooks/{connection_id}[/{path_secret}]`, and the GET by which some try the address.

Verified on the raw bytes before anything reads them; answered with 2xx only when what was said is on disk. A body that
can't be read is kept in quarantine and acknowledged: pushed again, it would be no better.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog
from aiohttp import web

from carriers.sdk import Answer, Carrier, ParseError, Push, Report
from tracker.connections.connection import Connection
from tracker.connections.kept import Connections
from tracker.ingest.cleaning import fingerprint
from tracker.ingest.types import Hearing
from tracker.ingress.bodies import when_read
from tracker.ingress.bounds import Bounds
from tracker.path_secrets import opens
from tracker.quarantine import quarantined
from tracker.store.types import Conflict, Gone, StoreDown
from webhooks.pushes import (
    ANSWERED_WITHIN_S,
    Quarantine,
    RefusedPush,
    push_of,
    read_push,
    too_many_guesses,
    too_many_pushes,
    weight_of,
)
from webhooks.replays import Replays, Stale

PATH = "/hooks/{connection}"

log = structlog.get_logger()


class Observer(Protocol):
    """Who counts; `outcome`: accepted, quarantined, repeated, refused, limited, unavailable."""

    def intake(self, carrier: str, outcome: str, seconds: float) -> None: ...
    def quarantined(self, carrier: str) -> None: ...


Heard = Callable[[str, str, bytes, Sequence[Report]], None]  # account, carrier, a body and what was read there


class Inbound:
    """The handler of carriers' pushes."""

    def __init__(
        self,
        ingest: Hearing,
        store: Quarantine,
        connections: Connections,
        observer: Observer,
        *,
        heard: Heard = lambda account, carrier, body, reports: None,
        bounds: Bounds | None = None,
        replays: Replays | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ingest = ingest
        self._store = store
        self._connections = connections
        self._observer = observer
        self._body_heard = heard
        self._bounds = bounds or Bounds()
        self._replays = replays
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.post(PATH, self.take, expect_handler=when_read),
            web.post(PATH + "/{secret}", self.take, expect_handler=when_read),
            web.get(PATH + "/{secret}", self.greet, allow_head=False),
        ]

    async def take(self, request: web.Request) -> web.Response:
        """Answer one push."""
        started = time.perf_counter()
        carrier = push = None
        try:
            connection, carrier = await self._addressed(request)
            push, mark = await self._genuine(request, connection, carrier)
            standing = self._bounds.pushes.take(connection.id, weight_of(push))
            if standing.wait_s:
                outcome, response = "limited", self._not_now(carrier, push, too_many_pushes(standing.wait_s))
            else:
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    outcome = await self._heard_once(push, mark, connection, carrier)
                response = _answer(*(_answer_of(carrier, push, True, self._now()) or (200, "", b"")))
        except RefusedPush as error:
            outcome, response = "refused", error.answer()
        except Gone:  # its account was deleted a moment ago
            outcome, response = "refused", _unknown().answer()
        except (StoreDown, Conflict, TimeoutError) as error:
            why = str(error) or f"not written within {ANSWERED_WITHIN_S:g} s"
            log.warning("push.not_taken", carrier=carrier.slug if carrier else "", error=why)
            outcome, response = "unavailable", self._not_now(carrier, push, _away())
        self._observer.intake(carrier.slug if carrier else "", outcome, time.perf_counter() - started)
        return response

    async def greet(self, request: web.Request) -> web.Response:
        """Answer the GET by which a carrier tries the address, where it does such a thing."""
        try:
            connection, carrier = await self._addressed(request)
            self._check_secret(request.match_info["secret"], request, connection)
            if carrier.greet is None:
                raise RefusedPush(405, "not_tried", f"{carrier.slug} pushes with POST", {"Allow": "POST"})
            answer = carrier.greet(push_of(request, b""), connection.credentials)
            if answer is None:
                self._bounds.unproved(request)
                raise RefusedPush(401, "wrong_signature", "the signature does not fit the query")
            return _answer(*answer)
        except RefusedPush as error:
            return error.answer()
        except StoreDown:
            return _away().answer()

    def _now(self) -> int:
        return round(self._clock() * 1000)

    def _not_now(self, carrier: Carrier | None, push: Push | None, refusal: RefusedPush) -> web.Response:
        """The refusal, and in its body the carrier's own no where it has one."""
        response = refusal.answer()
        told = _answer_of(carrier, push, False, self._now()) if carrier and push else None
        if told is not None:
            _, response.headers["Content-Type"], response.body = told
        return response

    # ------------------------------------------------------------ who speaks

    async def _addressed(self, request: web.Request) -> tuple[Connection, Carrier]:
        connection = await self._connections.find(request.match_info["connection"])
        carrier = self._connections.carrier_of(connection) if connection else None
        if connection is None or carrier is None or not connection.enabled:
            self._bounds.unproved(request)
            raise _unknown()
        return connection, carrier

    async def _genuine(self, request: web.Request, connection: Connection, carrier: Carrier) -> tuple[Push, bytes]:
        """The push as its raw bytes, once it has proved where it comes from; and its mark, for `_heard_once`."""
        secret = request.match_info.get("secret")
        self._check_secret(secret, request, connection)
        if secret is None and carrier.verify is None:
            raise RefusedPush(401, "no_secret", f"{carrier.slug} signs nothing: its address must end in the secret")
        push = await read_push(request)
        if carrier.verify is not None and not _verified(carrier, push, connection.credentials):
            self._bounds.unproved(request)
            raise RefusedPush(401, "wrong_signature", "the signature does not fit the body")
        try:
            mark = self._replays.mark(carrier, push, self._clock()) if self._replays else b""
        except Stale as error:
            log.warning("push.stale", carrier=carrier.slug, connection=connection.id, why=str(error))
            raise RefusedPush(401, "stale_signature", f"this push {error}; is the clock right?") from None
        self._bounds.proved(request, connection.id)
        return push, mark

    def _check_secret(self, secret: str | None, request: web.Request, connection: Connection) -> None:
        """Refuse a wrong secret of the address, and whoever has tried too many."""
        if wait := self._bounds.wait_s(request, connection.id, guessing=connection.id):
            raise too_many_guesses(wait)
        if secret is not None and not opens(secret, connection, now=self._now()):
            self._bounds.guessed(request, guessing=connection.id)
            raise RefusedPush(401, "wrong_secret", "the secret in the address is wrong")

    # ------------------------------------------------------------ what it says

    async def _heard_once(self, push: Push, mark: bytes, connection: Connection, carrier: Carrier) -> str:
        """As `_heard`; the very same push again, where its carrier signs a time, is acknowledged unread."""
        if not mark or self._replays is None:
            return await self._heard(push, connection, carrier)
        if await self._replays.repeated(connection, mark):
            return "repeated"
        outcome = await self._heard(push, connection, carrier)
        await self._replays.taken(connection, carrier, mark)
        return outcome

    async def _heard(self, push: Push, connection: Connection, carrier: Carrier) -> str:
        """Take the body in; returns when it is on disk, in timelines, parked or in quarantine."""
        now = self._now()
        try:
            reports = carrier.parse(push.body, push.content_type)
        except ParseError as error:
            return await self._keep(push, connection, str(error), now)
        except Exception as error:  # promised never to happen, and the body is worth more than the promise
            log.exception("push.adapter_broken", carrier=carrier.slug, connection=connection.id)
            return await self._keep(push, connection, f"adapter: {type(error).__name__}", now)
        self._body_heard(connection.account, carrier.slug, push.body, reports)
        received = await self._ingest.receive(
            connection.account,
            connection.pushes,
            carrier,
            reports,
            fingerprint=fingerprint(push.body),
            now=now,
            register=connection.auto_register,
        )
        await self._connections.note_heard(connection, now=now)
        if received.overfull:  # kept all the same: what got its 2xx is on disk
            why = f"more scans than are kept of one parcel: {received.overfull[0]}"
            return await self._keep(push, connection, why, now)
        return "accepted"

    async def _keep(self, push: Push, connection: Connection, reason: str, now: int) -> str:
        entry = quarantined(connection.carrier, connection.pushes, push.body, push.headers, reason=reason, now=now)
        await self._store.quarantine(connection.account, entry.encode())
        self._observer.quarantined(connection.carrier)
        log.warning("push.quarantined", carrier=connection.carrier, connection=connection.id, reason=reason[:300])
        return "quarantined"


def _unknown() -> RefusedPush:
    return RefusedPush(404, "not_found", "there is no such connection")


def _away() -> RefusedPush:
    return RefusedPush(503, "store_unavailable", "nothing was taken in: send it again")


def _verified(carrier: Carrier, push: Push, credentials: Mapping[str, str]) -> bool:
    assert carrier.verify is not None
    try:
        return carrier.verify(push, credentials)
    except ValueError:  # a header or a form that is no text at all
        return False


# ---------------------------------------------------------------- answers


def _answer_of(carrier: Carrier, push: Push, accepted: bool, now: int) -> Answer | None:
    """What the carrier takes for a yes, or for a no; None where any answer will do."""
    if carrier.respond:
        return carrier.respond(push, accepted, now)
    return carrier.acknowledge(accepted) if carrier.acknowledge else None


def _answer(status: int, content_type: str, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, headers={"Content-Type": content_type} if content_type else None)
