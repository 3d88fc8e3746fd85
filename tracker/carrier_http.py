"""The way out to a carrier, for one connection: budget, retries, breaker and tokens, once for all adapters."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Protocol, TypeVar

import aiohttp
from msgspec import Struct
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from carriers.sdk import Http, Reply
from tracker.errors import MilepostError

T = TypeVar("T")
Obtain = Callable[[Http], Awaitable[tuple[str, float]]]


class CarrierError(MilepostError):
    """A carrier did not answer the question. `retry_at`: seconds since 1970 before which asking again is no use."""

    def __init__(self, message: str, *, retry_at: float = 0.0) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class CarrierUnavailable(CarrierError):
    """It is down, unreachable, too slow or answers 5xx; or its breaker is open."""


class CarrierRefused(CarrierError):
    """It does not accept our credentials."""


class CarrierLimited(CarrierError):
    """It wants to be asked less often; `retry_at` is always set."""


class Policy(Struct, frozen=True, kw_only=True):
    """How patient we are with a carrier. Seconds, bytes, counts."""

    attempt_s: float = 15.0  # one request, its body included
    deadline_s: float = 30.0  # a whole question: budget, retries and tokens included
    attempts: int = 3
    retry_wait_s: float = 0.3  # doubled at each retry, jittered
    failures: int = 5  # in a row open the breaker
    open_s: float = 30.0  # doubled each time that the breaker opens again
    open_max_s: float = 600.0
    limited_s: float = 30.0  # after a 429 that does not say how long
    retry_after_max_s: float = 3_600.0
    body_max: int = 8 * 1024 * 1024


class Observer(Protocol):
    """What a connection's way out tells the one who watches."""

    def breaker(self, connection: str, open: bool) -> None: ...


class Access(Protocol):
    """What it needs to know of the connection."""

    @property
    def id(self) -> str: ...
    @property
    def credentials(self) -> Mapping[str, str]: ...


# ---------------------------------------------------------------- breaker


class State(StrEnum):
    """Of a breaker: questions pass; none passes; one passes, on trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens after `failures` in a row, lets one question try after a while, closes when it is answered."""

    def __init__(
        self, policy: Policy, clock: Callable[[], float], told: Callable[[bool], None] = lambda open: None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._told = told
        self._failures = 0
        self._openings = 0
        self._trial = False
        self.retry_at = 0.0

    @property
    def state(self) -> State:
        if not self._openings:
            return State.CLOSED
        return State.OPEN if self._clock() < self.retry_at else State.HALF_OPEN

    @property
    def closed(self) -> bool:
        return not self._openings

    def admit(self) -> None:
        """Pass, or raise CarrierUnavailable with the time of the next trial."""
        if self.state is State.CLOSED:
            return
        if self.state is State.OPEN or self._trial:
            at = max(self.retry_at, self._clock() + 1.0)
            raise CarrierUnavailable("not asked: its last answers all failed", retry_at=at)
        self._trial = True

    def succeeded(self) -> None:
        """The carrier answered sensibly."""
        was_open = self._openings > 0
        self._failures, self._openings, self._trial = 0, 0, False
        if was_open:
            self._told(False)

    def failed(self) -> None:
        """The carrier did not, or with something that nobody can read."""
        self._failures += 1
        if self._trial or (self._failures >= self._policy.failures and self.state is not State.OPEN):
            self._open()

    def released(self) -> None:
        """The question on trial ended with no verdict on the carrier."""
        self._trial = False

    def _open(self) -> None:
        pause = min(self._policy.open_s * 2**self._openings, self._policy.open_max_s)
        self._openings, self._trial = self._openings + 1, False
        self.retry_at = self._clock() + pause * random.uniform(0.9, 1.1)
        if self._openings == 1:
            self._told(True)


# ---------------------------------------------------------------- budget


class Budget:
    """At most `rate` requests a second, evenly spaced, a tenth of a second's worth at once."""

    def __init__(self, rate: float) -> None:
        self._gap = 1.0 / rate if rate > 0 else 0.0
        self._tolerance = max(0.0, 0.1 - self._gap)
        self._next = 0.0  # loop time at which the budget is even again

    async def spend(self) -> None:
        """Wait for our turn; turns are given in the order of asking."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + self._gap
        wait = self._next - self._gap - now - self._tolerance
        if wait > 0:
            await asyncio.sleep(wait)


# ---------------------------------------------------------------- tokens


class _Unauthorised(Exception):
    """A 401: the token is no longer good, or the credentials never were."""


class Tokens:
    """Tokens by key, each fetched once however many wait for it."""

    _EARLY = 0.1  # of its life before a token ends it is not used any more, at most a minute

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.generation = 0

    async def get(self, key: str, http: Http, obtain: Obtain) -> str:
        """The token of that key, from `obtain` where none is held."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            token, until = self._held.get(key, ("", 0.0))
            if self._clock() >= until:
                token, life = await obtain(http)
                self._held[key] = token, self._clock() + life - min(60.0, life * self._EARLY)
            return token

    def forget(self, generation: int) -> None:
        """Drop the tokens of that generation; newer ones stay, somebody was faster."""
        if generation == self.generation:
            self._held.clear()
            self.generation += 1


# ---------------------------------------------------------------- the way out


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
        except _Unauthorised:
            self._tokens.forget(generation)
        try:
            return await question(self)
        except _Unauthorised:
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
        return await retrying(self._attempt, method, target, headers, params, data)

    async def _attempt(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        params: Sequence[tuple[str, str]] | None,
        data: bytes | None,
    ) -> Reply:
        self._admit()
        try:
            await self._budget.spend()
            self._check_limit()
            reply = await self._send(method, url, headers, params, data)
        except CarrierUnavailable:
            self.breaker.failed()
            raise
        except BaseException:
            self.breaker.released()
            raise
        self._limits = 0
        self.breaker.succeeded()
        return reply

    def _admit(self) -> None:
        self._check_limit()
        self.breaker.admit()

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
            raise CarrierUnavailable(f"{method} {_place(url)}: {type(error).__name__}: {error}") from error

    def _judge(self, status: int, retry_after: str) -> None:
        """Raise for the answers that adapters never see."""
        if status == 401:
            raise _Unauthorised
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
