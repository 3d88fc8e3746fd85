"""A process for each role over one store: what `processes = "roles"` starts, watches and ends.

A worker gets its settings through its standard input, which stays open as long as its parent lives: when it ends, so
does the worker, whatever became of the parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator

import msgspec
import structlog
from msgspec import structs

from tracker.config.settings import Role, Settings

logger = structlog.get_logger()

_AGAIN_S = 1.0  # before a worker that died is started again
_END_S = 60.0  # a worker that drains for longer is killed


def parted(settings: Settings, store_url: str, *, any_port: bool = False) -> tuple[Settings, list[Settings]]:
    """The settings of this process, which keeps the intake, and those of a worker for each other role.

    A worker answers its probes and metrics on a port of its own, counted up from `http.port`; on any one
    where that was 0 (`any_port`).
    """
    others = [role for role in settings.roles if role != "intake"]
    own = structs.replace(settings, roles=tuple(role for role in settings.roles if role == "intake") or ("intake",))
    return own, [
        _worker(settings, role, 0 if any_port else settings.http.port + place, store_url)
        for place, role in enumerate(others, 1)
    ]


def _worker(settings: Settings, role: Role, port: int, store_url: str) -> Settings:
    return structs.replace(
        settings,
        processes="one",
        roles=(role,),
        http=structs.replace(settings.http, port=port, public_url=settings.public_url),
        store=structs.replace(settings.store, url=store_url),
    )


@contextlib.asynccontextmanager
async def crew(workers: list[Settings]) -> AsyncIterator[None]:
    """Workers that run as long as the context does, each started again when it dies."""
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for settings in workers:
            tasks.create_task(_keep(settings, ending))
        try:
            yield
        finally:
            ending.set()


async def _keep(settings: Settings, ending: asyncio.Event) -> None:
    while not ending.is_set():
        process = await _start(settings)
        await _until_over(process, ending)
        if not ending.is_set():
            logger.error("worker_died", roles=settings.roles, code=process.returncode)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), _AGAIN_S)


async def _start(settings: Settings) -> asyncio.subprocess.Process:
    # a session of its own: Ctrl-C must reach the parent alone, which then ends its workers in order
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tracker.worker", stdin=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(settings) + b"\n")
    await process.stdin.drain()
    logger.info("worker_started", roles=settings.roles, process=process.pid)
    return process


async def _until_over(process: asyncio.subprocess.Process, ending: asyncio.Event) -> None:
    """Return when the process has ended, by itself or because it was asked to."""
    over, asked = asyncio.create_task(process.wait()), asyncio.create_task(ending.wait())
    await asyncio.wait((over, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not over.done():
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait((over,), timeout=_END_S)
    if not over.done():
        process.kill()
    await over
