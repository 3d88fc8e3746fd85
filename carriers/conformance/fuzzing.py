"""The adapter under hypothesis: fixtures bent in several places at once. Needs the package `hypothesis`.

def test_the_acme_adapter_bears_anything() -> None:
    fuzzing.check(acme.carrier, Path(acme.__file__).parent / "fixtures")
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carriers.conformance.hostile import outcome
from carriers.conformance.mutations import as_form
from carriers.conformance.reports import sound
from carriers.conformance.timelines import any_order
from carriers.conformance.verdict import judge
from carriers.fixtures import Fixture, read_fixtures
from carriers.sdk import Carrier, ParseError, form

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
_TIMES = st.datetimes().map(str) | st.sampled_from(["2026-02-30 10:00", "0000-00-00T00:00:00Z", "20260505"])
_VALUES = st.recursive(
    _SCALARS | _TIMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
Mutant = tuple[str, str, bytes]  # the fixture's name, its content type, the body as it has become


def check(carrier: Carrier, fixtures: Path, *, examples: int = 60) -> None:
    """Hold `parse` to reports or ParseError over mutants of the fixtures; NotConforming tells of one that fails."""
    bodies = read_fixtures(fixtures)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_mutants(bodies))
    def bears(mutant: Mutant) -> None:
        judge(carrier, _wrong(carrier, *mutant))

    bears()


def _wrong(carrier: Carrier, name: str, content_type: str, body: bytes) -> list[str]:
    found = outcome(carrier, body, content_type)
    if isinstance(found, type):
        wrong = [] if found is ParseError else [f"raised {found.__name__}; it must raise ParseError"]
    else:
        named = [(name, report) for report in found]
        wrong = [*(line for report in found for line in sound(report)), *any_order(carrier, named)]
    return [f"{name}, altered as shown below: {line}" for line in wrong]


@st.composite
def _mutants(draw: st.DrawFn, bodies: Sequence[Fixture]) -> Mutant:
    fixture = draw(st.sampled_from(bodies))
    bend = draw(st.sampled_from([_bend_values, _bend_bytes]))
    return fixture.name, fixture.content_type, bend(draw, fixture)


def _bend_bytes(draw: st.DrawFn, fixture: Fixture) -> bytes:
    """Some bytes of the body, at one place, become others, more or none."""
    body = fixture.body
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 40)))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


def _bend_values(draw: st.DrawFn, fixture: Fixture) -> bytes:
    """Up to four values of a JSON body or a form become others, go, or stand twice."""
    write: Callable[[Any], bytes]
    if fixture.path.suffix == ".json":
        root, write = json.loads(fixture.body), lambda value: json.dumps(value).encode()
    elif "urlencoded" in fixture.content_type:
        root, write = form(fixture.body), as_form
    else:
        return _bend_bytes(draw, fixture)
    for _ in range(draw(st.integers(1, 4))):
        _bend(draw, root)
    return write(root)


def _bend(draw: st.DrawFn, root: Any) -> None:
    """Go down by chance, and change what is there."""
    place = root
    while children := _within(place):
        key = draw(st.sampled_from(children))
        if type(place[key]) not in (dict, list) or draw(st.integers(0, 4)) == 0:
            _change(draw, place, key)
            return
        place = place[key]


def _within(value: Any) -> list[Any]:
    if type(value) is dict:
        return list(value)
    return list(range(len(value))) if type(value) is list else []


def _change(draw: st.DrawFn, place: Any, key: Any) -> None:
    how = draw(st.sampled_from(["other", "gone", "empty", "twice"]))
    if how == "gone":
        del place[key]
    elif how == "twice" and type(place) is list:
        place.append(place[key])
    elif how == "empty" and type(place[key]) in (dict, list, str):
        place[key] = type(place[key])()
    else:
        place[key] = draw(_VALUES)
