"""How a connection lies in the store: its credentials and the secret of its path sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from tracker.connections.connection import Connection
from tracker.errors import MilepostError

log = structlog.get_logger()


class Seals(Protocol):
    """How secrets lie in the store."""

    def seal(self, plain: bytes) -> str: ...
    def unseal(self, sealed: str) -> bytes: ...


class Open(Protocol):
    """What has credentials and a secret of its path, all open."""

    @property
    def credentials(self) -> Mapping[str, str]: ...
    @property
    def path_secret(self) -> str: ...
    @property
    def old_secret(self) -> str: ...


class Sealed(Protocol):
    """The same as it is stored."""

    @property
    def credentials(self) -> str: ...
    @property
    def path_secret(self) -> str: ...
    @property
    def old_secret(self) -> str: ...


class _Kept(Struct, frozen=True, kw_only=True):
    """A connection as stored."""

    id: str
    carrier: str
    name: str
    base: str
    credentials: str  # sealed JSON object
    path_secret: str  # sealed
    auto_register: bool
    enabled: bool
    created_at: int
    old_secret: str = ""  # sealed; "" where there is none
    old_until: int = 0


def sealed(connection: Connection, seals: Seals) -> bytes:
    """The connection as a record."""
    said = structs.asdict(connection) | sealed_secrets(connection, seals)
    del said["account"]
    return msgspec.json.encode(_Kept(**said))


def opened(account: str, value: bytes, seals: Seals) -> Connection | None:
    """The connection of a record; None, and a line in the log, where it can't be opened: the others go on."""
    try:
        kept = msgspec.json.decode(value, type=_Kept)
        said = structs.asdict(kept) | opened_secrets(kept, seals)
    except (MilepostError, ValueError) as error:
        log.error("connection.unreadable", account=account, error=str(error))
        return None
    return Connection(account=account, **said)


def sealed_secrets(one: Open, seals: Seals) -> dict[str, str]:
    """Its secret fields, sealed; "" for an old secret that it has not."""
    return {
        "credentials": seals.seal(msgspec.json.encode(one.credentials)),
        "path_secret": seals.seal(one.path_secret.encode()),
        "old_secret": seals.seal(one.old_secret.encode()) if one.old_secret else "",
    }


def opened_secrets(kept: Sealed, seals: Seals) -> dict[str, Any]:
    """The secret fields, open again."""
    return {
        "credentials": msgspec.json.decode(seals.unseal(kept.credentials), type=dict[str, str]),
        "path_secret": seals.unseal(kept.path_secret).decode(),
        "old_secret": seals.unseal(kept.old_secret).decode() if kept.old_secret else "",
    }
