"""The way out to a platform, for one order store: its address, its pace, and what an answer means for the update."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import msgspec
import structlog

from tracker import __version__
from tracker.carrier_http.patience import Budget
from tracker.order_stores.order_store import OrderStore, Probe
from tracker.order_stores.sdk import Limited, Page, Platform, Refused, Reply, Told, Unavailable, excerpt
from webhooks.guard import Refused as Forbidden
from webhooks.post import retry_after

T = TypeVar("T")

MAX_ANSWER = 2 * 1024 * 1024  # bytes
_LIMITED_S = 5.0  # after a 429 that does not say how long
_LEAST_S = 1.0
_LONGEST = 300  # characters of a problem

log = structlog.get_logger()


class Exit:
    """`sdk.Http` for one order store. `session` is guarded and the caller's."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        store: OrderStore,
        platform: Platform,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._store = store
        self._platform = platform
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._timeout_s = timeout_s
        self._clock = clock
        self._budget = Budget(platform.rate)
        self._held_until = 0.0
        self._token = "", 0.0  # and until when it is used, in seconds since 1970
        self._obtaining = asyncio.Lock()
        defaults = {option.name: option.choices[0] for option in platform.options}
        self.options: Mapping[str, str] = defaults | dict(store.options)

    @property
    def credentials(self) -> Mapping[str, str]:
        return self._store.credentials

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    async def tell(self, told: Told) -> None:
        """Tell the platform; raises Refused, Limited and Unavailable."""
        await self._ask(self._platform.tell(self, told))

    async def probe(self) -> str:
        """Whom it reached; raises as `tell` does."""
        return await self._ask(self._platform.probe(self))

    async def recent(self, since: datetime, cursor: str) -> Page:
        """A page of what it has handed to carriers; raises as `tell` does."""
        assert self._platform.recent
        return await self._ask(self._platform.recent(self, since, cursor))

    async def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        wait = self._held_until - self._clock()
        if wait > 0:  # who comes too early moves the end of the pause no further
            question.close()
            raise Limited("not told: it wants to be asked less often", retry_after_s=wait)
        try:
            return await question
        except Limited as limited:
            self._held_until = self._clock() + max(limited.retry_after_s, _LEAST_S)
            raise
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            # an answer of another shape than its documentation says
            log.warning("platform_unreadable", order_store=self._store.id, platform=self._platform.slug, exc_info=True)
            raise Unavailable(f"its answer can't be read: {type(error).__name__}: {error}"[:_LONGEST]) from None
        finally:
            question.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request, once: whether to send it again is for the lane to decide."""
        body = data if json is None else msgspec.json.encode(json)
        kind = {} if body is None else {"Content-Type": "application/json"}
        said = {"User-Agent": f"Milepost/{__version__}", "Accept": "application/json", **kind, **(headers or {})}
        await self._budget.spend()
        try:
            async with self._session.request(
                method,
                self._store.base.rstrip("/") + path,
                headers=said,
                params=params,
                data=body,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                self._judge(response)
                return Reply(response.status, await _read(response))
        except TimeoutError:
            raise Unavailable(f"no complete answer within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(_unreached(error)) from None

    async def token(self, obtain: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        """The token that is held, or a fresh one, fetched once however many wait for it."""
        async with self._obtaining:
            token, until = self._token
            if self._clock() >= until:
                token, life = await obtain()
                self._token = token, self._clock() + 0.9 * life
            return token

    def _judge(self, response: aiohttp.ClientResponse) -> None:
        """Raise for the answers that adapters never see."""
        status, hint = response.status, response.headers.get("Retry-After")
        if status == 429 or (status == 503 and hint):
            wait = retry_after(hint, self._clock()) or _LIMITED_S
            raise Limited(f"answered {status}: it wants to be asked less often", retry_after_s=wait)
        if status in (401, 403):
            self._token = "", 0.0
            raise Unavailable(f"answered {status}: it does not accept the credentials of this order store")
        if 300 <= status < 400:
            raise Unavailable(f"answered {status}: it is elsewhere, give the order store its own address")
        if status >= 500:
            raise Unavailable(f"answered {status}")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER:
            response.close()
            raise Unavailable(f"its answer is longer than {MAX_ANSWER} bytes: {excerpt(bytes(body[:400]))}")
    return bytes(body)


def _unreached(error: Exception) -> str:
    """What the order store's log says of it, in the words of the webhooks' log."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", error.certificate_error)
        return f"the certificate of {error.host}:{error.port} is not trusted: {why}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _unconnected(error, error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "hung up without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "hung up in the midst of its answer"
    if isinstance(error, aiohttp.ClientResponseError):  # as it writes itself, it names the whole address
        return f"no HTTP/1.1: {error.message.partition(chr(10))[0].rstrip(':')}"[:_LONGEST]
    return f"{type(error).__name__}: {error}"[:_LONGEST]


def _unconnected(error: aiohttp.ClientConnectorError, cause: OSError) -> str:
    where = f"{error.host}:{error.port}"
    if isinstance(cause, Forbidden):
        return str(cause)
    if isinstance(cause, socket.gaierror):
        return f"the name {error.host} has no address"
    if isinstance(cause, ssl.SSLError):
        return f"no TLS with {where}: {cause.reason or cause}"
    return f"can't connect to {where}: {os.strerror(cause.errno) if cause.errno else cause}"


class Exits:
    """The ways out of one process, one for each order store, made anew when the order store changes."""

    def __init__(
        self, session: aiohttp.ClientSession, *, timeout_s: float = 15.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._clock = clock
        self._made: dict[str, tuple[OrderStore, Exit]] = {}

    def of(self, store: OrderStore, platform: Platform) -> Exit:
        """The way out of an order store; its pace lasts as long as the order store stays the same."""
        known = self._made.get(store.id)
        if known and known[0] == store:
            return known[1]
        made = Exit(self._session, store, platform, timeout_s=self._timeout_s, clock=self._clock)
        self._made[store.id] = store, made
        return made

    async def probe(self, store: OrderStore, platform: Platform) -> Probe:
        """Ask an order store something that changes nothing."""
        try:
            return Probe(True, await self.of(store, platform).probe())
        except (Refused, Limited, Unavailable) as error:
            return Probe(False, str(error))
