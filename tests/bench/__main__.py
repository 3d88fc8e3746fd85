"""`python -m tests.bench [names…] [--quick] [--profile DIRECTORY]`: measure, and print each figure as it is known."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from os import cpu_count
from pathlib import Path

import structlog
import uvloop
from msgspec import structs

from tests.bench.beside_bullmq import beside_bullmq
from tests.bench.commit import commit
from tests.bench.delivery import delivery
from tests.bench.figures import QUICK, Figure, Sizes, shown
from tests.bench.intake import intake
from tests.bench.latency import bystanders, latency
from tests.bench.memory import memory
from tests.bench.parse import parse
from tests.bench.polls import polls

BENCHES: dict[str, Callable[[Sizes], AsyncIterator[Figure]]] = {
    "intake": intake,
    "commit": commit,
    "delivery": delivery,
    "latency": latency,
    "bystanders": bystanders,
    "parse": parse,
    "polls": polls,
    "memory": memory,
}
ASKED_FOR: dict[str, Callable[[Sizes], AsyncIterator[Figure]]] = {"bullmq": beside_bullmq}  # needs node and npm


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit 0 where every mark was met, 1 where one was not; `--quick` measures too little to hold marks against."""
    said = _parser().parse_args(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    sizes = QUICK if said.quick else Sizes(rounds=said.rounds)
    if said.profile:
        said.profile.mkdir(parents=True, exist_ok=True)
        sizes = structs.replace(sizes, profiles=said.profile)
    print(f"{time.strftime('%Y-%m-%d')}  {cpu_count()} cores, {platform.system()}, Python {platform.python_version()}")
    short = uvloop.run(_measured(said.names or list(BENCHES), sizes, marked=not said.quick))
    return 1 if short else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*BENCHES, *ASKED_FOR, []],
        help=f"which to measure; none: all but {', '.join(ASKED_FOR)}",
    )
    parser.add_argument("--quick", action="store_true", help="small rounds: does it run at all?")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median counts (5)")
    parser.add_argument("--profile", type=Path, metavar="DIRECTORY", help="leave cProfile files there; slows all down")
    return parser


async def _measured(names: Sequence[str], sizes: Sizes, *, marked: bool) -> list[str]:
    """The names of the figures that fell short."""
    short = []
    for name in names:
        began = time.monotonic()
        async for one in (BENCHES | ASKED_FOR)[name](sizes):
            print(shown(one, marked=marked), flush=True)
            short += [one.name for mark in one.marks if marked and not mark.met]
        print(f"  {name}: {time.monotonic() - began:.0f} s\n", flush=True)
    return short


if __name__ == "__main__":
    sys.exit(main())
