"""The composition root: every part meets its neighbours here, and nowhere else. This starts a daemon and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

import structlog
from aiohttp import web
from msgspec import Struct

from tracker import log, probes, seals
from tracker.accounts import Accounts
from tracker.app import from_settings
from tracker.app.loops import Loops
from tracker.app.parts import assemble
from tracker.app.site import served
from tracker.config.settings import Settings
from tracker.config.showing import secrets_of
from tracker.crew import crew, parted
from tracker.errors import ConfigError
from tracker.garbage import collect_seldom
from tracker.ingress.connections import Doors, Site, say_of_all
from tracker.metrics import Metrics
from tracker.store.types import StoreDown

logger = structlog.get_logger()

_DRAIN_S = 20.0
_LONGEST_LINE = 65_536  # bytes; a cursor of a store with many shards is long


class Daemon(Struct, frozen=True):
    """A running daemon: where it is, and the admin key if this was the first start of its store."""

    url: str
    known: bool  # whether others know where it is
    first_key: str | None
    accounts: Accounts


async def serve(settings: Settings, *, stop: asyncio.Event | None = None) -> int:
    """Run until SIGTERM, SIGINT or `stop`, then drain."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_daemon(settings) as daemon:
        _welcome(daemon)
        await stop.wait()
        logger.info("draining")
    return 0


def _welcome(daemon: Daemon) -> None:
    if daemon.first_key:
        print(f"admin key, shown this once: {daemon.first_key}", flush=True)
    logger.info("ready", url=daemon.url)
    if not daemon.known:
        logger.warning("public_url_unknown", setting="http.public_url", why="messages and webhook addresses lack it")


@contextlib.asynccontextmanager
async def open_daemon(settings: Settings) -> AsyncIterator[Daemon]:
    """A daemon that serves while the context lasts; leaving it drains: what is under way ends, the rest is handed back.

    Raises:
        ConfigError: a setting, a port, a directory or the store's persistence is not as it must be.
        StoreDown: the store or the disk can't be used now.
    """
    log.configure(settings.log.level, settings.log.format, secrets=secrets_of(settings))
    async with contextlib.AsyncExitStack() as stack:
        readiness = probes.Readiness()
        metrics = Metrics()
        doors = from_settings.doors(settings, metrics)
        lobby, any_port = await _listen(probes.app(readiness), settings, doors), not settings.http.port
        settings = settings.heard_on(lobby.addresses[0][1])  # what is told of where we are tells the real one
        try:
            parts = await assemble(stack, settings, readiness, metrics)
            await seals.verify(parts.store, parts.sealer)
        except OSError as error:  # full to the last inode, over its quota, read-only
            raise StoreDown(f"data: {settings.directory} can't be used: {error.strerror or error}") from error
        finally:
            await lobby.cleanup()
        await seals.renew(parts.store, parts.sealer)
        first_key = await parts.accounts.first_start(now=parts.now())
        workers: list[Settings] = []
        if settings.processes == "roles":
            settings, workers = parted(settings, parts.store.url, any_port=any_port)
        loops = Loops(parts)
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(loop) for loop in loops.workers(settings)]
            beside = [tasks.create_task(loop) for loop in loops.beside(settings)]
            runner = await _listen(served(parts, settings), settings, doors)
            collect_seldom()
            readiness.opened()
            try:
                async with crew(workers):
                    yield Daemon(_address(runner, settings), bool(settings.known_url), first_key, parts.accounts)
            finally:
                readiness.draining()
                await runner.cleanup()
                loops.stop()
                await _ended(working)
                for loop in beside:
                    loop.cancel()


async def _ended(running: Sequence[asyncio.Task[None]]) -> None:
    """Give what is under way some time to end, then end it; its leases bring it back."""
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=_DRAIN_S)
    for task in late:
        task.cancel()


async def _listen(app: web.Application, settings: Settings, doors: Doors) -> web.AppRunner:
    app.on_response_prepare.append(say_of_all)
    runner = web.AppRunner(app, shutdown_timeout=_DRAIN_S, handle_signals=False)
    await runner.setup()
    host, port = settings.http.host, settings.http.port
    try:
        await Site(runner, host, port, doors, max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"http.port: can't listen on {host}:{port}: {error.strerror or error}") from None
    return runner


def _address(runner: web.AppRunner, settings: Settings) -> str:
    if settings.http.public_url:
        return settings.public_url
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
