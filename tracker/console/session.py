"""Who is signed in: a signed cookie, and a form that only our own page can send. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from msgspec import Struct

COOKIE = "milepost_session"
FORM_COOKIE = "milepost_form"
LIFE_S = 12 * 3600
FORM_LIFE_S = 3600


class Session(Struct, frozen=True, array_like=True):
    """A sign-in: whose, by which key, until when (s), and which one, so that it can be ended."""

    account: str
    key_id: str
    until: int
    id: str


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
        try:
            session = msgspec.json.decode(body, type=Session)
        except msgspec.DecodeError:  # of a version that wrote it in another way
            return None
        return session if now < session.until else None

    def form_token(self, nonce: str) -> str:
        """The hidden field that belongs to a form cookie."""
        return hmac.new(self._form_key, nonce.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

    def form_is_ours(self, nonce: str, token: str) -> bool:
        """Whether cookie and hidden field came from the same page of ours."""
        return bool(nonce) and hmac.compare_digest(self.form_token(nonce).encode(), token.encode())


def named(cookie: str, *, secure: bool) -> str:
    """What a cookie is called. Over HTTPS a browser takes one of this name from this very host alone (RFC 6265bis)."""
    return f"__Host-{cookie}" if secure else cookie


def new_nonce() -> str:
    """A fresh value: of the form cookie, or the id of a session."""
    return secrets.token_urlsafe(18)


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
