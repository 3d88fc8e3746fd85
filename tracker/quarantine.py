"""Bodies that could not be read, as they are kept: whole, with what is needed to read them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from msgspec import Struct

from tracker.store.types import Full

# What may be shown: the rest may hold signatures and keys. The topic of a platform's push says what it is.
_TELLING = ("content-type", "content-encoding", "user-agent", "date", "x-shopify-topic", "x-wc-webhook-topic")
ORDER_STORE = "ost_"  # how the source of what an order platform pushed begins
_LONGEST = 300  # characters of a header or a reason


class Quarantined(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One body. `text` holds it where it is UTF-8, `body` (base64 in JSON) where it is not."""

    carrier: str
    source: str  # `con_…/push`, `con_…/poll`, `ost_…/push` or `ost_…/backfill`
    heard_at: int  # ms
    reason: str
    headers: Mapping[str, str] = {}
    status: int = 0  # of an answer
    text: str = ""
    body: bytes = b""

    @property
    def raw(self) -> bytes:
        """The body as it came."""
        return self.body or self.text.encode()

    def encode(self) -> bytes:
        """As the store keeps it: JSON."""
        return msgspec.json.encode(self)


def quarantined(
    carrier: str, source: str, body: bytes, headers: Mapping[str, str], *, reason: str, now: int, status: int = 0
) -> Quarantined:
    """A body with its telling headers (names in lower case); those that may hold a secret are shown as present only."""
    shown = {name: value[:_LONGEST] if name in _TELLING else "(kept back)" for name, value in headers.items()}
    try:
        text, raw = body.decode(), b""
    except UnicodeDecodeError:
        text, raw = "", body
    return Quarantined(
        carrier=carrier,
        source=source,
        heard_at=now,
        reason=reason[:_LONGEST],
        headers={name[:_LONGEST]: value for name, value in shown.items()},
        status=status,
        text=text,
        body=raw,
    )


class Kept(Protocol):
    """Where quarantined bodies lie."""

    async def quarantine(self, account: str, entry: bytes, *, most: int = 0) -> str: ...


class Ward:
    """The quarantine, which takes nobody in while `closed` says why not, or where an account has `most` bytes there.

    What is not taken in is not acknowledged either: rubbish must not be what fills the disk, and nothing that was
    acknowledged makes room for other rubbish. `turned_away` counts.
    """

    def __init__(
        self,
        store: Kept,
        closed: Callable[[], str],
        *,
        most: int = 0,
        turned_away: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._closed = closed
        self._most = most
        self._turned_away = turned_away

    async def quarantine(self, account: str, entry: bytes) -> str:
        """Keep a body; its id. Raises StoreDown, and Full, which is one."""
        try:
            if why := self._closed():
                raise Full(why)
            return await self._store.quarantine(account, entry, most=self._most)
        except Full:
            self._turned_away()
            raise
