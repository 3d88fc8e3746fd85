"""The functions that the store's server runs: one library in Lua, of several files."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

# in this order: a file sees what those before it define
ORDER = (
    "common",
    "parking",
    "shipments",
    "agenda",
    "feed",
    "lanes",
    "redelivery",
    "sweeping",
    "records",
    "sightings",
    "opening",
)


@cache
def library() -> tuple[bytes, str]:
    """The library's source, with its version written into it, and that version."""
    source = b"\n".join(files(__package__).joinpath(f"{name}.lua").read_bytes() for name in ORDER)
    version = sha256(source).hexdigest()[:16]
    return source.replace(b"@VERSION@", version.encode()), version
