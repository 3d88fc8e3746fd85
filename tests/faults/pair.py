"""Two daemons with every role over one server, the second with the first one's key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.faults.conftest import settings
from tests.faults.daemon import Daemon
from tests.faults.receiver import Receiver
from tracker.store.embedded import EmbeddedServer

SEALING = "bWlsZXBvc3QgdHdvIGRhZW1vbnMgb25lIHNlcnZlciE="

Pair = tuple[Daemon, Daemon]


@asynccontextmanager
async def pair_of(directory: Path, receiver: Receiver, chosen: Mapping[str, str]) -> AsyncIterator[Pair]:
    """Not started yet, with these settings beside the usual ones."""
    with EmbeddedServer(directory / "server") as server:
        shared = {
            "store.url": server.url,
            "orders.url": f"sqlite+aiosqlite:///{directory / 'orders.db'}",
            "secrets.key": SEALING,
        }
        whole = {**settings(receiver), **chosen, **shared}
        async with Daemon(directory / "one", settings=whole) as one, Daemon(directory / "two", settings=whole) as two:
            yield one, two
