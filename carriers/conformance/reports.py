"""A fixture parses, and its reports hold together: oldest first, certain times, codes that stand in the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from carriers.fixtures import Fixture
from carriers.sdk import Carrier, Certainty, Moment, Report, Scan, look_up


def read(carrier: Carrier, fixture: Fixture) -> tuple[Sequence[Report], str]:
    """The reports of a fixture, and what hinders reading it, or ""."""
    try:
        return carrier.parse(fixture.body, fixture.content_type), ""
    except Exception as error:
        return (), f"{fixture.name}: parse raised {type(error).__name__}: {error}; a fixture must parse"


def reports(carrier: Carrier, fixture: Fixture, told: Sequence[Report]) -> Iterator[str]:
    """What is wrong with the reports of a fixture."""
    name = fixture.name
    for report in told:
        yield from (f"{name}: {line}" for line in (*sound(report), *_says(report), *_codes(carrier, fixture, report)))
    if fixture.kind == "error" and not (len(told) == 1 and told[0].problem and not told[0].scans):
        yield f"{name}: an error body gives exactly one Report, with a Problem and no scans"
    if fixture.kind in ("query", "push") and not any(report.scans or report.summary for report in told):
        yield f"{name}: nothing was read from it; name it error-* if that is meant"


def sound(report: Report) -> Iterator[str]:
    """What is wrong with a report whatever it was read from, nonsense included."""
    instants = [scan.time.instant for scan in report.scans if scan.time]
    if instants != sorted(instants):
        yield f"{report.waybill}: scans are not oldest first: use sdk.oldest_first"
    yield from (
        f"{time}: use sdk.moment: an offset goes with `given` or `carrier_rule`, none with `assumed`"
        for time in _times(report)
        if not _certain(time)
    )


def _says(report: Report) -> Iterator[str]:
    if not report.waybill and report.scans:
        yield "scans without a waybill: set Report.waybill"
    for scan in _all_scans(report):
        if not scan.code and not scan.text:
            yield f"a scan at {scan.time and scan.time.iso()} has neither code nor text"


def _all_scans(report: Report) -> list[Scan]:
    status = report.summary.status if report.summary else None
    return [*report.scans, status] if status else list(report.scans)


def _times(report: Report) -> list[Moment]:
    summary = report.summary
    expected = (summary.expected_from, summary.expected_to) if summary else ()
    return [time for time in (*(scan.time for scan in _all_scans(report)), *expected) if time]


def _certain(time: Moment) -> bool:
    return (time.offset is None) == (time.certainty is Certainty.ASSUMED)


def _codes(carrier: Carrier, fixture: Fixture, report: Report) -> Iterator[str]:
    for scan in _all_scans(report) if fixture.kind != "unknown" else ():
        if scan.code and look_up(carrier.milestones, scan.code) is None:
            yield f"code {scan.code!r} ({scan.text[:30]}) stands in no table: add it to milestones with its source"
