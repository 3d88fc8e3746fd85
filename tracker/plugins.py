"""Adapters that are found by themselves: modules of a package, and installed packages with an entry point.

One that is broken is left out and named, and harms no other.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, TypeVar

from msgspec import Struct

T = TypeVar("T")
Take = Callable[[], object]


class Failure(Struct, frozen=True):
    """An adapter that could not be loaded: where it was found, and why not."""

    origin: str  # `carriers.acme`, or `acme-post 1.0 (milepost_acme:carrier)`
    problem: str


def modules(package: ModuleType) -> Iterator[tuple[pkgutil.ModuleInfo, str, Take]]:
    """The modules of a package: each with where it is and how to take it."""
    for module in pkgutil.iter_modules(package.__path__):
        origin = f"{package.__name__}.{module.name}"
        yield module, origin, lambda origin=origin: import_module(origin)  # type: ignore[misc]


def installed(group: str) -> Iterator[tuple[str, Take]]:
    """What installed packages offer under the entry point: where it is and how to take it."""
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        yield _package(entry, group), entry.load


def _package(entry: EntryPoint, group: str) -> str:
    name = f"{entry.dist.name} {entry.dist.version}" if entry.dist else group
    return f"{name} ({entry.value})"


def record(loaded: object, name: str, kind: type[T], fields: Mapping[str, Any]) -> T:
    """The record that a module exposes under `name`, or that was loaded itself; raises TypeError where it is none.

    A record checks nothing when it is made; what a wrong one would break far from here is looked at here.
    """
    found = getattr(loaded, name, None) if isinstance(loaded, ModuleType) else loaded
    if not isinstance(found, kind):
        raise TypeError(f"exposes no {kind.__name__} named `{name}`, but {type(found).__name__}")
    for field, wanted in fields.items():
        if not isinstance(getattr(found, field), wanted):
            raise TypeError(f"{field} is {getattr(found, field)!r:.60}: expected {_words(wanted)}")
    return found


def _words(kind: Any) -> str:
    kinds: Sequence[Any] = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join("None" if one is type(None) else one.__name__ for one in kinds)
