"""What every peer can do beside its platform's rules: count, and make trouble."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from aiohttp import web

from tracker.order_stores.conformance import RETRY_AFTER_S, Trouble
from tracker.order_stores.sdk import Platform

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Peer:
    """A server of one platform; subclasses keep its rules in `serve`."""

    platform: Platform
    reads_answers = True

    def __init__(self) -> None:
        self.base = ""
        self.credentials: Mapping[str, str] = {}
        self.seen: list[tuple[str, str]] = []  # method and path of each request
        self.carrier = "SF"  # in whose hands parcels are
        self.moves: Callable[[], None] = lambda: None  # what happens in the shop while a page of its orders is made
        self._trouble: Trouble | None = None
        self._canned: bytes | None = None

    @property
    def requests(self) -> int:
        return len(self.seen)

    def trouble(self, kind: Trouble | None) -> None:
        self._trouble, self._canned = kind, None

    def answer(self, body: bytes) -> None:
        self._canned = body

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        return app

    def sell(self, number: str, waybills: list[str]) -> None:
        """The platform has this order, and has handed these parcels to a carrier."""
        raise NotImplementedError

    def touch(self, number: str, at: datetime) -> None:
        """An order was changed then, for the last time."""
        raise NotImplementedError

    def told(self, number: str, waybill: str) -> list[str]:
        """What the platform keeps of the parcel's way."""
        raise NotImplementedError

    async def serve(self, request: web.Request) -> web.Response:
        """The platform's own answer."""
        raise NotImplementedError

    async def refuse(self, request: web.Request) -> web.Response:
        """How the platform refuses for good; the reason holds the word `refused`."""
        raise NotImplementedError

    def limit(self) -> web.Response:
        """How the platform limits."""
        return web.json_response({"message": "slower"}, status=429, headers={"Retry-After": str(RETRY_AFTER_S)})

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path))
        if self._canned is not None:
            return web.Response(body=self._canned, content_type="application/json")
        made: dict[Trouble, Callable[[], web.Response]] = {
            Trouble.LIMITS: self.limit,
            Trouble.AWAY: lambda: web.Response(status=503, text="<html>Service Unavailable</html>"),
            Trouble.STRANGER: lambda: web.json_response({"message": "who are you?"}, status=401),
            Trouble.ELSEWHERE: lambda: web.Response(status=302, headers={"Location": str(request.url)}),
        }
        if self._trouble in made:
            return made[self._trouble]()
        if self._trouble is Trouble.REFUSES:
            return await self.refuse(request)
        response = await self.serve(request)
        if self._trouble is Trouble.LOSES_REPLIES and self.changes(request):
            assert request.transport
            request.transport.close()
        return response

    def changes(self, request: web.Request) -> bool:
        """Whether what was asked changed anything; only such replies get lost."""
        return request.method != "GET"
