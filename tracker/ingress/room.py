"""Room for large bodies: what all of them take together is bounded, whoever sends them and however slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tracker.ingress.addresses import Addresses

SMALL = 64 * 1024  # bytes of a body that are read whoever else sends one
_LARGE = 96  # beyond that at once in this process: each may have two megabytes, and as much again while it is read
_LARGE_OF_ONE = 24  # of them from one address

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Room:
    """Places for requests with large bodies; each is kept until its answer is there, since so long the body is."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._places = asyncio.Semaphore(_LARGE)
        self._of: dict[str, asyncio.Semaphore] = {}
        self._there: dict[str, int] = {}

    async def enter(self, request: web.Request) -> None:
        """Wait for a place; who reads a body says for how long."""
        address = self._addresses.of(request)
        own = self._of.setdefault(address, asyncio.Semaphore(_LARGE_OF_ONE))
        self._there[address] = self._there.get(address, 0) + 1
        try:
            await own.acquire()
            try:
                await self._places.acquire()
            except BaseException:
                own.release()
                raise
        except BaseException:
            self._left(address)
            raise
        request[_PLACE] = address

    def leave(self, request: web.Request) -> None:
        """Its answer is there."""
        address = request.get(_PLACE)
        if address is not None:
            self._places.release()
            self._of[address].release()
            self._left(address)

    def _left(self, address: str) -> None:
        self._there[address] -= 1
        if not self._there[address]:
            del self._there[address], self._of[address]


ROOM = web.AppKey("room", Room)
_PLACE = web.RequestKey("place", str)


@web.middleware
async def with_room(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the place of a large body back when the request is answered."""
    try:
        return await handler(request)
    finally:
        if room := request.config_dict.get(ROOM):
            room.leave(request)
