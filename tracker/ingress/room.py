"""Room for large bodies: what all of them take together is bounded, whoever sends them and however slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from msgspec import Struct

from tracker.ingress.addresses import Addresses

SMALL = 64 * 1024  # bytes of a body that are read whoever else sends one
_LARGE = 96  # beyond that at once in this process: each may have two megabytes, and as much again while it is read
_LARGE_OF_ONE = 24  # of them from one address
_SLOW_S = 5.0  # one that is still coming after so long makes room for one that waits
_AGAIN_S = 1.0  # until the next one has to

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Place(Struct, eq=False):
    """`coming`: the deadline of the body while it is still read, which can be moved; None once it is there."""

    address: str
    since: float
    coming: asyncio.Timeout | None


class Room:
    """Places for requests with large bodies; each is kept until its answer is there, since so long the body is.

    Where somebody waits for a place, the oldest of the bodies that come slowly is cut off, every second.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._places = asyncio.Semaphore(_LARGE)
        self._of: dict[str, asyncio.Semaphore] = {}
        self._there: dict[str, int] = {}
        self._taken: dict[_Place, None] = {}  # in the order of their coming

    async def enter(self, request: web.Request, coming: asyncio.Timeout | None = None) -> None:
        """Wait for a place; who reads a body says for how long. `coming`: the deadline of what is still to be read."""
        if _PLACE in request:
            return
        address = self._addresses.of(request)
        own = self._of.setdefault(address, asyncio.Semaphore(_LARGE_OF_ONE))
        self._there[address] = self._there.get(address, 0) + 1
        try:
            with self._pressing(own, address):
                await own.acquire()
            try:
                with self._pressing(self._places):
                    await self._places.acquire()
            except BaseException:
                own.release()
                raise
        except BaseException:
            self._left(address)
            raise
        place = _Place(address, asyncio.get_running_loop().time(), coming)
        self._taken[place] = None
        request[_PLACE] = place

    def came(self, request: web.Request) -> None:
        """Its body is there, or will not come: it keeps its place until it is answered."""
        if place := request.get(_PLACE):
            place.coming = None

    def leave(self, request: web.Request) -> None:
        """Its answer is there."""
        if place := request.get(_PLACE):
            del self._taken[place]
            self._places.release()
            self._of[place.address].release()
            self._left(place.address)

    @contextmanager
    def _pressing(self, places: asyncio.Semaphore, address: str = "") -> Iterator[None]:
        """While somebody waits for one of the places; those of the address, where it is one of its own."""
        if not places.locked():
            yield
            return
        loop = asyncio.get_running_loop()
        again: asyncio.Handle | None = None

        def press() -> None:
            nonlocal again
            self._cut_off(address, loop.time())
            again = loop.call_later(_AGAIN_S, press)

        press()
        try:
            yield
        finally:
            if again:
                again.cancel()

    def _cut_off(self, address: str, now: float) -> None:
        for place in self._taken:
            if place.since > now - _SLOW_S:
                return
            if place.coming and not place.coming.expired() and address in ("", place.address):
                place.coming.reschedule(now)
                return

    def _left(self, address: str) -> None:
        self._there[address] -= 1
        if not self._there[address]:
            del self._there[address], self._of[address]


ROOM = web.AppKey("room", Room)
_PLACE = web.RequestKey("place", _Place)


@web.middleware
async def with_room(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the place of a large body back when the request is answered."""
    try:
        return await handler(request)
    finally:
        if room := request.config_dict.get(ROOM):
            room.leave(request)
