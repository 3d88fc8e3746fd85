"""How a connection lies in the store: its credentials and the secret of its path sealed."""

from __future__ import annotations

from typing import Protocol

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
    said = structs.asdict(connection) | {
        "credentials": seals.seal(msgspec.json.encode(connection.credentials)),
        "path_secret": seals.seal(connection.path_secret.encode()),
        "old_secret": seals.seal(connection.old_secret.encode()) if connection.old_secret else "",
    }
    del said["account"]
    return msgspec.json.encode(_Kept(**said))


def opened(account: str, value: bytes, seals: Seals) -> Connection | None:
    """The connection of a record; None, and a line in the log, where it can't be opened: the others go on."""
    try:
        kept = msgspec.json.decode(value, type=_Kept)
        said = structs.asdict(kept) | {
            "credentials": msgspec.json.decode(seals.unseal(kept.credentials), type=dict[str, str]),
            "path_secret": seals.unseal(kept.path_secret).decode(),
            "old_secret": seals.unseal(kept.old_secret).decode() if kept.old_secret else "",
        }
    except (MilepostError, ValueError) as error:
        log.error("connection.unreadable", account=account, error=str(error))
        return None
    return Connection(account=account, **said)
