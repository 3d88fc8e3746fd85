"""The conformance kit: the whole test of an ordinary adapter in one call.

    def test_the_acme_adapter_conforms() -> None:
        check(acme.carrier, Path(acme.__file__).parent / "fixtures")

Fixtures are the carrier's bodies, byte for byte, named for what they are:

    query-*    an answer to `fetch`
    push-*     a body that the carrier sends to us
    error-*    an answer without a history (not found, refused, over quota): one report, a problem, no scans
    unknown-*  an answer or push with codes that stand in no table, on purpose

The suffix gives the content type: `.json`, `.xml`, `.form` (urlencoded), `.txt`. Beside `push-a.json` may stand
`push-a.headers` (lines `Name: value`; a `Content-Type` there wins over the suffix): such a push has to pass `verify`
with the credentials in `credentials.json`, and no alteration of it may. What a fixture parses to is kept in
`push-a.golden.json`: set MILEPOST_GOLDEN=1 to write the goldens anew, then read them as a diff.
In a golden, `means` is the table's word for the code alone: `~` marks a coarse one, `-` a known code that says nothing,
`?` a code in no table, where the text decides. `status` and `timeline` are what becomes of it: the parcel's status, and
its events in the order in which they happened, given their milestones by table and text.

The kit opens no connection. Whether `fetch` bears a carrier's moods is `tracker.authoring.rehearsal`; whether `parse`
bears anything at all, with hypothesis, is `carriers.conformance.fuzzing`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from carriers.conformance import goldens
from carriers.conformance.hostile import forgetful, hostile
from carriers.conformance.personal import personal_data
from carriers.conformance.record import coverage, record, table
from carriers.conformance.reports import read, reports
from carriers.conformance.signatures import signatures
from carriers.conformance.sources import leaky_comparison, silent_codes
from carriers.conformance.timelines import any_order
from carriers.conformance.verdict import NotConforming, judge
from carriers.fixtures import Fixture, read_fixtures
from carriers.sdk import Carrier, Report

__all__ = ["Fixture", "NotConforming", "check", "read_fixtures", "write_goldens"]


def check(carrier: Carrier, fixtures: Path) -> None:
    """Hold `carrier` to the contract with the bodies in `fixtures`; NotConforming lists all that is wrong."""
    if os.environ.get("MILEPOST_GOLDEN") == "1":
        write_goldens(carrier, fixtures)
    bodies = read_fixtures(fixtures)
    wrong = [*record(carrier), *table(carrier), *silent_codes(carrier), *coverage(carrier, bodies, fixtures)]
    told: list[tuple[str, Report]] = []
    for fixture in bodies:
        found, problem = read(carrier, fixture)
        wrong += [problem] if problem else _fixture(carrier, fixture, found)
        told += ((fixture.name, report) for report in found)
    wrong += any_order(carrier, told)
    wrong += [*forgetful(carrier, bodies), *hostile(carrier, bodies)]
    wrong += [*leaky_comparison(carrier), *signatures(carrier, bodies, fixtures)]
    judge(carrier, wrong)


def _fixture(carrier: Carrier, fixture: Fixture, found: Sequence[Report]) -> Iterator[str]:
    yield from reports(carrier, fixture, found)
    yield from goldens.compare(carrier, fixture, found)
    yield from (f"{fixture.name}: {line}" for line in personal_data(fixture.body, _numbers(found)))


def _numbers(found: Sequence[Report]) -> frozenset[str]:
    """The parcels' numbers, which may look like a phone's."""
    of_others = (n for r in found if r.summary for n in (r.summary.successor, *r.summary.pieces))
    return frozenset((*(report.waybill for report in found), *of_others))


def write_goldens(carrier: Carrier, fixtures: Path) -> None:
    """Write what each fixture that parses becomes; to be read as a diff before it is committed."""
    for fixture in read_fixtures(fixtures):
        found, problem = read(carrier, fixture)
        if not problem:
            goldens.write(carrier, fixture, found)
