"""One signed POST: what is sent, what came back, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime

import aiohttp
from msgspec import Struct
from yarl import URL

from tracker import __version__
from webhooks.guard import Refused
from webhooks.standard import Signer

MAX_ANSWER = 64 * 1024  # bytes that we read of an answer before we hang up
KEPT_ANSWER = 1024  # bytes of it that the delivery log keeps
MAX_HINT_S = 24 * 3600.0
HEADERS = {"Content-Type": "application/json", "User-Agent": f"Milepost/{__version__}"}
_ERROR_CHARS = 300


class Answer(Struct, frozen=True, kw_only=True):
    """What became of one POST. `status` is 0 where no answer came; then `error` says why."""

    status: int = 0
    head: bytes = b""
    retry_after_s: float = 0.0
    error: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it: any 2xx, read to its end or longer than we read."""
        return 200 <= self.status < 300 and not self.error


class Endpoint:
    """An address and the secrets that sign what goes there, newest first, ready to use.

    From `overlap_until` (s; 0: never) only the newest signs. `headers` go out beside ours; `thin` messages name the
    shipment and no more.
    """

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        *,
        overlap_until: float = 0.0,
        headers: Mapping[str, str] | None = None,
        thin: bool = False,
    ) -> None:
        self.url = URL(url)
        self.headers = {**(headers or {}), **HEADERS}
        self.thin = thin
        self._signer = Signer(secrets)
        self._newest = Signer(secrets[:1])
        self._overlap_until = overlap_until

    def signer(self, now: float) -> Signer:
        """What signs at that time."""
        return self._newest if 0 < self._overlap_until <= now else self._signer


class Poster:
    """Sends signed messages through a guarded session; `timeout_s` is the whole of one, the answer's body included."""

    def __init__(
        self, session: aiohttp.ClientSession, *, timeout_s: float = 15.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, ceil_threshold=timeout_s + 1)
        self._timeout_s = timeout_s
        self._clock = clock

    async def post(self, endpoint: Endpoint, id: str, body: bytes) -> Answer:
        """Send `body` as the message `id`, signed now. Never raises for what a network or a receiver can do."""
        try:
            return await self._post(endpoint, id, body)
        except TimeoutError:
            return Answer(error=f"no complete answer within {self._timeout_s:g} s")
        except aiohttp.ClientConnectorError as error:
            return Answer(error=_unreached(error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(error=f"{type(error).__name__}: {error}"[:_ERROR_CHARS])

    async def _post(self, endpoint: Endpoint, id: str, body: bytes) -> Answer:
        now = self._clock()
        headers = {
            "webhook-id": id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": endpoint.signer(now).sign(id, int(now), body),
            **endpoint.headers,
        }
        async with self._session.post(
            endpoint.url, data=body, headers=headers, allow_redirects=False, timeout=self._timeout
        ) as response:
            return Answer(
                status=response.status,
                head=await _head(response),
                retry_after_s=retry_after(response.headers.get("Retry-After"), now),
            )


async def _head(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of the body; reads it to the end, so that the connection can be used again, or hangs up."""
    head, size = b"", 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if len(head) < KEPT_ANSWER:
            head += chunk[: KEPT_ANSWER - len(head)]
        if size > MAX_ANSWER:
            response.close()
            break
    return head


def retry_after(value: str | None, now: float) -> float:
    """The seconds that a `Retry-After` header asks for (seconds or a date), at most a day; 0 if unreadable."""
    if not value:
        return 0.0
    try:
        wait = float(value) if value.strip().isdecimal() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), MAX_HINT_S)


def _unreached(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(cause, Refused):
        return str(cause)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} has no address"
    return f"can't connect to {error.host}:{error.port}: {cause.strerror or cause}"[:_ERROR_CHARS]
