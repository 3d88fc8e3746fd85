"""Each carrier's quality.toml, read and held against its adapter and goldens: what is done, to do or exempt, and why.

    [rules]
    query = "done"
    signature = { exempt = "the carrier signs nothing; the address holds a secret" }
    subscription = { todo = "undocumented: no endpoint is published" }

`python -m carriers.quality` prints the summary, and what is wrong with its fix.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from carriers.fixtures import folder_of
from carriers.registry import load
from carriers.sdk import Carrier

FILE = "quality.toml"
RULES: Mapping[str, str] = {
    "query": "asks for waybills, batches as documented",
    "push": "reads pushes",
    "signature": "verifies them",
    "acknowledgement": "answers them as the carrier expects",
    "subscription": "tells the carrier what to push",
    "auth": "credentials, token refresh",
    "errors": "not found, refused, limited, unavailable told apart",
    "times": "zone rule documented, certainty right",
    "expected_day": "the expected day",
    "signed_by": "who signed",
    "weight": "the weight",
    "service": "the service",
    "places": "origin and destination",
    "successor": "the number after a hand-over",
    "pieces": "the pieces of a shipment of several",
    "codes": "the table covers the documented codes",
    "samples": "checked against recorded traffic",
}
# The rules that a golden shows: the fields of its summary of which at least one is filled.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "expected_day": ("expected_from", "expected_to"),
    "signed_by": ("signed_by",),
    "weight": ("weight_g",),
    "service": ("service",),
    "places": ("origin", "destination"),
    "successor": ("successor",),
    "pieces": ("pieces",),
}
# The rules that a function of the adapter carries: done where it is there, and only there.
CARRIED: Mapping[str, str] = {"query": "fetch", "signature": "verify", "subscription": "subscribe"}
ALWAYS = ("times", "errors")  # no carrier is without


class Mark(StrEnum):
    """How a rule stands."""

    DONE = "done"
    TODO = "todo"
    EXEMPT = "exempt"


class Rule(Struct, frozen=True):
    """How one rule stands, and why it is not done."""

    mark: Mark
    why: str = ""


class QualityError(ValueError):
    """A quality.toml is missing or wrong; the message names the file, the rule and the fix."""


class Row(Struct, frozen=True):
    """One carrier in the summary. `rules` is empty where its file is missing or can't be read."""

    slug: str
    name: str
    rules: Mapping[str, Rule]

    def having(self, mark: Mark) -> list[str]:
        """The rules with that mark."""
        return [rule for rule, stands in self.rules.items() if stands.mark is mark]


# ---------------------------------------------------------------- reading


def read(folder: Path) -> Mapping[str, Rule]:
    """The rules of the carrier in `folder`, in the order of RULES; QualityError lists all that is wrong."""
    found = _table(folder)
    wrong = [*_names(found), *_values(found)]
    if wrong:
        raise QualityError(f"{folder.name}/{FILE}:\n" + "\n".join(f"  - {line}" for line in wrong))
    return {rule: _rule(found[rule]) for rule in RULES}


def _table(folder: Path) -> Mapping[str, Any]:
    path = folder / FILE
    if not path.exists():
        raise QualityError(f"{folder.name}/{FILE} is missing: add it, with [rules] and in it {', '.join(RULES)}")
    try:
        root = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise QualityError(f"{folder.name}/{FILE} is no TOML: {error}") from None
    rules = root.get("rules")
    if set(root) != {"rules"} or not isinstance(rules, dict):
        raise QualityError(f"{folder.name}/{FILE} holds {', '.join(root) or 'nothing'}: it has one table, [rules]")
    return rules


