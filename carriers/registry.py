"""Which carriers there are: the folders beside this file and the installed packages with the entry point
`milepost.carriers`. One that is broken is left out and named, and harms no other."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from msgspec import Struct

import carriers
from carriers.sdk import Carrier
from tracker.catalogue import listed

ENTRY_POINT = "milepost.carriers"
KIT = "conformance"  # a folder beside the carriers', and no carrier


class Failure(Struct, frozen=True):
    """A carrier that could not be loaded: where it was found, and why not."""

    origin: str  # `carriers.acme`, or `acme-post 1.0 (milepost_acme:carrier)`
    problem: str


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
            carrier = _carrier(take())
            _claim(origins, carrier, name)
        except (Exception, SystemExit) as error:  # an adapter may break in any way, and must not stop the daemon
            failures.append(Failure(origin, f"{type(error).__name__}: {error}"))
        else:
            found[carrier.slug], origins[carrier.slug] = carrier, origin
    return Registry(found.values(), origins), failures


def _sources() -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Where carriers may be: (origin, the folder's name or "", how to take it)."""
    for module in pkgutil.iter_modules(carriers.__path__):
        if module.ispkg and module.name != KIT:
            origin = f"{carriers.__name__}.{module.name}"
            yield origin, module.name, lambda origin=origin: import_module(origin)  # type: ignore[misc]
    for entry in sorted(entry_points(group=ENTRY_POINT), key=lambda entry: entry.name):
        yield _package(entry), "", entry.load


def _package(entry: EntryPoint) -> str:
    name = f"{entry.dist.name} {entry.dist.version}" if entry.dist else ENTRY_POINT
    return f"{name} ({entry.value})"


# A record checks nothing when it is made; what a wrong one would break far from here is looked at here.
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


def _carrier(loaded: object) -> Carrier:
    carrier = getattr(loaded, "carrier", None) if isinstance(loaded, ModuleType) else loaded
    if not isinstance(carrier, Carrier):
        raise TypeError(f"exposes no Carrier named `carrier`, but {type(carrier).__name__}")
    for name, kind in _FIELDS.items():
        if not isinstance(getattr(carrier, name), kind):
            raise TypeError(f"{name} is {getattr(carrier, name)!r:.60}: expected {_words(kind)}")
    return carrier


def _words(kind: Any) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join("None" if one is type(None) else one.__name__ for one in kinds)


def _claim(origins: Mapping[str, str], carrier: Carrier, folder: str) -> None:
    if folder and carrier.slug != folder:
        raise ValueError(f"its slug is {carrier.slug!r}, its folder {folder!r}: they must be the same")
    if carrier.slug in origins:
        raise ValueError(f"slug {carrier.slug!r} is taken by {origins[carrier.slug]}")
