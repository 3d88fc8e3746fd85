"""The secret at the end of an address that takes pushes: which ones open it, and how one is replaced.

For a while the secret that was replaced opens it too, so that whoever pushes can be told of the new address.
"""

from __future__ import annotations

import secrets
from typing import Any, Protocol

from tracker.secrets import same


class Address(Protocol):
    """A connection or an order store, as far as its address matters."""

    @property
    def path_secret(self) -> str: ...
    @property
    def old_secret(self) -> str: ...
    @property
    def old_until(self) -> int: ...


def new_path_secret() -> str:
    """A fresh one: 192 random bits."""
    return secrets.token_urlsafe(24)


def opens(secret: str, address: Address, *, now: int) -> bool:
    """Whether a push to the address with that secret is let in at `now` (ms)."""
    newest = same(secret, address.path_secret)
    older = overlap_until(address, now=now) > 0 and same(secret, address.old_secret)
    return newest or older


def overlap_until(address: Address, *, now: int) -> int:
    """Until when the replaced secret opens the address too (ms); 0: it does not."""
    return address.old_until if address.old_secret and address.old_until > now else 0


def replaced(address: Address, *, overlap_s: float, now: int) -> dict[str, Any]:
    """The fields of the address with a new secret. What was replaced before opens it no more."""
    kept = overlap_s > 0
    return {
        "path_secret": new_path_secret(),
        "old_secret": address.path_secret if kept else "",
        "old_until": now + round(overlap_s * 1000) if kept else 0,
    }
