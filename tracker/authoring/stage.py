"""A carrier on loopback that answers as an exchange says, and can be put into a mood."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from aiohttp import web
from msgspec import Struct

from tracker.authoring.exchanges import Exchange

Key = tuple[str, str]  # method, path


class Mood(Struct, frozen=True):
    """How the carrier answers the question itself, and whether it goes on so or comes round."""

    what: str
    answer: Callable[[], web.Response]
    lasting: bool


class Stage:
    """Each step of the exchange in its turn, the last of its kind again and again."""

    def __init__(self, exchange: Exchange, folder: Path) -> None:
        self._steps = exchange.steps
        self._folder = folder
        self._mood: Mood | None = None
        self._spared: frozenset[Key] = frozenset()
        self.base = ""
        self.turns: Counter[Key] = Counter()
        self.unknown: list[Key] = []  # asked, and no step
        self.sent: list[str] = []  # each request in words: path, query, body, headers

    @classmethod
    @asynccontextmanager
    async def open(cls, exchange: Exchange, folder: Path) -> AsyncIterator[Self]:
        """The carrier, listening at `base`."""
        stage = cls(exchange, folder)
        runner = web.ServerRunner(web.Server(stage._answer))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            stage.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield stage
        finally:
            await runner.cleanup()

    def begin(self, mood: Mood | None = None, *, spared: frozenset[Key] = frozenset()) -> None:
        """From the first step again; `spared` are the requests that the mood does not touch."""
        self._mood, self._spared = mood, spared
        self.turns.clear()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        key = (request.method, request.path)
        body = (await request.read()).decode("utf-8", "replace")
        self.sent.append(unquote(f"{request.path_qs} {body} {dict(request.headers)}"))
        turn = self.turns[key]
        self.turns[key] += 1
        if self._mood and key not in self._spared and (self._mood.lasting or turn == 0):
            return self._mood.answer()
        return self._step(key, turn)

    def _step(self, key: Key, turn: int) -> web.Response:
        steps = [step for step in self._steps if (step.method, unquote(step.path)) == key]
        if not steps:
            self.unknown.append(key)
            return web.Response(status=404, text="no step of the exchange")
        step = steps[min(turn, len(steps) - 1)]
        return web.Response(body=step.body(self._folder), status=step.status, headers={"Content-Type": step.type()})
