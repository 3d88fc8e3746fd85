"""A power cut: what was written and not fsynced is gone, and so are names whose directory was not.

`power.c` is preloaded into the daemon and its server and keeps a durable copy of every file; `Power.cut` puts the files
back to it, which is the worst that a disk may do by the letter of fsync(2).
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.faults.preload import built

_SOURCE = Path(__file__).with_name("power.c")
_MADE_ANEW = (".lock", ".sock", ".log", ".pid", "-shm")


class Power:
    """The durable copies of the files below `root`; `kept` is where they lie."""

    def __init__(self, root: Path, kept: Path) -> None:
        self._root, self._kept = root, kept
        self._library = built(_SOURCE, kept.with_suffix(".so"))
        self._dice = random.Random(11)
        self.unsynced = 0  # bytes that cuts took away
        self._boot()

    @property
    def environment(self) -> dict[str, str]:
        """What a process is started with, so that it is watched."""
        return {
            "LD_PRELOAD": str(self._library),
            "POWER_ROOT": str(self._root.resolve()),
            "POWER_KEPT": str(self._kept.resolve()),
        }

    def cut(self, *, torn: bool = False) -> None:
        """Leave what is durable and no more; nothing may run. `torn`: a part of what was not fsynced got there too."""
        durable = self._durable_names()
        copies = {path: self._content(path, inode) for path, inode in durable.items()}
        for path in self._files():
            if path not in copies:
                self.unsynced += path.stat().st_size
                path.unlink()
        for path, content in copies.items():
            now = path.read_bytes() if path.exists() else b""
            extra = len(now) - len(content)
            self.unsynced += max(extra, 0)
            part = self._dice.randrange(extra) if torn and extra > 0 and now.startswith(content) else 0
            left = content + now[len(content) : len(content) + part]
            if now != left:
                path.write_bytes(left)
        for index in self._root.rglob("*-shm"):
            index.unlink()
        self._boot()

    def _boot(self) -> None:
        """All that there is now has lasted."""
        shutil.rmtree(self._kept, ignore_errors=True)
        self._kept.mkdir(mode=0o700)
        self._names = {path: path.stat().st_ino for path in self._files()}

    def _files(self) -> list[Path]:
        found = (path for path in self._root.resolve().rglob("*") if path.is_file() and not path.is_symlink())
        return [path for path in found if not path.name.endswith(_MADE_ANEW)]

    def _durable_names(self) -> dict[Path, int]:
        """The names that a directory's fsync made last, each with its file."""
        durable, current = dict(self._names), dict(self._names)
        journal = self._kept / "journal"
        for line in journal.read_text().splitlines() if journal.exists() else ():
            what, *told = line.split("\t")
            if what == "C":
                current[Path(told[0])] = int(told[1])
            elif what == "R":
                current.pop(Path(told[0]), None)
                current[Path(told[1])] = int(told[2])
            elif what == "U":
                current.pop(Path(told[0]), None)
            else:
                inside = Path(told[0])
                durable = {path: inode for path, inode in durable.items() if path.parent != inside}
                durable |= {path: inode for path, inode in current.items() if path.parent == inside}
        return durable

    def _content(self, path: Path, inode: int) -> bytes:
        mirror, gone = self._kept / str(inode), self._kept / f"gone.{inode}"
        if mirror.exists():
            return mirror.read_bytes()
        if inode not in self._names.values():  # new, and never fsynced
            return b""
        untouched = path if path.exists() and path.stat().st_ino == inode else gone
        return untouched.read_bytes()
