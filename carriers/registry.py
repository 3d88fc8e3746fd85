"""Which carriers there are: the folders beside this file and the installed packages with the entry point
`milepost.carriers`. One that is broken is left out and named, and harms no other."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from msgspec import Struct

import carriers
from carriers.sdk import Carrier

ENTRY_POINT = "milepost.carriers"
KIT = "conformance"  # a folder beside the carriers', and no carrier


class Failure(Struct, frozen=True):
    """A carrier that could not be loaded: where it was found, and why not."""

    origin: str  # `carriers.acme` or `milepost.carriers:acme`
    problem: str


class Registry:
    """The carriers by slug."""

    def __init__(self, found: Iterable[Carrier]) -> None:
        self._carriers = {carrier.slug: carrier for carrier in sorted(found, key=lambda carrier: carrier.slug)}
        followed = (slug for carrier in self._carriers.values() for slug in carrier.carriers.values())
        self._known = frozenset(self._carriers) | frozenset(followed)

    def __iter__(self) -> Iterator[Carrier]:
        return iter(self._carriers.values())

    def __len__(self) -> int:
        return len(self._carriers)

    def __contains__(self, slug: object) -> bool:
        return slug in self._carriers

    def get(self, slug: str) -> Carrier | None:
        """The carrier with an adapter of that slug."""
        return self._carriers.get(slug)

    def known(self) -> Collection[str]:
        """Every slug that a shipment may name: those with an adapter, and those that an aggregator follows."""
        return self._known

    def by_alias(self, aggregator: str, code: str) -> str:
        """Our slug for an aggregator's own carrier code (`kuaidi100`, `shunfeng` → `sf`); "" where it has none."""
        carrier = self._carriers.get(aggregator)
        return carrier.carriers.get(code, "") if carrier else ""


def load() -> tuple[Registry, list[Failure]]:
    """Find and load every carrier. A slug that is taken already is a failure of the later one: ours come first."""
    found: dict[str, Carrier] = {}
    failures: list[Failure] = []
    for origin, name, take in _sources():
        try:
            carrier = _carrier(take())
            _claim(found, carrier, name)
        except Exception as error:  # an adapter may break in any way, and must not stop the daemon
            failures.append(Failure(origin, f"{type(error).__name__}: {error}"))
    return Registry(found.values()), failures


def _sources() -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Where carriers may be: (origin, the folder's name or "", how to take it)."""
    for module in pkgutil.iter_modules(carriers.__path__):
        if module.ispkg and module.name != KIT:
            origin = f"{carriers.__name__}.{module.name}"
            yield origin, module.name, lambda origin=origin: import_module(origin)  # type: ignore[misc]
    for entry in sorted(entry_points(group=ENTRY_POINT), key=lambda entry: entry.name):
        yield f"{ENTRY_POINT}:{entry.name}", "", entry.load


def _carrier(loaded: object) -> Carrier:
    carrier = getattr(loaded, "carrier", None) if isinstance(loaded, ModuleType) else loaded
    if not isinstance(carrier, Carrier):
        raise TypeError(f"exposes no Carrier named `carrier`, but {type(carrier).__name__}")
    return carrier


def _claim(found: dict[str, Carrier], carrier: Carrier, folder: str) -> None:
    if folder and carrier.slug != folder:
        raise ValueError(f"its slug is {carrier.slug!r}, its folder {folder!r}: they must be the same")
    if carrier.slug in found:
        raise ValueError(f"slug {carrier.slug!r} is taken by another carrier")
    found[carrier.slug] = carrier
