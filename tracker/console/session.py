"""Who is signed in: a signed cookie, a form that only our own page can send, and a limit on guessing. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict

import msgspec
from msgspec import Struct

COOKIE = "milepost_session"
FORM_COOKIE = "milepost_form"
LIFE_S = 12 * 3600
FORM_LIFE_S = 3600


class Session(Struct, frozen=True, array_like=True):
    """A sign-in: whose, by which key, and until when (s)."""

    account: str
    key_id: str
    until: int


class Signer:
    """Signs and checks the two cookies with keys drawn from one secret of at least 16 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("console secret: at least 16 bytes")
        self._session_key = hmac.digest(secret, b"milepost console session", "sha256")
        self._form_key = hmac.digest(secret, b"milepost console form", "sha256")

    def seal(self, session: Session) -> str:
        """The cookie of a session."""
        body = msgspec.json.encode(session)
        return f"{_b64(body)}.{_b64(hmac.digest(self._session_key, body, 'sha256'))}"

    def open(self, cookie: str, now: float) -> Session | None:
        """The session of a cookie; None if it is forged, broken or over."""
        try:
            body, signature = (_unb64(part) for part in cookie.split("."))
        except ValueError:
            return None
        if not hmac.compare_digest(signature, hmac.digest(self._session_key, body, "sha256")):
            return None
        session = msgspec.json.decode(body, type=Session)
        return session if now < session.until else None

    def form_token(self, nonce: str) -> str:
        """The hidden field that belongs to a form cookie."""
        return hmac.new(self._form_key, nonce.encode(), hashlib.sha256).hexdigest()

    def form_is_ours(self, nonce: str, token: str) -> bool:
        """Whether cookie and hidden field came from the same page of ours."""
        return bool(nonce) and hmac.compare_digest(self.form_token(nonce).encode(), token.encode())


def new_nonce() -> str:
    """A fresh value for the form cookie."""
    return secrets.token_urlsafe(18)


def key_id_of(key: str) -> str:
    """The public part of an API key `mp_<public>_<secret>`."""
    parts = key.split("_")
    return parts[1] if len(parts) == 3 else ""


class Throttle:
    """At most `limit` failures in `window_s` from one peer; remembers at most `peers` of them."""

    def __init__(self, *, limit: int = 8, window_s: float = 300.0, peers: int = 4096) -> None:
        self._limit = limit
        self._window = window_s
        self._peers = peers
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, peer: str, now: float) -> int:
        """How many seconds the peer must wait before its next attempt; 0: it may try."""
        recent = [at for at in self._failures.get(peer, ()) if at > now - self._window]
        if len(recent) < self._limit:
            return 0
        return max(1, int(recent[0] + self._window - now))

    def failed(self, peer: str, now: float) -> None:
        """Remember a failure."""
        recent = [at for at in self._failures.pop(peer, []) if at > now - self._window]
        self._failures[peer] = [*recent, now][-self._limit :]
        while len(self._failures) > self._peers:
            self._failures.popitem(last=False)

    def succeeded(self, peer: str) -> None:
        """Forget a peer's failures."""
        self._failures.pop(peer, None)


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
