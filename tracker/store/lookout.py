"""Which shards are worth a look for lanes with due work, as one who claims again and again knows it.

Most deliveries are claimed as their lanes are filled, so most looks would find nothing. A shard is looked at when
something there is said to be due: by a wake-up, by our own settlements, by the time of what waited there when we last
looked, or because a destination that we passed over has slots again. What goes by unheard is found by a look at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable


class Lookout:
    """Times are those of the loop's clock, in seconds. `woken` is called when there is news from outside.

    Every shard is looked at once in `every_s`, whatever was heard.
    """

    def __init__(self, shards: int, every_s: float, woken: Callable[[], object]) -> None:
        self._shards = range(shards)
        self._every_s = every_s
        self._woken = woken
        self._clock = asyncio.get_running_loop().time
        self._all_at = 0.0
        self._due: set[int] = set()
        self._later: dict[int, float] = {}
        self._passed_over: set[int] = set()  # shards whose due work was all for destinations without slots
        self._busy: frozenset[bytes] = frozenset()  # those destinations, as of the last look

    def heard(self, shard: int) -> None:
        """Somebody filled lanes there, or may have."""
        self._due.add(shard)
        self._woken()

    def mark(self, shards: Iterable[int]) -> None:
        """There is work in these shards, or may be."""
        self._due.update(shards)

    def look(self, busy: Collection[bytes]) -> list[int]:
        """The shards to look at now, passing over what is due for `busy` destinations; then `saw` or `mark` each."""
        now, busy = self._clock(), frozenset(busy)
        if not self._busy <= busy:
            self._due |= self._passed_over
        self._busy = busy
        if now >= self._all_at:
            self._all_at = now + self._every_s
            self._due.update(self._shards)
        self._due.update([shard for shard, at in self._later.items() if at <= now])
        shards, self._due = self._due, set()
        self._passed_over -= shards
        for shard in shards & self._later.keys():
            del self._later[shard]
        return sorted(shards)

    def saw(self, shard: int, *, passed_over: bool, next_s: float | None) -> None:
        """Nothing is due there for anyone with slots; `next_s` from now something will be."""
        if passed_over:
            self._passed_over.add(shard)
        if next_s is not None:
            self._later[shard] = self._clock() + next_s

    def rest_s(self) -> float:
        """How long nothing needs a look, as far as is known now."""
        if self._due:
            return 0.0
        return max(0.0, min([self._all_at, *self._later.values()]) - self._clock())
