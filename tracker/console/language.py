"""Which language a reader gets: the one asked for, else the one kept, else the one the browser prefers."""

from __future__ import annotations

COOKIE = "milepost_lang"
LANGUAGES = ("zh", "en")


def choose(asked: str | None, kept: str | None, accept: str) -> str:
    """`zh` or `en` from ?lang=, the cookie and the Accept-Language header, in this order."""
    for wish in (asked, kept):
        if wish in LANGUAGES:
            return wish
    ranked = sorted((_ranked(part) for part in accept[:256].split(",")), key=lambda found: -found[0])
    return next((tag for quality, tag in ranked if quality > 0 and tag in LANGUAGES), "en")


def _ranked(part: str) -> tuple[float, str]:
    tag, _, rest = part.strip().partition(";")
    name, _, value = rest.strip().partition("=")
    return _quality(value) if name.strip() == "q" else 1.0, tag.strip().lower().split("-")[0]


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
