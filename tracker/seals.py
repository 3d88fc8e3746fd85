"""What is sealed in the store, held against the keys of this daemon: at start, before anything would need it.

A text under a key that is no longer the current one is sealed anew, so that the old key may go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import structlog

from tracker.errors import ConfigError
from tracker.secrets import Sealer, SealError, key_id_of

# the records that hold sealed texts, and under which names
SEALED: Mapping[str, tuple[str, ...]] = {
    "connection": ("credentials", "path_secret", "old_secret"),
    "order_store": ("credentials", "path_secret", "old_secret"),
    "subscription": ("secret", "headers"),
}

log = structlog.get_logger()


class Shelf(Protocol):
    """The records of the store."""

    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def replace_record(
        self, kind: str, account: str, id: str, value: bytes, *, seen: bytes | None = None
    ) -> bool: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...


async def verify(store: Shelf, sealer: Sealer) -> None:
    """Raise ConfigError where something is sealed under a key that we don't have."""
    missing: Counter[str] = Counter()
    for kind, names in SEALED.items():
        for value in (await store.records(kind)).values():
            missing.update(_lacking(value, names, sealer))
    if missing:
        under = ", ".join(f"{count} under {key!r}" for key, count in sorted(missing.items()))
        raise ConfigError(
            f"secrets.key: records of the store are sealed under other keys ({under}) than the one given "
            f"({', '.join(sealer.keys)}); put the key that sealed them behind the current one, after a comma; "
            "where it is lost, `milepost doctor --forget-sealed` removes them"
        )


async def forget(store: Shelf, sealer: Sealer) -> list[tuple[str, str, str]]:
    """Remove what is sealed under a key that we don't have, for one that is lost: kind, account and id of each."""
    gone = []
    for kind, names in SEALED.items():
        for (account, id), value in (await store.records(kind)).items():
            if _lacking(value, names, sealer) and await store.remove_record(kind, account, id):
                gone.append((kind, account, id))
    return gone


async def renew(store: Shelf, sealer: Sealer) -> int:
    """Seal anew what is under an older key; how many records were.

    What changes meanwhile is sealed by whoever changes it.
    """
    renewed = 0
    for kind, names in SEALED.items():
        for (account, id), value in (await store.records(kind)).items():
            if any(sealer.stale(text) for text in _texts(value, names)):
                with suppress(SealError):  # changed or cut: whoever reads it says so
                    fresh = _renewed(value, names, sealer)
                    renewed += await store.replace_record(kind, account, id, fresh, seen=value)
    if renewed:
        log.info("sealed_anew", records=renewed)
    return renewed


def _lacking(value: bytes, names: tuple[str, ...], sealer: Sealer) -> set[str]:
    return {key for text in _texts(value, names) if (key := key_id_of(text)) not in sealer.keys}


def _fields(value: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.DecodeError:  # whoever reads it says so
        return {}


def _texts(value: bytes, names: tuple[str, ...]) -> list[str]:
    fields = _fields(value)
    return [fields[name] for name in names if fields.get(name)]


def _renewed(value: bytes, names: tuple[str, ...], sealer: Sealer) -> bytes:
    fields = _fields(value)
    sealed = {name: sealer.seal(sealer.unseal(fields[name])) for name in names if fields.get(name)}
    return msgspec.json.encode(fields | sealed)
