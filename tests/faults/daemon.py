"""`milepost serve` as a child process: started, killed, started again on the same directory, and its server with it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from redis import Redis

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
READY_S = 60.0
_KEY = re.compile(r"admin key, shown this once: (mp_\S+)")
_TIMEOUT = aiohttp.ClientTimeout(total=30)


def command(*words: str, program: Sequence[str] = ("tracker.cli",)) -> list[str]:
    """The command line of `milepost`, run by this interpreter; `program`: the module, and words before those."""
    return [sys.executable, "-m", *program, *words]


def environment() -> dict[str, str]:
    """Ours without settings of Milepost: those of the tests are none, and any other would change what is tested."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MILEPOST_")}


async def until(condition: Any, *, within: float, what: str, every: float = 0.02) -> Any:
    """The first true value of `condition()` (awaited where it must be); fails the test after `within` seconds.

    Time in which this process did not get to run is not counted: nothing that it drives could go on meanwhile.
    """
    spent = 0.0
    while True:
        began = time.monotonic()
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        spent += time.monotonic() - began + every
        assert spent < within, f"{what}: not within {within:g} s"
        await asyncio.sleep(every)


async def while_moving(
    condition: Callable[[], bool], *, moves: Callable[[], object], stuck_s: float, what: str, every: float = 0.02
) -> None:
    """Wait for the condition as long as `moves()` changes: a busy machine may take its time."""
    seen = moves()
    while not condition():
        await until(
            lambda: condition() or moves() != seen,  # noqa: B023
            within=stuck_s,
            what=f"{what}: a move after {seen}",
            every=every,
        )
        seen = moves()


