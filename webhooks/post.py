"""One signed POST: what is sent, what came back, and nothing else."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime

from msgspec import Struct
from yarl import URL

from tracker import __version__
from webhooks.guard import Refused
from webhooks.line import Garbled, HungUp
from webhooks.standard import Signer
from webhooks.wire import Target, Wire

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
        self.target = Target(URL(url), {**(headers or {}), **HEADERS})
        self.thin = thin
        self._signer = Signer(secrets)
        self._newest = Signer(secrets[:1])
        self._overlap_until = overlap_until

    def signer(self, now: float) -> Signer:
        """What signs at that time."""
        return self._newest if 0 < self._overlap_until <= now else self._signer


class Poster:
    """Sends signed messages; `timeout_s` is the whole of one, from the connect to the end of the answer's body."""

    def __init__(self, wire: Wire, *, timeout_s: float = 15.0, clock: Callable[[], float] = time.time) -> None:
        self._wire = wire
        self._timeout_s = timeout_s
        self._clock = clock

    async def post(self, endpoint: Endpoint, id: str, body: bytes) -> Answer:
        """Send `body` as the message `id`, signed now. Never raises for what a network or a receiver can do."""
        now = self._clock()
        signature = endpoint.signer(now).sign(id, int(now), body)
        lines = f"webhook-id: {id}\r\nwebhook-timestamp: {int(now)}\r\nwebhook-signature: {signature}\r\n"
        try:
            async with asyncio.timeout(self._timeout_s) as patience:
                heard = await self._wire.post(endpoint.target, lines.encode(), body)
        except (OSError, ValueError) as error:  # TimeoutError is one of the first
            if patience.expired():
                return Answer(error=f"no complete answer within {self._timeout_s:g} s")
            return Answer(error=_unheard(endpoint.target, error)[:_ERROR_CHARS])
        return Answer(status=heard.status, head=heard.head, retry_after_s=retry_after(heard.retry_after, now))


def retry_after(value: str | None, now: float) -> float:
    """The seconds that a `Retry-After` header asks for (seconds or a date), at most a day; 0 if unreadable."""
    if not value:
        return 0.0
    try:
        wait = float(value) if value.strip().isdecimal() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait, 0.0), MAX_HINT_S)


def _unheard(target: Target, error: Exception) -> str:
    """Why there is no answer."""
    where = f"{target.host}:{target.port}"
    if isinstance(error, Refused | HungUp | Garbled):
        return str(error)
    if isinstance(error, socket.gaierror):
        return f"the name {target.host} has no address"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {where} is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with {where}: {error.reason or error}"
    if isinstance(error, OSError):
        # asyncio's own words name the address once more, and not the trouble
        return f"can't connect to {where}: {os.strerror(error.errno) if error.errno else error}"
    return f"{type(error).__name__}: {error}"
