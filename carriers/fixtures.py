"""The bodies that an adapter was written after, and is held to: each with its headers and its golden's place."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from carriers.sdk import Carrier

KINDS = ("query", "push", "error", "unknown")
TYPES = {
    ".json": "application/json",
    ".xml": "application/xml",
    ".form": "application/x-www-form-urlencoded",
    ".txt": "text/plain",
}


class Fixture(Struct, frozen=True):
    """One body of a carrier, with the headers that it came with."""

    path: Path
    body: bytes
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def kind(self) -> str:
        """`query`, `push`, `error` or `unknown`."""
        return self.path.name.partition("-")[0]

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type") or TYPES.get(self.path.suffix, "")

    @property
    def golden(self) -> Path:
        return self.path.with_suffix(".golden.json")

    @property
    def signed(self) -> bool:
        """Whether headers stand beside it, so that `verify` has to accept it."""
        return self.path.with_suffix(".headers").exists()


def folder_of(carrier: Carrier) -> Path:
    """The folder that the carrier's adapter lives in: one of ours, or an installed package's."""
    ours = Path(__file__).parent / carrier.slug
    home = getattr(sys.modules.get(getattr(carrier.parse, "__module__", "")), "__file__", None)
    return ours if ours.is_dir() or home is None else Path(home).parent


def read_fixtures(folder: Path) -> list[Fixture]:
    """The fixtures in `folder`, by name."""
    return [
        Fixture(path, path.read_bytes(), _headers(path.with_suffix(".headers")))
        for path in sorted(folder.iterdir())
        if path.name.partition("-")[0] in KINDS and path.suffix in TYPES and not path.name.endswith(".golden.json")
    ]


def _headers(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
