"""Wrong keys and secrets: who tries too many has to wait, twice as long each time. No I/O."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable

from msgspec import Struct

_FREE = 8  # failures that cost nothing: people mistype, programs are set up
_LONGEST_S = 900
_FORGOTTEN_S = 3600  # after the last failure
_MOST = 8192  # of each kind that are remembered


class _Failures(Struct):
    count: int = 0
    last_at: float = 0.0
    until: float = 0.0


class Guesses:
    """Failures by who made them, an address, and the pairs of address and key that have proved themselves.

    From the eighth failure on nobody may try again for 1 s, then 2, 4, … 900 s; what comes meanwhile is not looked at
    and does not count. An hour without a failure and all is forgotten. Both tables are bounded: the oldest entries make
    room.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()
        self._proved: OrderedDict[Hashable, None] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether anybody failed lately."""
        return bool(self._failures)

    def wait_s(self, who: Hashable, now: float) -> int:
        """How many seconds (rounded up) until the next attempt; 0: it may be made."""
        found = self._failures.get(who)
        return max(0, math.ceil(found.until - now)) if found else 0

    def failed(self, who: Hashable, now: float) -> None:
        """Remember a failure."""
        found = self._failures.pop(who, None)
        if found is None or now > found.last_at + _FORGOTTEN_S:
            found = _Failures()
        found.count += 1
        found.last_at = now
        if found.count >= _FREE:
            found.until = now + min(_LONGEST_S, 2.0 ** min(found.count - _FREE, 20))
        self._failures[who] = found
        _bound(self._failures)

    def proved(self, who: Hashable) -> None:
        """This one showed the right secret: others at its address do not make it wait."""
        if who not in self._proved:
            self._proved[who] = None
            _bound(self._proved)

    def has_proved(self, who: Hashable) -> bool:
        """Whether it did."""
        return who in self._proved


def _bound(table: OrderedDict[Hashable, _Failures] | OrderedDict[Hashable, None]) -> None:
    while len(table) > _MOST:
        table.popitem(last=False)
