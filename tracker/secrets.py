"""Secrets at rest: sealed credentials (AES-256-GCM) and hashed API keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import string
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tracker.errors import ConfigError, MilepostError
from tracker.files import create

KEY_FILE = "seal.key"
KEY_BYTES = 32
_NONCE_BYTES = 12
_ALPHABET = string.ascii_letters + string.digits


class SealError(MilepostError):
    """A sealed text that no key of ours opens: written under another key, or changed."""


def new_key() -> str:
    """A fresh sealing key: 32 random bytes as base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def new_token(length: int = 32) -> str:
    """`length` random letters and digits (5.95 bits each), safe in a URL, a header and a shell."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def hash_key(text: str) -> str:
    """The sha256 of an API key, hex. Enough for a key of 190 random bits: there is nothing to guess."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare two texts in a time that does not tell where they differ."""
    return hmac.compare_digest(left.encode("utf-8", "surrogateescape"), right.encode("utf-8", "surrogateescape"))


def decode_key(text: str, name: str = "secrets.key") -> bytes:
    """The 32 bytes of a base64 key; ConfigError says what is wrong with it, and that it is that of `name`."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{name}: not base64; make one with `openssl rand -base64 32`") from None
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{name}: {len(key)} bytes after base64, must be {KEY_BYTES}: `openssl rand -base64 32`")
    return key


def key_from(directory: Path) -> str:
    """The key in `directory`/seal.key, made there with mode 0600 at the first call.

    The file appears whole or not at all, so that two processes that start together agree on one key.
    """
    path = directory / KEY_FILE
    if not path.exists():
        create(path, new_key())  # what is sealed under a key must not outlive it
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: others can read it; `chmod 600` it")
    key = path.read_text("utf-8", "replace").strip()
    decode_key(key, str(path))
    return key


def keys_of(directory: Path, setting: str = "") -> list[str]:
    """The keys of the setting (one, or several parted by commas, the current one first), else that of the key file."""
    return [part for part in setting.split(",") if part.strip()] or [key_from(directory)]


class Sealer:
    """Seals under the first key and unseals under any: to rotate, put a new key before the old ones."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys`: base64, the current one first."""
        decoded = [decode_key(key) for key in keys]
        if not decoded:
            raise ConfigError("secrets.key: at least one key is needed")
        self._current = _key_id(decoded[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in decoded}

    @property
    def keys(self) -> tuple[str, ...]:
        """The ids of the keys, the current one first: they tell keys apart, and nothing of a key."""
        return tuple(self._ciphers)

    @classmethod
    def of(cls, directory: Path, setting: str = "") -> Sealer:
        """With the keys of the setting, else that of the key file."""
        return cls(keys_of(directory, setting))

    def seal(self, plain: bytes) -> str:
        """Encrypt and authenticate: `<key id>.<base64url of nonce and ciphertext>`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, plain, self._current.encode())
        return f"{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, sealed: str) -> bytes:
        """What was sealed; raises SealError."""
        key_id, _, text = sealed.partition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealError(f"sealed under key {key_id[:16]!r}, which is not among the configured ones")
        try:
            raw = base64.urlsafe_b64decode(text)
            return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], key_id.encode())
        except (InvalidTag, ValueError):  # binascii.Error is a ValueError
            raise SealError("sealed text was changed or cut") from None

    def stale(self, sealed: str) -> bool:
        """Whether the text is sealed under a key that is no longer the current one."""
        return not sealed.startswith(f"{self._current}.")


def key_id_of(sealed: str) -> str:
    """The id of the key under which a text is sealed."""
    return sealed.partition(".")[0][:16]


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"milepost key id" + key).hexdigest()[:8]
