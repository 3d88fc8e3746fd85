"""A worker process: its settings come as one line of JSON on standard input, whose end is the end of its parent."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvloop

from tracker.app import serve
from tracker.config.settings import Settings


def main() -> int:
    """Run one role until told to stop, or until the parent is gone."""
    line = sys.stdin.buffer.readline()
    return uvloop.run(_run(msgspec.json.decode(line, type=Settings)))


async def _run(settings: Settings) -> int:
    orphaned = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), orphaned.set)
    return await serve(settings, stop=orphaned)


if __name__ == "__main__":
    sys.exit(main())
