"""A running daemon, `milepost serve`, asked over its REST API as anyone would ask it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.processes import spawned
from tests.ports import free_port

_STARTS_WITHIN_S = 30.0
_BATCH = 1_000


class Daemon:
    """One daemon's surfaces."""

    def __init__(self, session: aiohttp.ClientSession, port: int, key: str, pid: int) -> None:
        self._session = session
        self.port = port
        self.pid = pid
        self._key = key

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers; anything but 2xx raises."""
        headers = {"Authorization": f"Bearer {self._key}"}
        url = f"http://127.0.0.1:{self.port}/v1{path}"
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json() if answer.status != 204 else None

    async def ready(self) -> bool:
        """Whether it takes work."""
        async with self._session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
            return answer.status == 200

    async def register(self, carrier: str, waybills: Sequence[str], **details: str) -> None:
        """Follow waybills."""
        for start in range(0, len(waybills), _BATCH):
            items = [{"waybill": one, "carrier": carrier, **details} for one in waybills[start : start + _BATCH]]
            answer = await self.call("POST", "/shipments", {"shipments": items})
            if answer["created"] != len(items):
                raise RuntimeError(f"{answer['created']} of {len(items)} waybills were registered")

    async def metric(self, name: str, **labels: str) -> float:
        """The value of one series."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        async with self._session.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        found = [line for line in lines if line.startswith(name) and all(label in line for label in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in found)


@contextlib.asynccontextmanager
async def daemon(
    data: Path, settings: Mapping[str, str], *, profile: Path | None = None, key: str = ""
) -> AsyncIterator[Daemon]:
    """`milepost serve` over `data`, ready. `key`: where it is not the first start."""
    port = free_port()
    named = {"http.port": str(port), "data": str(data), "log.level": "warning", "limits.push_rate": "1000000"}
    flags = [word for name, value in {**named, **settings}.items() for word in ("--set", f"{name}={value}")]
    traced = ["-m", "cProfile", "-o", str(profile)] if profile else []
    output = asyncio.subprocess.PIPE
    async with spawned([sys.executable, *traced, "-m", "tracker.cli", "serve", *flags], stdout=output) as process:
        assert process.stdout is not None
        if not key:
            async with asyncio.timeout(_STARTS_WITHIN_S):
                key = (await process.stdout.readline()).decode().split()[-1]
        async with aiohttp.ClientSession() as session:
            running = Daemon(session, port, key, process.pid)
            await _ready(running)
            yield running


async def _ready(running: Daemon) -> None:
    async with asyncio.timeout(_STARTS_WITHIN_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                if await running.ready():
                    return
            await asyncio.sleep(0.05)
