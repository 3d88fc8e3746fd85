"""The slots of one destination: how many may be under way, how fast, and whether it is worth trying at all.

A destination that fails gets fewer slots, down to one. One that does nothing else is shut: nothing is claimed for it,
until it is time for a probe, a single attempt, whose success opens it again.
"""

from __future__ import annotations

from collections import deque

from tracker.store.types import Delivery

TRIPS = 5  # failures in a row shut an outlet
PROBE_S = (1.0, 60.0)  # the first wait for a probe, doubled by each that fails, and the longest
_AHEAD_S = 0.2  # a healthy destination has so much work claimed ahead
_MOST_AHEAD = 16  # times its slots
_TURN_S = 1.0  # nothing is claimed whose turn is further off
_REMEMBERED_S = 5.0  # how long we know how fast an idle destination was


class Outlet:
    """Times are those of the loop's clock, in seconds.

    `width` of `most` slots may be busy; failures narrow it, successes widen it. `rate` attempts may begin in a second
    (0: any number). `patience` multiplies the waits for a probe; with 0 the outlet is never shut. A `suspect` was
    failing when it was last heard of, so one more failure shuts it.
    """

    __slots__ = (
        "busy",
        "failing",
        "failures",
        "most",
        "next_at",
        "patience",
        "rate",
        "shut_until",
        "took",
        "used_at",
        "waiting",
        "width",
    )

    def __init__(self, most: int, *, rate: float = 0.0, patience: float = 1.0, suspect: bool = False) -> None:
        self.most = most
        self.rate = rate
        self.patience = patience
        self.busy = 0
        self.used_at = 0.0
        self.next_at = 0.0  # when the next attempt may begin
        self.waiting: deque[tuple[Delivery, float]] = deque()
        self.begin_anew()
        if suspect:
            self.failures, self.width = TRIPS - 1, 1

    def begin_anew(self) -> None:
        """Forget how it went."""
        self.took = 0.0  # seconds per attempt, smoothed
        self.width = self.most
        self.failing = False
        self.failures = 0
        self.shut_until = 0.0

    def limit(self, most: int, rate: float) -> None:
        """Take other limits on."""
        self.width = most if self.width == self.most else min(self.width, most)
        self.most, self.rate = most, rate

    def free(self, now: float) -> int:
        """How many more to claim: beside those under way, what a healthy outlet works off in a moment."""
        if now < self.shut_until or (self.rate and self.next_at > now + _TURN_S):
            return 0
        ahead = 0 if self.failures or not self.took else min(_MOST_AHEAD, int(_AHEAD_S / self.took))
        room = self.width * (1 + ahead) - self.busy - len(self.waiting)
        if self.rate:
            room = min(room, max(1, int(self.rate)) - len(self.waiting))
        return max(0, room)

    def forgettable(self, now: float) -> bool:
        """Whether nothing would be lost by beginning anew."""
        resting = not self.busy and not self.failures and self.width == self.most and now >= self.next_at
        return resting and now - self.used_at > _REMEMBERED_S

    def turn(self, now: float) -> float:
        """Take the next place in the rate; how many seconds off it is."""
        at = max(now, self.next_at)
        self.next_at = at + 1 / self.rate
        return at - now

    def learn(self, well: bool, took: float, now: float, rest: float = 0.0) -> bool:
        """Adapt; whether the destination just began to fail or to work again. `rest`: for so long it asks for quiet."""
        took = max(took, 0.001)
        self.took += (took - self.took) / 8 if self.took else took
        self.used_at = now
        turned = self.failing == well
        self.failing = not well
        if well:
            self.width = min(self.most, self.width + 1)
            self.failures = 0
            self.shut_until = 0.0
        elif now >= self.shut_until:  # what was under way when it was shut tells nothing new
            self._failed(now)
            if rest and self.patience:
                self.shut_until = max(self.shut_until, now + min(rest, PROBE_S[1]))
        return turned

    def _failed(self, now: float) -> None:
        self.width = max(1, self.width // 2)
        self.failures += 1
        if self.failures >= TRIPS and self.patience:
            self.width = 1
            first, longest = PROBE_S
            self.shut_until = now + self.patience * min(longest, first * 2.0 ** min(self.failures - TRIPS, 16))
