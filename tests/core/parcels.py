"""An invented carrier, an aggregator that tells of it, and the scans that they tell."""

from __future__ import annotations

from collections.abc import Sequence

from carriers.registry import Registry
from carriers.sdk import Ask, Carrier, M, Meaning, R, coarse
from tracker.model import Certainty, Moment, Report, Scan, Summary

HOUR = 3_600
START = 1_790_064_000  # 2026-09-22T08:00:00+08:00 as that clock shows it
NOW = (START + 100 * HOUR) * 1000  # ms

MILESTONES: dict[str, Meaning] = {
    "BKD": M.INFO_RECEIVED,
    "PUP": M.PICKED_UP,
    "ARR": M.HUB_ARRIVED,
    "DEP": M.HUB_DEPARTED,
    "OFD": M.OUT_FOR_DELIVERY,
    "NAH": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "LOC": M.AVAILABLE_FOR_PICKUP,
    "DLV": M.DELIVERED,
    "EXC": (M.EXCEPTION, R.LOST),
    "RTS": M.RETURNING,
    "RTD": M.RETURNED,
    "CNL": M.CANCELLED,
    "MOV": coarse(M.IN_TRANSIT),
    "LBL": None,
}


def _needs(ask: Ask) -> str:
    return "" if ask.phone_tail else "phone_tail"


def _nothing(body: bytes, content_type: str) -> list[Report]:
    return []


ACME = Carrier(slug="acme", name="Acme Post", docs="https://acme.example/docs", milestones=MILESTONES, parse=_nothing)
BOLT = Carrier(slug="bolt", name="Bolt", docs="https://b.example", milestones=MILESTONES, parse=_nothing, needs=_needs)
ALLTRACK = Carrier(
    slug="alltrack",
    name="Alltrack",
    docs="https://alltrack.example/docs",
    milestones=MILESTONES,
    parse=_nothing,
    aggregator=True,
    carriers={"1001": "acme", "1002": "far-post"},
)
REGISTRY = Registry([ACME, BOLT, ALLTRACK])


def at(hours: float) -> Moment:
    """A reading of a clock in China, so many hours into the journey."""
    return Moment(int(START + hours * HOUR), 480, Certainty.GIVEN)


def scan(code: str, hours: float, text: str = "", location: str = "") -> Scan:
    """A scan of that code."""
    return Scan(time=at(hours), code=code, text=text or f"words of {code}", location=location)


def report(waybill: str, *scans: Scan, full: bool = False, summary: Summary | None = None, carrier: str = "") -> Report:
    """What one body says of one waybill."""
    return Report(waybill=waybill, scans=scans, full=full, summary=summary, carrier=carrier)


def journey(*codes: str) -> Sequence[Scan]:
    """Scans of these codes, an hour apart."""
    return [scan(code, hour) for hour, code in enumerate(codes)]
