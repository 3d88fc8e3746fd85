"""The parking of an account is full: those that have waited longest make room, which is counted and said."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

_SAID_EVERY_S = 60.0
_ACCOUNTS = 1_000  # that are remembered as having been named

log = structlog.get_logger()


class Crowding:
    """Hears of each scan that made room; names the account once a minute."""

    def __init__(self, count: Callable[[int], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}  # account → when, and scans since

    def made_room(self, account: str, scans: int) -> None:
        """So many scans that were parked for the account are no longer."""
        self._count(scans)
        at, since = self._said.pop(account, (float("-inf"), 0))
        since += scans
        if self._clock() - at >= _SAID_EVERY_S:
            log.warning("parking_full", account=account, scans_dropped=since, setting="limits.parked_mib")
            at, since = self._clock(), 0
        self._said[account] = at, since
        if len(self._said) > _ACCOUNTS:
            del self._said[next(iter(self._said))]
