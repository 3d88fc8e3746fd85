"""The other processes of a benchmark: started as children, told what to do over their stdin, ended by their pid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

Answer = dict[str, Any]
ROOT = Path(__file__).parents[2]
_ENDS_WITHIN_S = 30.0
_ANSWER_MAX = 1 << 24


class Child:
    """A process of ours that answers one JSON line for each that it is told."""

    def __init__(self, process: asyncio.subprocess.Process, ready: Answer) -> None:
        self._process = process
        self.ready = ready

    async def ask(self, command: str, **said: Any) -> Answer:
        """What it answers to the command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **said}).encode() + b"\n")
        await self._process.stdin.drain()
        return await _line(self._process)


async def _line(process: asyncio.subprocess.Process) -> Answer:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"process {process.pid} of the benchmark ended before it answered")
    answer: Answer = json.loads(line)
    return answer


@contextlib.asynccontextmanager
async def spawned(words: Sequence[str], **how: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in the repository; it is ended, and waited for, on leaving."""
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, **how)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_ENDS_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def spoken_to(words: Sequence[str]) -> AsyncIterator[Child]:
    """A process that obeys, once it has said that it is ready."""
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    async with spawned(words, limit=_ANSWER_MAX, **pipes) as process:
        try:
            yield Child(process, await _line(process))
        finally:
            await _let_go(process)


def child(module: str, *arguments: str) -> contextlib.AbstractAsyncContextManager[Child]:
    """`tests.bench.<module>` as a process, once it has said that it is ready."""
    return spoken_to([sys.executable, "-m", f"tests.bench.{module}", *arguments])


async def _let_go(process: asyncio.subprocess.Process) -> None:
    """Close its pipe, which ends it in order, and what it started with it."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await process.wait()


async def obey(ready: Answer, commands: Callable[[Answer], Awaitable[Answer]]) -> None:
    """In the child: say that it is ready, then answer commands until whoever started it closes the pipe."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps(ready), flush=True)
    while line := await reader.readline():
        print(json.dumps(await commands(json.loads(line))), flush=True)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used so far; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def store_pid(data: Path) -> int:
    """The process id of the server that runs in a daemon's data directory."""
    return int((data / "store" / "server.pid").read_text())


@contextlib.contextmanager
def workspace() -> Any:
    """A directory that is gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="milepost-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
