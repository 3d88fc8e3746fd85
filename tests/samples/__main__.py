"""`python -m tests.samples [-v]`: what becomes of every sample: events, unknown ones, status; with -v each event."""

from __future__ import annotations

import sys
from typing import Any

from .bodies import DIRECTORY, bodies, read


def main(arguments: list[str]) -> int:
    """Print a line for each waybill of each body."""
    if not DIRECTORY.exists():
        print(f"no samples: {DIRECTORY.name} is not beside the repository", file=sys.stderr)
        return 1
    for carrier, file in bodies():
        shipments, problems = read(carrier, file)
        name = f"{file.parent.name}/{file.name}"
        for shipment in shipments:
            _print(name, shipment, verbose="-v" in arguments)
        for problem in problems:
            print(f"{name:<28} problem: {problem}")
    return 0


def _print(name: str, shipment: dict[str, Any], *, verbose: bool) -> None:
    events = shipment["events"]
    unknown = sum(event["milestone"] == "unknown" for event in events)
    print(f"{name:<28} {shipment['waybill']:<24} {len(events):>3} events {unknown:>3} unknown  {shipment['status']}")
    for event in events if verbose else []:
        said = event["milestone"] + (f" ({event['reason']})" if event["reason"] else "")
        mark = "*" if event["source"] == "summary" else " "
        print(f"  {mark} {event['occurred_at']:<26} {said:<36} {event['code'] or '-':<22} {event['description']}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
