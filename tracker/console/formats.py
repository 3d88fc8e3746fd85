"""Times and durations as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from tracker.console.messages import translate

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_WEEKDAYS_ZH = "一二三四五六日"


class Clock(NamedTuple):
    """A time taken apart for the page: `text` without its zone, `zone` as `+08:00`, `UTC` or "" (unknown)."""

    iso: str
    text: str
    date: str
    time: str
    zone: str
    ours: bool  # written by our own clock: the page may show it in the reader's zone


def duration(seconds: float, lang: str) -> str:
    """The two largest units: `2 天 3 小时`, `2 d 3 h`, `40 s`."""
    left = max(0, int(seconds))
    parts: list[tuple[str, int]] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((unit, count))
    shown = [part for part in parts[:2] if part[1]] or [("s", 0)]
    return " ".join(translate(f"unit_{unit}", lang, n=count) for unit, count in shown)


def latency(ms: float, lang: str) -> str:
    """How long an answer took: `12 ms`, `15.0 s`, `< 1 ms`."""
    if round(ms) >= 1000:
        return translate("unit_s", lang, n=f"{ms / 1000:.1f}")
    return translate("unit_ms", lang, n=round(ms) or "< 1")


def clock(iso: str, now: float) -> Clock:
    """Take an ISO 8601 time apart; the year is shown unless it is this one."""
    at = datetime.fromisoformat(iso)
    ours = iso.endswith("Z")
    this_year = at.year == datetime.fromtimestamp(now, UTC).year
    date = f"{at:%m-%d}" if this_year else f"{at:%Y-%m-%d}"
    zone = "UTC" if ours else f"{at:%z}"
    if len(zone) == 5:
        zone = f"{zone[:3]}:{zone[3:]}"
    return Clock(iso, f"{date} {at:%H:%M}", date, f"{at:%H:%M}", zone, ours)


def day(iso: str, lang: str) -> str:
    """The calendar day on the clock that wrote it: `11月20日 周五`, `Fri 20 Nov`."""
    at = datetime.fromisoformat(iso)
    if lang == "zh":
        return f"{at.month}月{at.day}日 周{_WEEKDAYS_ZH[at.weekday()]}"
    return f"{at:%a} {at.day} {at:%b}"


def seconds_since(iso: str, now: float) -> float:
    """Seconds from a time until `now`; a time without a zone counts as UTC."""
    at = datetime.fromisoformat(iso)
    return now - (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
