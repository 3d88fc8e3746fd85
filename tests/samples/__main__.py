"""`python -m tests.samples [-v]`: what becomes of every sample: events, unknown ones, status; with -v each event."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from carriers.sdk import Carrier, ParseError

from .bodies import DIRECTORY, bodies, left_out, read


def main(arguments: list[str]) -> int:
    """Print a line for each waybill of each body, then what was left out; 1 where a body can't be read."""
    if not DIRECTORY.exists():
        print(f"no samples: {DIRECTORY.name} is not beside the repository", file=sys.stderr)
        return 1
    told = [_body(carrier, file, verbose="-v" in arguments) for carrier, file in bodies()]
    for folder, why in left_out():
        print(f"{folder + '/':<28} skipped: {why}")
    shipments = [shipment for some in told for shipment in some or ()]
    events, unknown = _count(shipments)
    unread = told.count(None)
    print(f"{len(told)} bodies, {unread} unreadable, {len(shipments)} waybills, {events} events, {unknown} unknown")
    return 1 if unread else 0


def _body(carrier: Carrier, file: Path, *, verbose: bool) -> list[dict[str, Any]] | None:
    name = f"{file.parent.name}/{file.name}"
    try:
        shipments, problems = read(carrier, file)
    except ParseError as error:
        print(f"{name:<28} UNREADABLE: {error}")
        return None
    for shipment in shipments:
        _shipment(name, shipment, verbose=verbose)
    for problem in problems or ([] if shipments else ["it tells of nothing"]):
        print(f"{name:<28} problem: {problem}")
    return shipments


def _shipment(name: str, shipment: dict[str, Any], *, verbose: bool) -> None:
    events, unknown = _count([shipment])
    print(f"{name:<28} {shipment['waybill']:<24} {events:>3} events {unknown:>3} unknown  {shipment['status']}")
    for event in shipment["events"] if verbose else []:
        said = event["milestone"] + (f" ({event['reason']})" if event["reason"] else "")
        mark = "*" if event["source"] == "summary" else " "
        print(f"  {mark} {event['occurred_at']:<26} {said:<36} {event['code'] or '-':<22} {event['description']}")


def _count(shipments: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Events, and how many of them are unknown."""
    milestones = [event["milestone"] for shipment in shipments for event in shipment["events"]]
    return len(milestones), milestones.count("unknown")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
