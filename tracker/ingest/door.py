"""The one door: a registration, a push, a poll, a patch and a stall all become a commit here, and nowhere else."""

from __future__ import annotations

from tracker.ingest.changing import Changing
from tracker.ingest.receiving import Receiving


class Ingest(Receiving, Changing):
    """The door. `due` says when a shipment wants to be looked at again (ms; None: never).

    `closed` says why nothing may be written now, "" while the door is open; deletions always pass. `unknown` hears of
    the scans that nothing covers: whose, the carrier, its code and its words; `made_room` of those that were parked and
    had to make room for others. By `clock` (s) it sees that time was set back since a shipment was heard of
    last; without one it never is.
    """