def _state(pid: int) -> str:
    """Of a process, as /proc has it: Z a zombie, T stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Daemon:
    """One data directory and port, and whatever daemon runs there. Leaving the context ends every process of it."""

    def __init__(self, directory: Path, *, port: int = 0, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.starts = 0
        self.program: Sequence[str] = ("tracker.cli",)
        self.environment: dict[str, str] = {}  # beside the usual one
        self._settings = dict(settings or {})
        self._log = directory.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        self._started_servers: set[int] = set()
        self._http: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything that its daemons said, on both streams."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def key(self) -> str:
        """The admin key, as the first start printed it."""
        found = _KEY.search(self.log)
        assert found, f"no admin key in {self.log[-2000:]}"
        return found[1]

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether it stands still, by SIGSTOP."""
        return _state(self.pid) == "T"

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http:
            await self._http.close()
        await self.kill()
        self.signal_server(signal.SIGKILL)
        await until(lambda: not self.server_pid, within=10, what="the end of the server")
        if error is not None:
            print(f"--- the end of {self._log.name}\n{self.log[-6000:]}")

    # ------------------------------------------------------------ the daemon

    def spawn(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start a daemon in a process group of its own; `settings` with `__` for the dot, over the usual ones."""
        chosen = self._settings | {name.replace("__", "."): value for name, value in settings.items()}
        words = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command("serve", "--data", str(self.directory), "--port", str(self.port), *words, program=self.program),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=environment() | self.environment,
                start_new_session=True,
            )
        self.starts += 1
        return self._process

    async def start(self, **settings: str) -> None:
        """Start a daemon and wait until it is ready."""
        self.spawn(**settings)
        await until(self._ready_or_dead, within=READY_S, what="readiness")
        assert self.server_pid or "store.url" in self._settings

    async def _ready_or_dead(self) -> bool:
        assert self.running, f"the daemon ended with {self._process and self._process.returncode}: {self.log[-3000:]}"
        status, _ = await self.readiness()
        return status == 200

    async def readiness(self, *, patience: float = 30.0) -> tuple[int, Any]:
        """Status and body of `/readyz`; status 0 where nobody answers within `patience` seconds."""
        assert self._http
        try:
            timeout = aiohttp.ClientTimeout(total=patience)
            async with self._http.get(self.url + "/readyz", timeout=timeout) as reply:
                return reply.status, await reply.json()
        except (aiohttp.ClientError, TimeoutError):
            return 0, None

    async def kill(self) -> None:
        """`kill -9` the daemon, if it runs."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        if self._process:
            await until(lambda: not self.running, within=10, what="the end of the daemon")

    async def end(self, number: int = signal.SIGTERM, *, group: bool = False, within: float = 60.0) -> int:
        """Signal the daemon (or its whole process group, as Ctrl-C does) and wait; its exit code."""
        (os.killpg if group else os.kill)(self.pid, number)
        await until(lambda: not self.running, within=within, what="the end of the daemon")
        assert self._process
        return int(self._process.returncode)

    # ------------------------------------------------------------ its server

    @property
    def server_pid(self) -> int:
        """The process id of the server that lives in the directory now; 0 where there is none."""
        try:
            pid = int((self.directory / "store" / "server.pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return 0
        return pid if self._ours(pid) else 0

    def _ours(self, pid: int) -> bool:
        """Whether that process is the server of this directory, and no zombie."""
        seen = Path(f"/proc/{pid}")
        if not seen.parent.exists():  # no /proc here: the pid file is all there is
            return True
        try:
            return _state(pid) != "Z" and seen.joinpath("cwd").readlink() == (self.directory / "store").resolve()
        except OSError:
            return False

    @property
    def server_log(self) -> str:
        return (self.directory / "store" / "server.log").read_text(errors="replace")

    def ask_server(self, *words: str) -> Any:
        """One command to the server that lives in the directory."""
        with Redis(unix_socket_path=str(self.directory / "store" / "store.sock")) as server:
            return server.execute_command(*words)

    async def rewrite_slowly(self, *, a_key_us: int) -> None:
        """Begin to rewrite the log, so many microseconds a key, once the last rewrite is done."""
        self.ask_server("CONFIG", "SET", "rdb-key-save-delay", str(a_key_us))
        await until(lambda: not self.rewriting, within=60, what="the end of a rewrite")
        await until(self._rewrites_or_begins, within=30, what="a rewrite of the log", every=0.001)

    def _rewrites_or_begins(self) -> bool:
        """Whether it is at it; if not, it is asked to: the last one may have ended before anybody looked."""
        if self.rewriting:
            return True
        self.ask_server("BGREWRITEAOF")
        return self.rewriting

    @property
    def rewriting(self) -> bool:
        return bool(self.ask_server("INFO", "persistence")["aof_rewrite_in_progress"])

    def signal_server(self, number: int) -> int:
        """Signal the server that lives in the directory; its process id, 0 where none does."""
        pid = self.server_pid
        if pid:
            os.kill(pid, number)
        return pid

    # ------------------------------------------------------------ what it serves

    async def call(self, method: str, path: str, body: Any = None, *, key: str = "", **query: str) -> Any:
        """The decoded answer of the REST interface; fails the test where it refuses."""
        assert self._http
        headers = {"Authorization": f"Bearer {key or self.key}"}
        async with self._http.request(method, self.url + path, json=body, params=query, headers=headers) as reply:
            text = await reply.text()
            assert reply.status < 400, f"{method} {path}: {reply.status} {text[:1000]}"
            return await reply.json() if text else None


class Tenant:
    """One account of a daemon, as whoever holds its key sees it."""

    def __init__(self, daemon: Daemon, key: str) -> None:
        self._daemon, self.key = daemon, key
        self.url = daemon.url

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The same as the daemon's, with the account's key."""
        return await self._daemon.call(method, path, body, key=self.key, **query)


async def tenant(daemon: Daemon, name: str) -> Tenant:
    """Make an account of that name."""
    made = await daemon.call("POST", "/v1/accounts", {"name": name})
    return Tenant(daemon, made["key"]["key"])


async def run(*words: str, within: float = 60.0) -> tuple[int, str]:
    """Run `milepost` to its end: exit code, and both streams."""
    process = await asyncio.create_subprocess_exec(
        *command(*words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), within)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()
