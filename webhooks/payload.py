"""What of a frozen body a subscription gets: all of it, or only which shipment changed."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct


class Payload(StrEnum):
    """How much a message holds."""

    FULL = "full"
    THIN = "thin"


class Labels(Struct, frozen=True):
    """What a body says of a shipment that a filter may ask for; None: it does not say."""

    id: str = ""
    shop: str | None = None
    carrier: str | None = None
    status: str | None = None


class _Data(Struct, frozen=True):
    shipment: Labels
    revision: int = 0
    tracking_url: str | None = None


class _Body(Struct, frozen=True):
    data: _Data
    type: str = ""
    timestamp: str = ""
    schema: int = 1
    test: bool = False


class _ThinData(Struct, frozen=True):
    shipment_id: str
    revision: int
    url: str


class _ThinBody(Struct, frozen=True, omit_defaults=True):
    type: str
    timestamp: str
    schema: int
    data: _ThinData
    test: bool = False


_decode = msgspec.json.Decoder(_Body).decode


def labels_of(body: bytes) -> Labels:
    """The labels in a frozen body; those of a body without a shipment are unknown."""
    try:
        return _decode(body).data.shipment
    except msgspec.DecodeError:
        return Labels()


def thin(body: bytes) -> bytes:
    """Type, shipment, revision and where to read the rest: a function of the frozen body alone.

    So the same bytes go out each time, whatever our address is by then. A body without a shipment, a notice of ours,
    is thin already.
    """
    try:
        full = _decode(body)
    except msgspec.DecodeError:
        return body
    id = full.data.shipment.id
    data = _ThinData(id, full.data.revision, f"{_base(full.data.tracking_url, id)}/v1/shipments/{id}")
    return msgspec.json.encode(_ThinBody(full.type, full.timestamp, full.schema, data, full.test))


def _base(tracking_url: str | None, id: str) -> str:
    """Our address as the body has it; "" where it has none, and the url is a path."""
    base, found, rest = (tracking_url or "").rpartition(f"/parcels/{id}")
    return base if found and rest.count("/") <= 1 else ""  # behind the id its proof, if any
