"""The way out to a carrier for one connection, and those of a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Protocol, TypeVar

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from carriers.sdk import Http, Reply
from tracker.carrier_http.errors import CarrierLimited, CarrierRefused, CarrierUnavailable
from tracker.carrier_http.patience import Breaker, Budget, Policy
from tracker.carrier_http.tokens import Obtain, Tokens, Unauthorised

T = TypeVar("T")


class Observer(Protocol):
    """What a connection's way out tells the one who watches."""

    def breaker(self, connection: str, open: bool) -> None: ...


class Access(Protocol):
    """What it needs to know of the connection."""

    @property
    def id(self) -> str: ...
    @property
    def credentials(self) -> Mapping[str, str]: ...


class CarrierHttp:
    """`carriers.sdk.Http` for one connection. `session` is the caller's; it must not follow redirects by itself."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connection: Access,
        *,
        base: str,
        rate: float,
        policy: Policy | None = None,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._connection = connection
        self._base = base.rstrip("/")
        self._policy = policy or Policy()
        self._clock = clock
        self._budget = Budget(rate)
        self._tokens = Tokens(clock)
        self._limited_until = 0.0
        self._limits = 0
        self._observer = observer
        self.breaker = Breaker(self._policy, clock, self._tell)  # does it answer at all?
        self.answers = Breaker(self._policy, clock, self._tell)  # can its answers be used? For whoever reads them

    @property
    def credentials(self) -> Mapping[str, str]:
        return self._connection.credentials

    @property
    def base(self) -> str:
        return self._base

    @property
    def deadline_s(self) -> float:
        """The longest that `ask` takes."""
        return self._policy.deadline_s

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def _tell(self, _: bool) -> None:
        if self._observer:
            self._observer.breaker(self._connection.id, not (self.breaker.closed and self.answers.closed))

    def limit(self, pause_s: float) -> float:
        """Ask nothing for so long (capped); returns the end of it, in seconds since 1970."""
        self._limits += 1
        self._limited_until = self._clock() + min(max(pause_s, 1.0), self._policy.retry_after_max_s)
        return self._limited_until

    async def ask(self, question: Callable[[Http], Awaitable[T]]) -> T:
        """Run an adapter's `fetch` (or `subscribe`, …) under the deadline; after a 401 once more with fresh tokens.

        Raises:
            CarrierUnavailable, CarrierRefused, CarrierLimited: there is no answer, and when to try again.
        """
        try:
            async with asyncio.timeout(self._policy.deadline_s):
                return await self._ask(question)
        except TimeoutError:
            raise CarrierUnavailable(f"no answer within {self._policy.deadline_s:g} s") from None

    async def _ask(self, question: Callable[[Http], Awaitable[T]]) -> T:
        generation = self._tokens.generation
        try:
            return await question(self)
        except Unauthorised:
            self._tokens.forget(generation)
        try:
            return await question(self)
        except Unauthorised:
            self._tokens.forget(generation + 1)
            raise CarrierRefused("401: it does not accept the credentials of this connection") from None

    async def token(self, key: str, obtain: Obtain) -> str:
        """The cached token of that key; `obtain` returns a fresh one and its life in seconds."""
        return await self._tokens.get(key, self, obtain)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request, again where the carrier fails; `url` may be a path below `base`."""
        target = url if "://" in url else f"{self._base}/{url.lstrip('/')}"
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._policy.attempts),
            wait=wait_random_exponential(multiplier=self._policy.retry_wait_s, max=5.0),
            retry=retry_if_exception(_worth_another),
            reraise=True,
        )
        return await retrying(self._attempt, partial(self._send, method, target, headers, params, data))

    async def _attempt(self, send: Callable[[], Awaitable[Reply]]) -> Reply:
        self._check_limit()
        with self.breaker.question():
            try:
                await self._budget.spend()
                self._check_limit()
                reply = await send()
            except CarrierUnavailable:
                self.breaker.failed()
                raise
            self._limits = 0
            self.breaker.succeeded()
            return reply

    def _check_limit(self) -> None:
        if self._clock() < self._limited_until:
            raise CarrierLimited("not asked: it wants to be asked less often", retry_at=self._limited_until)

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        params: Sequence[tuple[str, str]] | None,
        data: bytes | None,
    ) -> Reply:
        timeout = aiohttp.ClientTimeout(total=self._policy.attempt_s)
        try:
            async with self._session.request(
                method, url, headers=headers, params=params, data=data, timeout=timeout, allow_redirects=False
            ) as response:
                self._judge(response.status, response.headers.get("Retry-After", ""))
                body = await self._read(response)
                return Reply(response.status, response.headers.get("Content-Type", ""), body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise CarrierUnavailable(f"{method} {_place(url)}: {_why(error)}") from None

    def _judge(self, status: int, retry_after: str) -> None:
        """Raise for the answers that adapters never see."""
        if status == 401:
            raise Unauthorised
        if status == 429 or (status == 503 and retry_after):
            raise CarrierLimited(f"{status}: it wants to be asked less often", retry_at=self._limit(retry_after))
        if status >= 500:
            raise CarrierUnavailable(f"it answered {status}")

    def _limit(self, retry_after: str) -> float:
        pause = _seconds(retry_after, self._clock())
        if pause is None:
            pause = self._policy.limited_s * 2 ** min(self._limits, 10)
        return self.limit(pause)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._policy.body_max:
                raise CarrierUnavailable(f"its answer is longer than {self._policy.body_max} bytes")
        return bytes(body)


def _worth_another(error: BaseException) -> bool:
    return isinstance(error, CarrierUnavailable) and not error.retry_at


def _place(url: str) -> str:
    """The address without its query, which may hold credentials."""
    return url.partition("?")[0]


def _why(error: Exception) -> str:
    """What went wrong, without the address of the request: some errors of the client name all of it."""
    said = error.message.partition("\n")[0].rstrip(":") if isinstance(error, aiohttp.ClientResponseError) else error
    return f"{type(error).__name__}: {said}"


def _seconds(retry_after: str, now: float) -> float | None:
    """Retry-After as seconds from now: a number of them, or a date (RFC 9110, 10.2.3)."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now


class Exits:
    """The ways out of one process, one for each connection, made anew when the connection changes."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        policy: Policy | None = None,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._clock = clock
        self._policy = policy
        self._observer = observer
        self._made: dict[str, tuple[Access, CarrierHttp]] = {}

    def of(self, connection: Access, *, base: str, rate: float) -> CarrierHttp:
        """The way out of a connection; its budget, breaker and tokens last as long as the connection stays the same."""
        known = self._made.get(connection.id)
        if known and (known[0] is connection or known[0] == connection):
            return known[1]
        http = CarrierHttp(
            self._session,
            connection,
            base=base,
            rate=rate,
            policy=self._policy,
            observer=self._observer,
            clock=self._clock,
        )
        self._made[connection.id] = connection, http
        return http
