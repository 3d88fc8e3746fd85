"""What time it is, as the store's server sees it: its `TIME` when it was last asked, and our steady clock since.

What is due when is compared on the server. So a daemon whose own clock is wrong, or steps, would ask too early and too
often, or not at all; and two daemons would disagree. With this one they do not, whatever their hosts say.
"""

from __future__ import annotations

import time
from collections.abc import Sequence


class Clock:
    """Call it for the seconds since 1970. Before the server was asked, it is the host's time."""

    def __init__(self) -> None:
        self._ahead: float | None = None  # of the steady clock, s

    def __call__(self) -> float:
        return time.time() if self._ahead is None else time.monotonic() + self._ahead

    def learn(self, told: Sequence[bytes], asked: float, answered: float) -> None:
        """Take in an answer to `TIME` (seconds, microseconds), and when it was asked and answered, s of monotonic time.

        An answer that the way there and back explains changes nothing: time shall not waver with the load.
        """
        ahead = int(told[0]) + int(told[1]) / 1e6 - (asked + answered) / 2
        if self._ahead is None or abs(ahead - self._ahead) > (answered - asked) / 2 + 0.001:
            self._ahead = ahead
