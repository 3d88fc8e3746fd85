"""A call that is cancelled at one of its awaits, in whichever of its tasks that is; nothing is left to chance.

A task factory looks into every task that the call starts and counts where they wait. At the await that was chosen the
call itself is cancelled, as a deadline, a client that left or a daemon that ends does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Coroutine, Generator, Iterator
from contextvars import Context, ContextVar
from enum import StrEnum
from itertools import count
from random import Random
from typing import Any

from tests.store.lines import Line
from tracker.store import Store

_ASKED_S = 0.5  # the longest that a request takes to the line; one behind a held answer does not get there
_BEGUN_S = 0.0005  # where there is no line to tell
_LOT = 6

_dice = Random(7)


class When(StrEnum):
    """At which moment of an await the call is cancelled."""

    UNSENT = "before its command is sent"
    UNANSWERED = "after it was sent, before its answer came"
    ANSWERED = "when its answer is there, before it is taken"


class Bystanders:
    """Callers that share the connections: each asks for a word of its own, and must get that one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._words = count()
        self._asked: list[tuple[bytes, asyncio.Future[bytes]]] = []

    def ask(self) -> None:
        for primary in self._store.wire.primaries():
            word = b"word %d" % next(self._words)
            self._asked.append((word, primary.send(b"ECHO", word)))

    async def check(self) -> None:
        self.ask()
        asked, self._asked = self._asked, []
        assert await asyncio.gather(*[answer for _, answer in asked]) == [word for word, _ in asked]


class Cut:
    """One call, cancelled at its await number `at` (from 0) if it comes that far.

    `line` is the one over which it asks, `bystanders` ask beside it at each of its awaits.
    """

    def __init__(self, at: int, when: When, line: Line | None = None, bystanders: Bystanders | None = None) -> None:
        self._at, self._when = at, when
        self._line = line
        self._bystanders = bystanders
        self._amid: asyncio.Task[None] | None = None
        self.awaits = 0
        self.task: asyncio.Task[Any]

    async def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The call's answer, None where it was cancelled; raises what it raises."""
        context = Context()
        context.run(_CUT.set, self)
        self.task = asyncio.get_running_loop().create_task(call, context=context)
        await asyncio.wait([self.task])
        if self._amid:
            await self._amid
        return None if self.task.cancelled() else self.task.result()

    def waits(self, waited: Any) -> None:
        """A task of the call is about to wait for that."""
        if self._bystanders:
            self._bystanders.ask()
        self.awaits += 1
        if self.awaits != self._at + 1:
            return
        if self._when is When.UNSENT:
            self.task.cancel()
        elif self._when is When.UNANSWERED:
            if self._line:
                self._line.hold()
            self._amid = asyncio.get_running_loop().create_task(self._unanswered(), context=Context())
        elif asyncio.isfuture(waited):
            waited.add_done_callback(lambda _: self.task.cancel(), context=Context())
        else:
            asyncio.get_running_loop().call_soon(self.task.cancel, context=Context())

    async def _unanswered(self) -> None:
        if self._line is None:
            await asyncio.sleep(_BEGUN_S)
            self.task.cancel()
            return
        await self._line.asked(_ASKED_S)
        self.task.cancel()
        self._line.let_go()


_CUT: ContextVar[Cut] = ContextVar("cut")


class _Watched(Coroutine[Any, Any, Any]):
    """What a task of the call runs, looked at wherever it waits."""

    def __init__(self, cut: Cut, work: Coroutine[Any, Any, Any]) -> None:
        self._cut, self._work = cut, work

    def send(self, value: Any) -> Any:
        return self._seen(self._work.send(value))

    def throw(self, *error: Any) -> Any:
        return self._seen(self._work.throw(*error))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()

    def _seen(self, waited: Any) -> Any:
        self._cut.waits(waited)
        return waited


def _started(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    context: Context | None = options.get("context")
    cut = _CUT.get(None) if context is None else context.get(_CUT)
    return asyncio.Task(_Watched(cut, work) if cut else work, loop=loop, **options)


@contextlib.contextmanager
def uncomplaining() -> Iterator[None]:
    """Fails where the loop had to complain: of an exception that nobody asked for, say."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, told: complaints.append(told))
    try:
        yield
        gc.collect()
        assert complaints == []
    finally:
        loop.set_exception_handler(None)


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Calls can be cut here; fails also where a task of theirs is left."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    loop.set_task_factory(_started)
    try:
        with uncomplaining():
            yield
            assert asyncio.all_tasks() <= before
    finally:
        loop.set_task_factory(None)


def chosen(awaits: int, *, all_of: int = 60) -> list[int]:
    """The awaits at which a call that has so many is cancelled: all, or where there are more than `all_of`, by lot."""
    return list(range(awaits)) if awaits <= all_of else sorted(_dice.sample(range(awaits), min(all_of, _LOT)))
