"""The store: one Valkey or Redis holds everything, embedded or elsewhere. See `keys` for where what lies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from tracker.errors import ConfigError
from tracker.files import create
from tracker.store.cluster import Cluster
from tracker.store.connect import CLUSTER, SENTINEL, Distrust, cluster_seeds, primary_of, sentinel_of, server_of
from tracker.store.embedded import EmbeddedServer, socket_path
from tracker.store.flush import PATIENCE_S, Refused
from tracker.store.keys import Keys
from tracker.store.records import META
from tracker.store.store import OtherStore, Store
from tracker.store.types import StoreDown
from tracker.store.wire import OneServer, Wire

SHARDS = (
    64  # of a new store: they spread evenly over more primaries than most clusters have, should it come to lie in one
)

__all__ = ["SHARDS", "EmbeddedServer", "Store", "StoreSettings", "open_store"]


class StoreSettings(Struct, frozen=True, kw_only=True):
    """Where the store is.

    `url` None: embedded in `directory`. Else `redis://`, `rediss://`, `unix://`, `redis+cluster://host:port,host:port`
    or `redis+sentinel://host:port,host:port/name` (`rediss+…`: TLS). `shards` is fixed when a store is created; 0: as
    it was created, and a new one has 64.
    """

    directory: Path
    url: str | None = None
    shards: int = 0
    durability: Literal["always", "relaxed"] = "always"
    remembered: Path | None = None  # a file that keeps the store's id: an empty one in its place is refused
    runtime_directory: Path | None = None  # for the socket where the path of `directory` is too long


@contextlib.asynccontextmanager
async def open_store(settings: StoreSettings, *, patience: float = PATIENCE_S) -> AsyncIterator[Store]:
    """The store, connected and checked; closed (an embedded server ended) on leaving.

    `patience` is how long a call waits for a connection that is away, in seconds.
    Raises `ConfigError` where the settings or the server's persistence are wrong, `StoreDown` where none answers.
    """
    if settings.url is not None:
        async with _connected(settings, settings.url, patience) as store:
            if settings.url == f"unix://{socket_path(settings.directory.resolve(), settings.runtime_directory)}":
                store.directory = settings.directory  # the server of another process of ours, on this directory
            yield store
        return
    server = EmbeddedServer(settings.directory, runtime=settings.runtime_directory)
    with server:
        await server.ready()
        async with _running(server.supervise()), _connected(settings, server.url, patience) as store:
            store.directory = server.directory
            yield store


@contextlib.asynccontextmanager
async def _connected(settings: StoreSettings, url: str, patience: float) -> AsyncIterator[Store]:
    with _named(url):
        keys = Keys(settings.shards or await _shards(settings, url, patience))
    store = Store(keys, _wire(keys, url, settings.durability, patience))
    store.url = url
    async with _running(store.wire.run(), store._listen()):
        with _named(url):
            await _identified(store, settings.remembered, patience)
        async with _running(store.keep_identity(), store._make_up()):
            yield store


@contextlib.contextmanager
def _named(url: str) -> Iterator[None]:
    """Say of which store it is that it can't be used."""
    try:
        yield
    except StoreDown as error:
        raise StoreDown(f"store.url: {_address(url)} can't be used: {error}") from None
    except Distrust as error:
        raise ConfigError(f"store.url: {_address(url)} can't be used: {error}") from None


async def _shards(settings: StoreSettings, url: str, patience: float) -> int:
    """How many shards the store was created with, or should be."""
    wire = _wire(Keys(1), url, settings.durability, patience)
    async with _running(wire.run()):
        await wire.mapped()
        told = await wire.control().send(b"HGET", META, b"shards", again=True)
    return int(told) if told else SHARDS


async def _identified(store: Store, remembered: Path | None, patience: float) -> None:
    """Identify the store, and hold it against the one that was there the last time.

    A server and its replicas may have started with us: they are waited for as a connection is.
    """
    known = _read(remembered) if remembered else ""
    clock = asyncio.get_running_loop().time
    until = clock() + patience
    try:
        while True:
            try:
                await store.identify(known=known)
                break
            except Refused as error:
                if not error.passes or clock() >= until:
                    raise
            await asyncio.sleep(0.1)
    except OtherStore as error:
        found = f"another one ({error.found})" if error.found else "an empty one"
        raise ConfigError(
            f"store: in the place of the store that {remembered} names ({known}) there is {found}: was it emptied, or "
            f"is it the wrong server? Restore it; where it is meant, remove {remembered} and start again"
        ) from None
    if remembered and not known:
        create(remembered, store.id)


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _address(url: str) -> str:
    """The url without what it may hold of credentials."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _wire(keys: Keys, url: str, durability: str, patience: float) -> Wire:
    if url.startswith(CLUSTER):
        return Cluster(keys, cluster_seeds(url), durability, patience)
    if url.startswith(SENTINEL):
        sentinels, own, name = sentinel_of(url)
        return OneServer(keys, lambda: primary_of(sentinels, own, name), durability, patience)
    server = server_of(url)

    async def find() -> dict[str, Any]:
        return server

    return OneServer(keys, find, durability, patience)


@contextlib.asynccontextmanager
async def _running(*services: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Services that run as long as the body does."""
    tasks = [asyncio.create_task(service) for service in services]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
