"""Which carriers there are: the folders beside this file and the installed packages with the entry point
`milepost.carriers`. One that is broken is left out and named, and harms no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import carriers
from carriers.sdk import Carrier
from tracker.catalogue import listed
from tracker.plugins import Failure, Take, installed, modules, record

ENTRY_POINT = "milepost.carriers"
KIT = "conformance"  # a folder beside the carriers', and no carrier


class Registry:
    """The carriers by slug, and where each was found."""

    def __init__(self, found: Iterable[Carrier], origins: Mapping[str, str] | None = None) -> None:
        self._origins = origins or {}
        self._carriers = {carrier.slug: carrier for carrier in sorted(found, key=lambda carrier: carrier.slug)}
        followed = (slug for carrier in self._carriers.values() for slug in carrier.carriers.values())
        self._known = frozenset(listed()) | frozenset(self._carriers) | frozenset(followed)

    def __iter__(self) -> Iterator[Carrier]:
        return iter(self._carriers.values())

    def __len__(self) -> int:
        return len(self._carriers)

    def __contains__(self, slug: object) -> bool:
        return slug in self._carriers

    def get(self, slug: str) -> Carrier | None:
        """The carrier with an adapter of that slug."""
        return self._carriers.get(slug)

    def origin(self, slug: str) -> str:
        """Where that carrier was found: `carriers.acme`, or `acme-post 1.0 (milepost_acme:carrier)`."""
        return self._origins.get(slug, "")

    def known(self) -> Collection[str]:
        """Every slug that a shipment may name: the catalogue's, the adapters', and those that an aggregator follows."""
        return self._known

    def by_alias(self, aggregator: str, code: str) -> str:
        """Our slug for an aggregator's own carrier code (`kuaidi100`, `shunfeng` → `sf`); "" where it has none."""
        carrier = self._carriers.get(aggregator)
        return carrier.carriers.get(code, "") if carrier else ""


def load() -> tuple[Registry, list[Failure]]:
    """Find and load every carrier. A slug that is taken already is a failure of the later one: ours come first."""
    found: dict[str, Carrier] = {}
    origins: dict[str, str] = {}
    failures: list[Failure] = []
    for origin, name, take in _sources():
        try:
            carrier = record(take(), "carrier", Carrier, _FIELDS)
            _claim(origins, carrier, name)
        except (Exception, SystemExit) as error:  # an adapter may break in any way, and must not stop the daemon
            failures.append(Failure(origin, f"{type(error).__name__}: {error}"))
        else:
            found[carrier.slug], origins[carrier.slug] = carrier, origin
    return Registry(found.values(), origins), failures


def _sources() -> Iterator[tuple[str, str, Take]]:
    """Where carriers may be: (origin, the folder's name or "", how to take it)."""
    for module, origin, take in modules(carriers):
        if module.ispkg and module.name != KIT:
            yield origin, module.name, take
    for origin, take in installed(ENTRY_POINT):
        yield origin, "", take


_OPTIONAL = (Callable, type(None))
_FIELDS: Mapping[str, Any] = {
    **dict.fromkeys(("slug", "name", "name_zh", "docs", "base", "zone"), str),
    **dict.fromkeys(("milestones", "carriers"), Mapping),
    **dict.fromkeys(("numbers", "credentials"), (list, tuple)),
    **dict.fromkeys(("min_interval", "rate"), (int, float)),
    **dict.fromkeys(
        ("fetch", "verify", "subscribe", "unsubscribe", "acknowledge", "respond", "greet", "needs"), _OPTIONAL
    ),
    "parse": Callable,
    "batch": int,
}


def _claim(origins: Mapping[str, str], carrier: Carrier, folder: str) -> None:
    if folder and carrier.slug != folder:
        raise ValueError(f"its slug is {carrier.slug!r}, its folder {folder!r}: they must be the same")
    if carrier.slug in origins:
        raise ValueError(f"slug {carrier.slug!r} is taken by {origins[carrier.slug]}")
