"""Standard Webhooks signatures (https://www.standardwebhooks.com, version 1): made and checked, no I/O.

Two schemes: `v1`, HMAC-SHA256 with a shared secret `whsec_…`, and `v1a`, ed25519 with a pair of keys, `whsk_…` to sign
and `whpk_…` to verify.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from secrets import token_bytes
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
TOLERANCE_S = 300
_KEY_BYTES = range(16, 129)
_SEED_BYTES = 32


class Scheme(StrEnum):
    """How a message is signed."""

    HMAC = "hmac-sha256"
    ED25519 = "ed25519"


class BadSignature(ValueError):
    """A signed request that is not genuine, or not fresh; the message says which."""


def new_secret(scheme: Scheme = Scheme.HMAC) -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64, or a private key, `whsk_…`."""
    if scheme is Scheme.HMAC:
        return PREFIX + b64encode(token_bytes(32)).decode()
    private = Ed25519PrivateKey.generate()
    pair = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    return PRIVATE_PREFIX + b64encode(pair).decode()


def key_of(secret: str) -> bytes:
    """The key bytes of a `whsec_…` secret; raises ValueError, without repeating the secret, where it is none."""
    key = _decoded(secret, PREFIX)
    if len(key) not in _KEY_BYTES:
        raise ValueError(f"a signing secret holds {_KEY_BYTES[0]} to {_KEY_BYTES[-1]} bytes, this one {len(key)}")
    return key


def private_key_of(secret: str) -> Ed25519PrivateKey:
    """The key of a `whsk_…` secret: 32 bytes, and after them the public key, as the reference implementation has it.

    Raises ValueError, without repeating the secret, where it is none.
    """
    pair = _decoded(secret, PRIVATE_PREFIX)
    if len(pair) not in (_SEED_BYTES, 2 * _SEED_BYTES):
        raise ValueError(f"a signing secret {PRIVATE_PREFIX}… holds 32 or 64 bytes, this one {len(pair)}")
    private = Ed25519PrivateKey.from_private_bytes(pair[:_SEED_BYTES])
    if pair[_SEED_BYTES:] not in (b"", private.public_key().public_bytes_raw()):
        raise ValueError(f"a signing secret {PRIVATE_PREFIX}… holds a key and its own public key; this one another's")
    return private


def public_key(secret: str) -> str:
    """What verifies the signatures of a `whsk_…` secret: `whpk_…`; "" for a `whsec_…`, which verifies its own."""
    if not secret.startswith(PRIVATE_PREFIX):
        return ""
    return PUBLIC_PREFIX + b64encode(private_key_of(secret).public_key().public_bytes_raw()).decode()


def _decoded(secret: str, prefix: str) -> bytes:
    text = secret.removeprefix(prefix)
    try:
        return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"a signing secret is {prefix} and base64: {error}") from None


class _Pen(Protocol):
    """Signs with one secret."""

    def sign(self, head: bytes, body: bytes, /) -> str: ...


class _HmacPen:
    __slots__ = ("_keyed",)

    def __init__(self, secret: str) -> None:
        self._keyed = hmac.new(key_of(secret), digestmod=sha256)

    def sign(self, head: bytes, body: bytes) -> str:
        mac = self._keyed.copy()
        mac.update(head)
        mac.update(body)
        return "v1," + b64encode(mac.digest()).decode()


class _Ed25519Pen:
    __slots__ = ("_private",)

    def __init__(self, secret: str) -> None:
        self._private = private_key_of(secret)

    def sign(self, head: bytes, body: bytes) -> str:
        return "v1a," + b64encode(self._private.sign(head + body)).decode()


def _pen(secret: str) -> _Pen:
    return _Ed25519Pen(secret) if secret.startswith(PRIVATE_PREFIX) else _HmacPen(secret)


class Signer:
    """Signs and checks with one or several secrets; while one is replaced, a message carries a signature of each."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("a signer needs at least one secret")
        self._pens = tuple(_pen(secret) for secret in secrets)

    def sign(self, id: str, timestamp: int, body: bytes) -> str:
        """The `webhook-signature` of one message; `timestamp` in seconds."""
        head = f"{id}.{timestamp}.".encode()
        if len(self._pens) == 1:
            return self._pens[0].sign(head, body)
        return " ".join(pen.sign(head, body) for pen in self._pens)

    def verify(self, headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float = TOLERANCE_S) -> None:
        """Raise `BadSignature` unless one of our secrets signed `body` within `tolerance` seconds of `now`."""
        id, timestamp, passed = _signed_headers(headers)
        if abs(now - timestamp) > tolerance:
            raise BadSignature(f"webhook-timestamp {timestamp} is more than {tolerance:g} s from now")
        ours = [sign.encode() for sign in self.sign(id, timestamp, body).split(" ")]
        if not any(hmac.compare_digest(own, one.encode()) for one in passed.split(" ") for own in ours):
            raise BadSignature("no webhook-signature matches")


def _signed_headers(headers: Mapping[str, str]) -> tuple[str, int, str]:
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        return lower["webhook-id"], int(lower["webhook-timestamp"]), lower["webhook-signature"]
    except KeyError as missing:
        raise BadSignature(f"the header {missing.args[0]} is missing") from None
    except ValueError:
        raise BadSignature("webhook-timestamp is not a whole number of seconds") from None
