"""The embedded server's log as a file: what a power cut leaves at its end, and how far a damaged one can be read."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path

import structlog

logger = structlog.get_logger()

_CHECK_S = 120.0
_BLOCK = 1 << 16
_UNREADABLE = "reading the append only file"
_ADVICE = ": make a backup"
_UP_TO = re.compile(r"size=(\d+), ok_up_to=(\d+)")


def current(directory: Path) -> Path | None:
    """The file that the server of that directory appends to; None where there is none yet."""
    folder = directory / "appendonlydir"
    with contextlib.suppress(OSError):
        for line in reversed((folder / "appendonly.aof.manifest").read_text().splitlines()):
            words = line.split()
            if words[:1] == ["file"] and words[-2:] == ["type", "i"]:
                return folder / words[1]
    return None


def tidy(directory: Path) -> None:
    """Make the log readable and its place clean, where no server lives: after a power cut, a kill or a full disk."""
    if cut := cut_zeros(directory):
        logger.warning("zeros_cut_off", file=str(cut[0]), bytes=cut[1], why="the power was cut in a write")
    for path in directory.glob("temp-*"):  # a log that was being rewritten: as large as the store, and of no use now
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def cut_zeros(directory: Path) -> tuple[Path, int] | None:
    """Cut zeros off the end of the log; which file, and how many there were.

    A file system may have the new length of a file on disk and not what was written there: zeros, which the server
    would refuse to read. A command ends in a newline, so that nothing that was acknowledged ends in a zero.
    """
    path = current(directory)
    if path is None or not path.exists():
        return None
    with path.open("r+b") as log:
        size = log.seek(0, os.SEEK_END)
        kept = size
        while kept:
            start = max(0, kept - _BLOCK)
            log.seek(start)
            block = log.read(kept - start).rstrip(b"\0")
            kept = start + len(block)
            if block:
                break
        if kept == size:
            return None
        log.truncate(kept)
        os.fsync(log.fileno())
    return path, size - kept


def last_words(directory: Path, binary: Path) -> str:
    """Why the server of that directory ended: its last complaints, and what to do about a log that it can't read."""
    lines = (directory / "server.log").read_text(errors="replace").strip().splitlines()[-3:]
    complaints = [text for _, mark, text in (line.partition(" # ") for line in lines) if mark]
    said = " / ".join(complaints or lines) or "no reason given"
    path = current(directory)
    found = _readable(path, binary) if path and _UNREADABLE in said else None
    if found is None:
        return said
    up_to, size = found
    return (
        f"{said.partition(_ADVICE)[0]}; it can be read up to byte {up_to} of {size} and was left as it is: restore a "
        f"backup, or copy the directory and cut it off there, which loses what follows: truncate -s {up_to} {path}"
    )


def _readable(path: Path, binary: Path) -> tuple[int, int] | None:
    """Up to which byte a log can be read, of how many, by the server's own checker: its program under another name.

    None where all of it can be read, and where nobody can tell. The checker is asked about the one file: given the
    manifest, as the server advises, it takes the server's own snapshot (Valkey 9.1) for a damaged log.
    """
    name = binary.name.replace("-server", "-check-aof")
    try:
        told = subprocess.run(
            [name, str(path)],
            executable=binary,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHECK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _UP_TO.search(told.stdout.decode(errors="replace"))
    return (int(found[2]), int(found[1])) if found and told.returncode else None
