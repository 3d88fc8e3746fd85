"""`milepost doctor`: what the daemon needs, looked at one by one, each line with what would be right."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from carriers.registry import load
from tracker import seals
from tracker.catalogue import listed
from tracker.config.settings import Settings
from tracker.detect import forms
from tracker.errors import ConfigError, MilepostError
from tracker.order_stores import load as load_platforms
from tracker.orders import OrderSettings, open_book
from tracker.secrets import Sealer
from tracker.stall import policy_of
from tracker.store import Store, StoreSettings, open_store

_ENOUGH_DISK = 1 << 30


async def examine(settings: Settings, *, forget_sealed: bool = False, restored: bool = False) -> int:
    """Print a line for each thing; 0 if all is well, 1 if something is not.

    With `forget_sealed` what is sealed under a key that is not there is removed first; with `restored` the store
    refuses the cursors that were given before it was put back.
    """
    if restored:
        async with _opened(settings) as store:
            await store.went_back()
            print(f"new    epoch {store.epoch}: cursors from before are refused")
    if forget_sealed:
        async with _opened(settings) as store:
            for kind, account, id in await seals.forget(store, _sealer(settings)):
                print(f"gone   {kind.replace('_', ' ')} {id} of {account}")
    checks: dict[str, Callable[[Settings], Awaitable[str]]] = {
        "data directory": _directory,
        "secrets key": _key,
        "port": _port,
        "stall policy": _stall,
        "carriers": _carriers,
        "order platforms": _platforms,
        "store": _store,
        "order book": _book,
    }
    wrong = 0
    for name, check in checks.items():
        try:
            print(f"ok     {name}: {await check(settings)}")
        except (MilepostError, OSError) as error:
            wrong += 1
            print(f"WRONG  {name}: {error}")
    return 1 if wrong else 0


async def _directory(settings: Settings) -> str:
    directory = settings.directory
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(directory, os.W_OK):
        raise ConfigError(f"data: {directory} can't be written")
    free = shutil.disk_usage(directory).free
    if free < _ENOUGH_DISK:
        raise ConfigError(f"data: {free >> 20} MiB free beside {directory}; the log wants 1 GiB or more")
    return f"{directory}, {free >> 30} GiB free"


async def _key(settings: Settings) -> str:
    _sealer(settings)
    return "from the settings" if settings.secrets.key else "in the data directory; back it up apart from the store"


def _sealer(settings: Settings) -> Sealer:
    return Sealer.of(settings.directory, settings.secrets.key)


async def _port(settings: Settings) -> str:
    where = (settings.http.host, settings.http.port)
    with socket.socket(socket.AF_INET6 if ":" in where[0] else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            raise ConfigError(f"http.port: {where[0]}:{where[1]}: {error.strerror} (a running daemon?)") from None
    return f"{where[0]}:{where[1]} is free"


async def _stall(settings: Settings) -> str:
    stall = settings.stall
    policy_of(hours=stall.hours, carriers=stall.carriers, accounts=stall.accounts, factor=stall.factor)
    return "every stage is known"


async def _carriers(_: Settings) -> str:
    registry, failures = load()
    if failures:
        raise ConfigError("; ".join(f"{failure.origin}: {failure.problem}" for failure in failures))
    return f"{len(registry)} installed, {len(listed())} in the catalogue, {len(forms())} forms of numbers"


async def _platforms(_: Settings) -> str:
    platforms, failures = load_platforms()
    if failures:
        raise ConfigError("; ".join(f"{failure.origin}: {failure.problem}" for failure in failures))
    return ", ".join(one.slug for one in platforms)


def _opened(settings: Settings) -> AbstractAsyncContextManager[Store]:
    return open_store(
        StoreSettings(
            directory=settings.directory / "store",
            remembered=settings.directory / "store.id",
            url=settings.store.url or None,
            shards=settings.store.shards,
            durability=settings.store.durability,
        )
    )


async def _store(settings: Settings) -> str:
    async with _opened(settings) as store:
        stats = await store.stats()
        await seals.verify(store, _sealer(settings))
        if store.warnings:
            raise ConfigError("store.url: " + "; ".join(store.warnings))
    return f"answers, {'every write fsynced' if stats.durable else 'RELAXED durability'}, {stats.used_memory >> 20} MiB"


async def _book(settings: Settings) -> str:
    async with open_book(OrderSettings(directory=settings.directory, url=settings.orders.url or None)):
        return "opens"
