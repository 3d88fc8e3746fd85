"""Real bodies of carriers, which lie beside the repository and never in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carriers.registry import load
from carriers.sdk import Carrier
from tracker.reading import read_body

DIRECTORY = Path(__file__).resolve().parents[3] / "shared" / "carrier-samples"
FOLDERS = {
    "sf": "sf",
    "kuaidi100": "kuaidi100",
    "fedex": "fedex",
    "dhl": "dhl_unified",
    "seventeentrack": "seventeentrack",
}


def bodies() -> Iterator[tuple[Carrier, Path]]:
    """Every sample with the carrier that reads it, in order."""
    registry, _ = load()
    for slug, folder in FOLDERS.items():
        carrier = registry.get(slug)
        if carrier is not None:
            for file in sorted((DIRECTORY / folder).glob("*")):
                yield carrier, file


def read(carrier: Carrier, file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What the daemon makes of a sample: shipments with their events, and problems in words."""
    return read_body(carrier, file.read_bytes(), "application/json", now=int(time.time() * 1000))
