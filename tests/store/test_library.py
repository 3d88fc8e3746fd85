"""The store's functions in Lua: one library of several files."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

from tracker.store.functions import ORDER, library


def test_every_file_stands_in_the_order_once() -> None:
    """A file that nobody put in order would never be loaded, and nothing else would say so."""
    there = {file.name for file in files("tracker.store.functions").iterdir() if file.name.endswith(".lua")}
    assert sorted(f"{name}.lua" for name in ORDER) == sorted(there)


def test_the_version_is_that_of_the_source() -> None:
    """Daemons of the same source do not load it over each other; one of another source does."""
    source, version = library()
    assert source.startswith(b"#!lua name=milepost\n")
    assert sha256(source.replace(version.encode(), b"@VERSION@")).hexdigest().startswith(version)
