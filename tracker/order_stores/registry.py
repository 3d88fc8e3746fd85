"""Which platforms there are: the modules in `platforms/` and the installed packages with the entry point
`milepost.order_stores`. One that is broken is left out and named, and harms no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tracker.order_stores import platforms
from tracker.order_stores.sdk import Platform
from tracker.plugins import Failure, Take, installed, modules, record

ENTRY_POINT = "milepost.order_stores"

_SLUG = re.compile(r"[a-z][a-z0-9_]{0,30}")


class Platforms:
    """The platforms by slug."""

    def __init__(self, found: Iterable[Platform]) -> None:
        self._platforms = {platform.slug: platform for platform in sorted(found, key=lambda one: one.slug)}

    def __iter__(self) -> Iterator[Platform]:
        return iter(self._platforms.values())

    def get(self, slug: str) -> Platform | None:
        """The platform of that slug, None where it is not installed."""
        return self._platforms.get(slug)


def load() -> tuple[Platforms, list[Failure]]:
    """Find and load every platform. A slug that is taken already is a failure of the later one: ours come first."""
    found: dict[str, Platform] = {}
    failures: list[Failure] = []
    for origin, take in _sources():
        try:
            platform = _platform(take())
            if platform.slug in found:
                raise ValueError(f"slug {platform.slug!r} is taken")
        except (Exception, SystemExit) as error:  # an adapter may break in any way, and must not stop the daemon
            failures.append(Failure(origin, f"{type(error).__name__}: {error}"))
        else:
            found[platform.slug] = platform
    return Platforms(found.values()), failures


def _sources() -> Iterator[tuple[str, Take]]:
    for _, origin, take in modules(platforms):
        yield origin, take
    yield from installed(ENTRY_POINT)


_FIELDS: Mapping[str, Any] = {
    **dict.fromkeys(("slug", "name", "docs", "address", "word"), str),
    **dict.fromkeys(("tell", "probe"), Callable),
    **dict.fromkeys(("check", "fulfilments", "recent", "verify", "greeting"), (Callable, type(None))),
    **dict.fromkeys(("credentials", "options"), (list, tuple)),
    "statuses": Mapping,
    "rate": (int, float),
}


def _platform(loaded: object) -> Platform:
    platform = record(loaded, "platform", Platform, _FIELDS)
    if not _SLUG.fullmatch(platform.slug):
        raise ValueError(f"slug {platform.slug!r} must be up to 31 of a-z, 0-9 and _, a letter first")
    for problem in wrong_words(platform, platform.statuses):
        raise ValueError(problem)
    return platform


def wrong_words(platform: Platform, statuses: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a mapping of statuses, entry by entry: `statuses.shipped: …`."""
    ours = [one.value for one in platform.words_for or ()]
    for status, word in statuses.items():
        if status not in ours:
            have = ", ".join(ours) or "none: the platform is told the statuses as they are"
            yield f"statuses.{status[:64]}: is no status to map; there are {have}"
        elif word and not _fits(platform, word):
            yield f"statuses.{status}: {word[:64]!r} is no word of {platform.name}; {_wanted(platform)}"


def _fits(platform: Platform, word: str) -> bool:
    return word in platform.words if platform.words else re.fullmatch(platform.word, word) is not None


def _wanted(platform: Platform) -> str:
    return f"there are {', '.join(sorted(platform.words))}" if platform.words else f"it must fit {platform.word}"
