"""Standard Webhooks signatures (https://www.standardwebhooks.com, version 1): made and checked, no I/O."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from hashlib import sha256
from secrets import token_bytes

PREFIX = "whsec_"
TOLERANCE_S = 300
_KEY_BYTES = range(16, 129)


class BadSignature(ValueError):
    """A signed request that is not genuine, or not fresh; the message says which."""


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + b64encode(token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key bytes of a `whsec_…` secret; raises ValueError, without repeating the secret, where it is none."""
    text = secret.removeprefix(PREFIX)
    try:
        key = a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"a signing secret is {PREFIX} and base64: {error}") from None
    if len(key) not in _KEY_BYTES:
        raise ValueError(f"a signing secret holds {_KEY_BYTES[0]} to {_KEY_BYTES[-1]} bytes, this one {len(key)}")
    return key


class Signer:
    """Signs and checks with one or several secrets; while one is replaced, a message carries a signature of each."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("a signer needs at least one secret")
        self._keyed = tuple(hmac.new(key_of(secret), digestmod=sha256) for secret in secrets)

    def sign(self, id: str, timestamp: int, body: bytes) -> str:
        """The `webhook-signature` of one message; `timestamp` in seconds."""
        head = f"{id}.{timestamp}.".encode()
        if len(self._keyed) == 1:
            return _signature(self._keyed[0], head, body)
        return " ".join(_signature(keyed, head, body) for keyed in self._keyed)

    def verify(self, headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float = TOLERANCE_S) -> None:
        """Raise `BadSignature` unless one of our secrets signed `body` within `tolerance` seconds of `now`."""
        id, timestamp, passed = _signed_headers(headers)
        if abs(now - timestamp) > tolerance:
            raise BadSignature(f"webhook-timestamp {timestamp} is more than {tolerance:g} s from now")
        ours = [sign.encode() for sign in self.sign(id, timestamp, body).split(" ")]
        if not any(hmac.compare_digest(own, one.encode()) for one in passed.split(" ") for own in ours):
            raise BadSignature("no webhook-signature matches")


def _signature(keyed: hmac.HMAC, head: bytes, body: bytes) -> str:
    mac = keyed.copy()
    mac.update(head)
    mac.update(body)
    return "v1," + b64encode(mac.digest()).decode()


def _signed_headers(headers: Mapping[str, str]) -> tuple[str, int, str]:
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        return lower["webhook-id"], int(lower["webhook-timestamp"]), lower["webhook-signature"]
    except KeyError as missing:
        raise BadSignature(f"the header {missing.args[0]} is missing") from None
    except ValueError:
        raise BadSignature("webhook-timestamp is not a whole number of seconds") from None
