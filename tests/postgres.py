"""A PostgreSQL of our own for the tests, where one is installed: in a directory of its own, on a unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_DEBIAN = Path("/usr/lib/postgresql")
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # nothing here outlives the session
_PATIENCE_S = 30.0


def lacking() -> str:
    """What the tests need that is not there, and how to get it; "" where all is."""
    if find_spec("asyncpg") is None:
        return "asyncpg is not installed: it is in the extra `postgresql` and in the dev group"
    if _programs() is None:
        return f"no PostgreSQL: neither {_DEBIAN}/*/bin/postgres nor one on the PATH (`apt-get install postgresql`)"
    if os.geteuid() == 0 and _unprivileged() is None:
        return "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`"
    return ""


@contextmanager
def running() -> Iterator[Postgres]:
    """A fresh server; gone, with all that it held, at the end. Ask `lacking` first."""
    programs, user = _programs(), _unprivileged()
    assert programs
    with tempfile.TemporaryDirectory(prefix="milepost-pg-") as directory:
        if user:
            os.chown(directory, user.pw_uid, user.pw_gid)
        server = Postgres(programs, Path(directory), user)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


class Postgres:
    """A server that can be stopped and started again."""

    def __init__(self, programs: Path, directory: Path, user: pwd.struct_passwd | None) -> None:
        self._programs = programs
        self._directory = directory
        self._data = str(directory / "data")
        self._how: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": directory}
        if user:
            self._how |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql+asyncpg://milepost@/postgres?host={directory}"

    def make(self) -> None:
        """Make its files, and one user, `milepost`, who needs no password."""
        options = ("-U", "milepost", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._call("initdb", "-D", self._data, *options).check_returncode()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [part for one in (*_QUICK, "listen_addresses=") for part in ("-c", one)]
        command = [str(self._programs / "postgres"), "-D", self._data, "-k", str(self._directory), *options]
        started: subprocess.Popen[bytes] = subprocess.Popen(command, **self._how)
        self._process = started
        deadline = time.monotonic() + _PATIENCE_S
        while self._call("pg_isready", "-h", str(self._directory), "-q").returncode:
            if started.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once; whoever is connected is thrown out."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([self._programs / program, *arguments], check=False, **self._how)


def _programs() -> Path | None:
    """The newest that Debian has installed, else the one on the PATH."""
    found = [bin for bin in _DEBIAN.glob("*/bin") if (bin / "postgres").exists() and bin.parent.name.isdecimal()]
    if found:
        return max(found, key=lambda bin: int(bin.parent.name))
    elsewhere = shutil.which("postgres")
    return Path(elsewhere).resolve().parent if elsewhere else None


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom it runs as where we are root."""
    if os.geteuid():
        return None
    users = {user.pw_name: user for user in pwd.getpwall()}
    return users.get("postgres") or users.get("nobody")
