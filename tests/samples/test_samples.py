"""Real bodies, where they lie beside the repository: each is read whole, and nothing in it is lost or invented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from carriers.sdk import Carrier
from tracker.milestones import STATUS_OF
from tracker.model import Milestone, Status

from .__main__ import main
from .bodies import DIRECTORY, FOLDERS, NOT_OURS, bodies, left_out, read

FOUND = [pytest.param(carrier, file, id=f"{carrier.slug}-{file.stem}") for carrier, file in bodies()]
HERE = FOUND or [pytest.param(None, None, id="absent")]
pytestmark = pytest.mark.skipif(not DIRECTORY.exists(), reason="the carriers' samples are not beside the repository")

# What each carrier calls its list of events; in XML, each event.
EVENTS = {
    "sf": "WaybillRoute",
    "kuaidi100": "data",
    "kdniao": "Traces",  # the sample holds them once more as `traces`
    "fedex": "scanEvents",
    "ups": "activity",
    "usps": "trackingEvents",
    "canadapost": "occurrence",
    "dhl": "events",
    "gls": "events",
    "hermes": "status",
    "laposte": "event",
    "landmark": "Event",
    "royalmail": "events",
    "auspost": "events",
    "sendle": "tracking_events",
    "aftership": "checkpoints",
    "seventeentrack": "events",
    "shippo": "tracking_history",
}
# Descriptions that neither a table nor a phrase covers, by carrier: known, and better unknown than guessed.
UNKNOWN: dict[str, frozenset[str]] = {}


def told(carrier: Carrier, file: Path) -> int:
    """How many events a body tells of, read without any adapter."""
    name = EVENTS[carrier.slug]
    if file.suffix == ".xml":
        return len(ElementTree.fromstring(file.read_bytes()).findall(f".//{{*}}{name}"))
    return sum(_histories(json.loads(file.read_bytes()), name))


def _histories(value: Any, wanted: str) -> Iterator[int]:
    if isinstance(value, list):
        for one in value:
            yield from _histories(one, wanted)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == wanted and isinstance(inner, list):
                yield len(inner)
            else:
                yield from _histories(inner, wanted)


def unescaped(file: Path) -> str:
    """The body as people read it."""
    if file.suffix == ".xml":
        return "\n".join(ElementTree.fromstring(file.read_bytes()).itertext())
    return "\n".join(_texts(json.loads(file.read_bytes())))


def _texts(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _texts(one)
    if isinstance(value, str):
        yield value


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def instant(event: dict[str, Any]) -> datetime:
    """When it happened; where nobody told the offset, as if in UTC."""
    read_off = datetime.fromisoformat(event["occurred_at"])
    return read_off if read_off.tzinfo else read_off.replace(tzinfo=UTC)


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_no_event_is_lost_and_none_is_invented(carrier: Carrier, file: Path) -> None:
    shipments, _ = read(carrier, file)
    scans = [event for shipment in shipments for event in shipment["events"] if event["source"] == "scan"]
    assert len(scans) == told(carrier, file)


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_every_word_of_a_description_stands_in_the_body(carrier: Carrier, file: Path) -> None:
    body = words(unescaped(file))
    shipments, _ = read(carrier, file)
    for event in (event for shipment in shipments for event in shipment["events"]):
        assert words(event["description"]) <= body


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_a_body_tells_of_a_shipment_or_says_why_not(carrier: Carrier, file: Path) -> None:
    shipments, problems = read(carrier, file)
    assert shipments or problems


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_everything_in_these_bodies_is_understood(carrier: Carrier, file: Path) -> None:
    known = UNKNOWN.get(carrier.slug, frozenset())
    shipments, _ = read(carrier, file)
    for shipment in shipments:
        events = shipment["events"]
        assert {event["description"] for event in events if event["milestone"] == Milestone.UNKNOWN} <= known
        moved = any(Milestone(event["milestone"]) in STATUS_OF for event in events)
        assert moved is (Status(shipment["status"]) is not Status.PENDING)


@pytest.mark.parametrize(("carrier", "file"), HERE)
def test_events_stand_in_the_order_in_which_they_happened(carrier: Carrier, file: Path) -> None:
    shipments, _ = read(carrier, file)
    for shipment in shipments:
        times = [instant(event) for event in shipment["events"]]
        assert times == sorted(times)


def test_every_folder_is_read_or_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    folders = {folder.name for folder in DIRECTORY.iterdir()}
    skipped = dict(left_out())
    assert folders == {file.parent.name for _, file in bodies()} | set(skipped)
    assert set(skipped) >= NOT_OURS
    assert folders - NOT_OURS == set(FOLDERS.values())
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(f"{folder}/" in printed for folder in folders)
    assert " 0 unreadable" in printed
