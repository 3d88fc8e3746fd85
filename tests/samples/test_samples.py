"""Real bodies, where they lie beside the repository: each is read whole, and nothing in it is lost or invented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carriers.sdk import Carrier
from tracker.model import Milestone, Status

from .bodies import DIRECTORY, bodies, read

FOUND = [pytest.param(carrier, file, id=f"{carrier.slug}-{file.stem}") for carrier, file in bodies()]
HERE = FOUND or [pytest.param(None, None, id="absent")]
pytestmark = pytest.mark.skipif(not DIRECTORY.exists(), reason="the carriers' samples are not beside the repository")


def histories(value: Any) -> Iterator[int]:
    """How many events each list of them holds, read without any adapter."""
    if isinstance(value, list):
        for one in value:
            yield from histories(one)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in ("events", "scanEvents", "data", "WaybillRoute") and isinstance(inner, list):
                yield len(inner)
            else:
                yield from histories(inner)


def told(file: Path) -> int:
    """How many events a body tells of."""
    return sum(histories(json.loads(file.read_bytes())))


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_no_event_is_lost_and_none_is_invented(carrier: Carrier, file: Path) -> None:
    shipments, _ = read(carrier, file)
    scans = [event for shipment in shipments for event in shipment["events"] if event["source"] == "scan"]
    assert len(scans) == told(file)


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_every_description_stands_in_the_body(carrier: Carrier, file: Path) -> None:
    body = json.dumps(json.loads(file.read_bytes()), ensure_ascii=False)
    shipments, _ = read(carrier, file)
    for event in (event for shipment in shipments for event in shipment["events"]):
        assert all(part in body for part in event["description"].split(", "))


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_a_body_tells_of_a_shipment_or_says_why_not(carrier: Carrier, file: Path) -> None:
    shipments, problems = read(carrier, file)
    assert shipments or problems


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_everything_in_these_bodies_is_understood(carrier: Carrier, file: Path) -> None:
    shipments, _ = read(carrier, file)
    for shipment in shipments:
        assert [event for event in shipment["events"] if event["milestone"] == Milestone.UNKNOWN] == []
        assert Status(shipment["status"]) is not Status.PENDING


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_events_stand_in_the_order_in_which_they_happened(carrier: Carrier, file: Path) -> None:
    shipments, _ = read(carrier, file)
    for shipment in shipments:
        times = [event["occurred_at"][:19] for event in shipment["events"]]
        assert times == sorted(times)
