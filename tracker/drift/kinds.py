"""What drifts, and how it looks to those who read it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from msgspec import Struct, structs

from tracker.store.sightings import Key
from tracker.store.types import Sighting
from tracker.views import iso


class DriftKind(StrEnum):
    """What was said that nothing covers."""

    CODE = "code"
    TEXT = "text"
    EMPTY = "empty"
    SHAPE = "shape"


PATH = "path"  # beside the kinds: what a carrier's bodies are known to have


class Drifting(Struct, frozen=True, kw_only=True):
    """Something that a carrier said and nothing covers. `key` is the code, or a fingerprint; "": the rest.

    `text` is an example with phone numbers masked, or the new paths of a shape; `account` is whose shipment it was.
    """

    carrier: str
    kind: DriftKind
    key: str
    count: int
    first_at: int  # ms
    last_at: int  # ms
    text: str = ""
    shipment: str = ""
    account: str = ""


def drift_view(one: Drifting) -> dict[str, Any]:
    """How it looks to those who read it; empty strings are null."""
    return {
        "carrier": one.carrier,
        "kind": one.kind.value,
        "key": one.key or None,
        "count": one.count,
        "first_at": iso(one.first_at),
        "last_at": iso(one.last_at),
        "text": one.text or None,
        "shipment_id": one.shipment or None,
        "account": one.account or None,
    }


def key_of(one: Sighting) -> Key:
    """What makes two sightings one."""
    return (one.carrier, one.kind, one.key)


def drifting(one: Sighting, account: str) -> Drifting:
    """A sighting as it is told."""
    return Drifting(account=account, **structs.asdict(one) | {"kind": DriftKind(one.kind)})


def with_example(one: Sighting, example: Drifting | None) -> Drifting:
    """The same with an example of an account."""
    told = drifting(one, example.account if example else "")
    return structs.replace(told, text=example.text or told.text, shipment=example.shipment) if example else told


def told(found: Iterable[Drifting]) -> list[Drifting]:
    """The latest first."""
    return sorted(found, key=lambda one: (-one.last_at, one.carrier, one.kind, one.key))