def _names(found: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{rule}: no such rule; the rules are {', '.join(RULES)}" for rule in found if rule not in RULES)
    yield from (f"{rule} ({RULES[rule]}) is missing: {_CHOICE}" for rule in RULES if rule not in found)


_CHOICE = 'write "done", { todo = "why" } or { exempt = "why" }'


def _values(found: Mapping[str, Any]) -> Iterator[str]:
    for rule, value in found.items():
        if not _readable(value):
            yield f"{rule} = {value!r}: {_CHOICE}"


def _readable(value: object) -> bool:
    if not isinstance(value, dict):
        return value == Mark.DONE
    return any(set(value) == {mark} and _says(value[mark]) for mark in (Mark.TODO, Mark.EXEMPT))


def _says(why: object) -> bool:
    return isinstance(why, str) and len(why.split()) > 1


def _rule(value: str | Mapping[str, str]) -> Rule:
    if isinstance(value, str):
        return Rule(Mark.DONE)
    [(mark, why)] = value.items()
    return Rule(Mark(mark), why.strip())


# ---------------------------------------------------------------- checking


def check(carrier: Carrier, folder: Path) -> None:
    """Hold the quality.toml in `folder` against the adapter and its goldens; QualityError lists what contradicts."""
    rules = read(folder)
    marks = {rule: stands.mark for rule, stands in rules.items()}
    checks = (_carried(carrier, marks), _pushes(carrier, marks, folder), _asks(carrier, marks, folder))
    wrong = [line for lines in (*checks, _shown(marks, folder)) for line in lines]
    if wrong:
        raise QualityError(f"{folder.name}/{FILE} contradicts its adapter:\n" + "\n".join(f"  - {w}" for w in wrong))


def _carried(carrier: Carrier, marks: Mapping[str, Mark]) -> Iterator[str]:
    for rule, function in CARRIED.items():
        there, done = getattr(carrier, function) is not None, marks[rule] is Mark.DONE
        if done and not there:
            yield f"{rule} is done, and the adapter has no {function}: say todo or exempt, and why"
        if there and not done:
            yield f'{rule} is {marks[rule]}, and the adapter has a {function}: say "done"'


def _pushes(carrier: Carrier, marks: Mapping[str, Mark], folder: Path) -> Iterator[str]:
    pushed = marks["push"] is Mark.DONE
    if pushed and not _fixtures(folder, "push"):
        yield "push is done, and no fixture shows it: add fixtures/push-*"
    acknowledges = carrier.acknowledge or carrier.respond
    if not pushed and (carrier.verify or acknowledges):
        yield f"push is {marks['push']}, and the adapter verifies or acknowledges pushes"
    if acknowledges and marks["acknowledgement"] is not Mark.DONE:
        yield f'acknowledgement is {marks["acknowledgement"]}, and the adapter has an acknowledge: say "done"'
    if not pushed and marks["acknowledgement"] is Mark.DONE:
        yield f"acknowledgement is done, and push is {marks['push']}: what is acknowledged?"


def _asks(carrier: Carrier, marks: Mapping[str, Mark], folder: Path) -> Iterator[str]:
    if marks["auth"] is Mark.DONE and not carrier.credentials:
        yield "auth is done, and a connection holds nothing: name its credentials, or say exempt and why"
    if carrier.fetch and carrier.credentials and marks["auth"] is Mark.EXEMPT:
        yield "auth is exempt, and a query has credentials"
    if marks["errors"] is Mark.DONE and not _fixtures(folder, "error"):
        yield "errors is done, and no fixture shows one: add fixtures/error-*"
    for rule in ALWAYS:
        if marks[rule] is Mark.EXEMPT:
            yield f"{rule} is exempt: every carrier has {rule}; say done, or todo and why"


def _shown(marks: Mapping[str, Mark], folder: Path) -> Iterator[str]:
    filled = set(_filled(folder))
    for rule, fields in SHOWN.items():
        there = not filled.isdisjoint(fields)
        if marks[rule] is Mark.DONE and not there:
            yield f"{rule} is done, and no golden has {' or '.join(fields)} in its summary: add a fixture that does"
        if marks[rule] is Mark.EXEMPT and there:
            yield f'{rule} is exempt, and a golden has {" or ".join(fields)} in its summary: say "done"'


def _filled(folder: Path) -> Iterator[str]:
    """The fields of a summary that some golden fills."""
    for path in sorted((folder / "fixtures").glob("*.golden.json")):
        for report in json.loads(path.read_text(encoding="utf-8")):
            yield from (field for field, value in (report["summary"] or {}).items() if value)


def _fixtures(folder: Path, kind: str) -> bool:
    return any((folder / "fixtures").glob(f"{kind}-*"))


# ---------------------------------------------------------------- the summary


def summary(registry: Iterable[Carrier]) -> list[Row]:
    """A row for each carrier, in the registry's order."""
    return [Row(carrier.slug, carrier.name, _or_none(carrier)) for carrier in registry]


def _or_none(carrier: Carrier) -> Mapping[str, Rule]:
    try:
        return read(folder_of(carrier))
    except QualityError:
        return {}


def report(rows: Iterable[Row]) -> Iterator[str]:
    """The summary as lines of text: a line for each carrier, below it what is left to do."""
    for row in rows:
        done, todo, exempt = (len(row.having(mark)) for mark in Mark)
        counts = f"{done:2} done {todo:2} todo {exempt:2} exempt" if row.rules else f"no readable {FILE}"
        yield f"{row.slug:<16} {counts}"
        yield from (f"{'':<16} todo {rule}: {row.rules[rule].why}" for rule in row.having(Mark.TODO))


def main(write: Callable[[str], object] = print) -> int:
    """Print the summary, then what is wrong; 1 where something is."""
    registry, _ = load()
    for line in report(summary(registry)):
        write(line)
    wrong = [problem for carrier in registry if (problem := _problem(carrier))]
    for problem in wrong:
        write(problem)
    return 1 if wrong else 0


def _problem(carrier: Carrier) -> str:
    try:
        check(carrier, folder_of(carrier))
    except QualityError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
