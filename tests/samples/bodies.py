"""Real bodies of carriers, which lie beside the repository and never in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import structs

from carriers.registry import load
from carriers.sdk import Carrier, Report
from tracker.reading import read_body

DIRECTORY = Path(__file__).resolve().parents[3] / "shared" / "carrier-samples"
FOLDERS = {
    "sf": "sf",
    "kuaidi100": "kuaidi100",
    "kdniao": "kdniao",
    "fedex": "fedex",
    "ups": "ups",
    "usps": "usps",
    "canadapost": "canadapost",
    "dhl": "dhl_unified",
    "gls": "gls",
    "hermes": "hermes",
    "laposte": "laposte",
    "landmark": "landmark",
    "royalmail": "royalmail",
    "auspost": "australiapost",
    "sendle": "sendle",
    "aftership": "aftership",
    "seventeentrack": "seventeentrack",
    "shippo": "shippo",
}
NOT_OURS = frozenset({"amazon_shipping", "asendia", "asendia_us", "roadie", "smartkargo"})
ASKED_FOR = "(asked for)"  # the waybill of an answer that does not repeat it
_TYPES = {".json": "application/json", ".xml": "application/xml"}


def bodies() -> Iterator[tuple[Carrier, Path]]:
    """Every sample with the carrier that reads it, in order; those without an adapter are left out."""
    registry, _ = load()
    for slug, folder in FOLDERS.items():
        carrier = registry.get(slug)
        if carrier is not None:
            for file in sorted((DIRECTORY / folder).glob("*")):
                yield carrier, file


def left_out() -> Iterator[tuple[str, str]]:
    """The folders that nobody reads, each with the reason."""
    registry, _ = load()
    slugs = {folder: slug for slug, folder in FOLDERS.items()}
    for folder in sorted(one.name for one in DIRECTORY.iterdir() if one.is_dir()):
        if folder in NOT_OURS:
            yield folder, "of a carrier that we have no adapter for"
        elif folder not in slugs:
            yield folder, "of a carrier that FOLDERS does not name"
        elif slugs[folder] not in registry:
            yield folder, f"the adapter of {slugs[folder]} is not here yet"


def read(carrier: Carrier, file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What the daemon makes of a sample: shipments with their events, and problems in words."""

    def parse(body: bytes, content_type: str) -> list[Report]:
        return [_named(report) for report in carrier.parse(body, content_type)]

    named = structs.replace(carrier, parse=parse)
    return read_body(named, file.read_bytes(), _TYPES[file.suffix], now=int(time.time() * 1000))


def _named(report: Report) -> Report:
    return structs.replace(report, waybill=ASKED_FOR) if report.scans and not report.waybill else report
