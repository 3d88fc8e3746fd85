"""A parking that is full is counted scan by scan, and said in the log now and then."""

from __future__ import annotations

import structlog
from structlog.testing import LogCapture

from tracker.crowding import Crowding


def test_what_made_room_is_counted_at_once_and_whose_it_was_is_said_once_a_minute() -> None:
    structlog.reset_defaults()  # a daemon's own level, of an earlier test, may pass over warnings
    structlog.configure(processors=[said := LogCapture()])
    counted: list[int] = []
    now = [0.0]
    crowding = Crowding(counted.append, clock=lambda: now[0])
    for at, account in ((0.0, "acme"), (10.0, "acme"), (20.0, "other"), (61.0, "acme")):
        now[0] = at
        crowding.made_room(account, 3)
    structlog.reset_defaults()
    assert counted == [3, 3, 3, 3]
    assert [(line["account"], line["scans_dropped"]) for line in said.entries] == [
        ("acme", 3),
        ("other", 3),
        ("acme", 6),
    ]
