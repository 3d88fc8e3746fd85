"""cProfile around what runs in the benchmark's own process, where it is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from cProfile import Profile

from tests.bench.figures import Sizes


@contextlib.contextmanager
def profiled(sizes: Sizes | None, name: str) -> Iterator[None]:
    """Leave `<name>.pstats` in the directory for profiles, if there is one."""
    if sizes is None or sizes.profiles is None:
        yield
        return
    profile = Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(sizes.profiles / f"{name}.pstats")
