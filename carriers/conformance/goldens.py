"""The golden results beside the fixtures: what each parses to, and what the timeline makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from carriers.conformance.timelines import line, timeline_of
from carriers.fixtures import Fixture
from carriers.sdk import Carrier, Coarse, Moment, Report, Scan, look_up


def write(carrier: Carrier, fixture: Fixture, reports: Sequence[Report]) -> None:
    """Write the fixture's golden anew."""
    text = json.dumps(_plain(carrier, reports), ensure_ascii=False, indent=1) + "\n"
    fixture.golden.write_text(text, encoding="utf-8")


def compare(carrier: Carrier, fixture: Fixture, reports: Sequence[Report]) -> Iterator[str]:
    """Where the reports differ from the fixture's golden."""
    if not fixture.golden.exists():
        yield f"{fixture.golden.name} is missing: run once with MILEPOST_GOLDEN=1 and read what it wrote"
        return
    kept, found = json.loads(fixture.golden.read_text(encoding="utf-8")), _plain(carrier, reports)
    if kept != found:
        where = _difference(kept, found)
        yield f"{fixture.name}: not as in its golden at {where}; if that is meant, run with MILEPOST_GOLDEN=1"


def _plain(carrier: Carrier, reports: Sequence[Report]) -> list[dict[str, Any]]:
    return [_plain_report(carrier, report) for report in reports]


def _plain_report(carrier: Carrier, report: Report) -> dict[str, Any]:
    summary, shipment = report.summary, timeline_of(carrier, report)
    return {
        "waybill": report.waybill,
        "carrier": report.carrier,
        "full": report.full,
        "problem": report.problem and f"{report.problem.kind}: {report.problem.text}",
        "summary": summary and {k: _value(carrier, getattr(summary, k)) for k in summary.__struct_fields__},
        "status": shipment.status.value,
        "timeline": [line(event) for event in shipment.events],
        "scans": [_plain_scan(carrier, scan) for scan in report.scans],
    }


def _value(carrier: Carrier, value: Any) -> Any:
    if isinstance(value, Scan):
        return _plain_scan(carrier, value)
    if isinstance(value, tuple):
        return list(value)  # as JSON keeps it
    return f"{value.iso()} {value.certainty}" if isinstance(value, Moment) else msgspec.to_builtins(value)


def _plain_scan(carrier: Carrier, scan: Scan) -> dict[str, str | None]:
    time = scan.time
    return {
        "time": time.iso() if time else None,
        "certainty": time.certainty.value if time else None,
        "code": scan.code,
        "means": _means(carrier, scan.code),
        "text": scan.text,
        "location": scan.location,
    }


def _means(carrier: Carrier, code: str) -> str:
    found = look_up(carrier.milestones, code)
    if found is None:
        return "?"
    meaning = found[1]
    if isinstance(meaning, Coarse):
        return "~" + "/".join(filter(None, (meaning.milestone, meaning.reason)))
    return "-" if meaning is None else "/".join(meaning) if isinstance(meaning, tuple) else meaning.value


def _difference(a: Any, b: Any, path: str = "$") -> str:
    """The path of the first place where two JSON values differ, with both values."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            if a.get(key) != b.get(key):
                return _difference(a.get(key), b.get(key), f"{path}.{key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for place, (left, right) in enumerate(zip(a, b, strict=True)):
            if left != right:
                return _difference(left, right, f"{path}[{place}]")
    return f"{path}: golden {str(a)[:80]!r}, found {str(b)[:80]!r}"
