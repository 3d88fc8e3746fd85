"""How often each may come: token buckets by name, in this process alone. No I/O."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from msgspec import Struct

_MOST = 65_536  # names that are remembered; a name that is not has its whole quota


class Standing(Struct, frozen=True):
    """What is left of a quota after a request: requests now, and seconds until it is whole again."""

    left: int
    whole_in_s: int
    wait_s: int = 0  # more than 0: the request was refused, and one after that time will not be


class Rates:
    """`rate` requests a second by each name, of which those of `window_s` seconds may come at once; 0: no bound.

    The generic cell rate algorithm: one number for each name, the time at which its quota is whole again.
    """

    def __init__(
        self, rate: float, window_s: float = 30.0, *, policy: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.quota = max(1, int(rate * window_s))
        self.bounded = rate > 0
        self._step = 1 / rate if rate > 0 else 0.0
        self._window = self.quota * self._step
        self._policy = policy
        self._clock = clock
        self._whole_at: dict[str, float] = {}

    def take(self, name: str, weight: int = 1) -> Standing:
        """One request of that name, which counts for `weight` of them; a refused one costs nothing."""
        if not self.bounded:
            return _UNBOUNDED
        now = self._clock()
        whole_at = max(self._whole_at.get(name, now), now)
        cost = self._step if weight == 1 else min(weight * self._step, self._window)
        wait = whole_at + cost - now - self._window
        if wait > 1e-9:
            return Standing(0, math.ceil(whole_at - now), math.ceil(wait))
        self._whole_at[name] = whole_at = whole_at + cost
        if len(self._whole_at) > _MOST:
            self._forget(now)
        debt = whole_at - now
        return Standing(int((self._window - debt) / self._step + 1e-9), math.ceil(debt))

    def wait_s(self, name: str) -> int:
        """How long the name has to wait, without a request; 0: it need not."""
        whole_at = self._whole_at.get(name)
        return 0 if whole_at is None else max(0, math.ceil(whole_at + self._step - self._clock() - self._window - 1e-9))

    def headers(self, standing: Standing) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-10 has them, and `Retry-After`."""
        if not self.bounded:
            return {}
        said = {
            "RateLimit-Policy": f'"{self._policy}";q={self.quota};w={math.ceil(self._window)}',
            "RateLimit": f'"{self._policy}";r={standing.left};t={standing.whole_in_s}',
        }
        return said | {"Retry-After": str(standing.wait_s)} if standing.wait_s else said

    def _forget(self, now: float) -> None:
        """Those whose quota is whole again, and where that is not enough the oldest."""
        kept = {name: at for name, at in self._whole_at.items() if at > now}
        for name in list(kept)[: max(0, len(kept) - _MOST // 2)]:
            del kept[name]
        self._whole_at = kept


_UNBOUNDED = Standing(0, 0)
