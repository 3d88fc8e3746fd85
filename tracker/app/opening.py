"""What a daemon opens and closes again: its directory, the store, the order book, the ways out."""

from __future__ import annotations

import contextlib

import aiohttp
from msgspec import Struct

from tracker import probes
from tracker.app import from_settings
from tracker.config.settings import Settings
from tracker.disk import cramped
from tracker.errors import ConfigError
from tracker.orders import OrderBook, OrderSettings, open_book
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import StoreDown
from webhooks.guard import trusting
from webhooks.wire import Wire


class Opened(Struct, frozen=True):
    """What stands open while a daemon runs: where it keeps things, and by what it speaks to others."""

    store: Store
    book: OrderBook
    carriers_http: aiohttp.ClientSession
    wire: Wire  # to subscribers
    platforms_http: aiohttp.ClientSession


def make_private(settings: Settings) -> None:
    """The data directory, ours alone where it is made now.

    Raises:
        ConfigError: it can't be made.
        StoreDown: there is no room on its disk.
    """
    try:
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(f"data: {settings.directory} is a file, and must be a directory") from None
    except OSError as error:
        raise ConfigError(f"data: can't make the directory {settings.directory}: {error.strerror}") from None
    if why := cramped(settings.directory):
        raise StoreDown(f"data: {why}")


async def open_all(stack: contextlib.AsyncExitStack, settings: Settings, readiness: probes.Readiness) -> Opened:
    """Open it in its order, saying what is waited for; `stack` closes it."""
    readiness.waits_for("store: starting or loading its log")
    store = await stack.enter_async_context(open_store(_store_settings(settings)))
    readiness.watch(store, relaxed=settings.store.durability == "relaxed")
    readiness.waits_for("order book")
    book = await stack.enter_async_context(open_book(_order_settings(settings)))
    carriers_http = await stack.enter_async_context(from_settings.session(settings))
    wire = await stack.enter_async_context(
        contextlib.aclosing(Wire(guard=from_settings.guard(settings), tls=trusting(settings.egress.ca_file)))
    )
    platforms_http = await stack.enter_async_context(from_settings.session(settings))
    return Opened(store, book, carriers_http, wire, platforms_http)


def _store_settings(settings: Settings) -> StoreSettings:
    return StoreSettings(
        directory=settings.directory / "store",
        remembered=settings.directory / "store.id",
        url=settings.store.url or None,
        shards=settings.store.shards,
        durability=settings.store.durability,
    )


def _order_settings(settings: Settings) -> OrderSettings:
    return OrderSettings(
        directory=settings.directory,
        url=settings.orders.url or None,
        overdue_after_s=int(settings.orders.ship_within_h * 3600),
    )
