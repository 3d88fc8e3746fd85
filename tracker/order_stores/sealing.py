"""How an order store lies in the store: its credentials and the secrets of its path sealed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog
from msgspec import Struct, structs

from tracker.connections.sealing import Seals, opened_secrets, sealed_secrets
from tracker.errors import MilepostError
from tracker.order_stores.order_store import PREFIX, Listener, OrderStore

log = structlog.get_logger()


class _Kept(Struct, frozen=True, kw_only=True):
    """An order store as stored."""

    id: str
    platform: str
    base: str
    name: str
    credentials: str  # sealed JSON object
    options: dict[str, str]
    statuses: dict[str, str]
    shops: tuple[str, ...]
    shop: str
    path_secret: str  # sealed
    enabled: bool
    created_at: int
    old_secret: str = ""  # sealed; "" where there is none
    old_until: int = 0


class _Heard(Struct, frozen=True):
    """What the fan-out needs of a record."""

    shops: tuple[str, ...] = ()
    enabled: bool = True


def sealed(store: OrderStore, seals: Seals) -> bytes:
    """The order store as a record."""
    said = structs.asdict(store) | sealed_secrets(store, seals)
    del said["account"]
    return msgspec.json.encode(_Kept(**said))


def opened(account: str, value: bytes, seals: Seals) -> OrderStore | None:
    """The order store of a record; None, and a line in the log, where it can't be opened: the others go on."""
    try:
        kept = msgspec.json.decode(value, type=_Kept)
        said = structs.asdict(kept) | opened_secrets(kept, seals)
    except (MilepostError, ValueError) as error:
        log.error("order_store_unreadable", account=account, error=str(error))
        return None
    return OrderStore(account=account, **said)


def listeners(records: Mapping[tuple[str, str], bytes]) -> list[Listener]:
    """Every order store among the records, as a listener; one that can't be read is left out, the others go on."""
    found = []
    for (account, id), record in records.items():
        try:
            heard = msgspec.json.decode(record, type=_Heard)
        except msgspec.DecodeError as error:
            log.error("order_store_unreadable", account=account, order_store=id, error=str(error))
        else:
            found.append(Listener(PREFIX + id, account, heard.shops, heard.enabled))
    return found
