"""The table of carriers in the README, made from the adapters and their quality files.

`python -m carriers.table` prints it; `python -m carriers.table --write` puts it into README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from carriers import quality
from carriers.quality import Mark, Row
from carriers.registry import load
from carriers.sdk import Carrier

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- carriers -->", "<!-- /carriers -->"
HEAD = ("| slug | carrier | ways | quality |", "|---|---|---|---|")
PROMISED = ("query", "push", "subscription")


def table(carriers: Iterable[Carrier]) -> str:
    """The table between its markers: first the carriers, then the aggregators, each by slug."""
    ordered = sorted(carriers, key=lambda carrier: (carrier.aggregator, carrier.slug))
    rows = [_row(carrier, row) for carrier, row in zip(ordered, quality.summary(ordered), strict=True)]
    return "\n".join((BEGIN, *HEAD, *rows, END))


def _row(carrier: Carrier, row: Row) -> str:
    name = " ".join(filter(None, (carrier.name, carrier.name_zh)))
    kind = " (aggregator)" if carrier.aggregator else ""
    ways = ", ".join(_ways(carrier, row)) or "none yet"
    return f"| [`{carrier.slug}`](carriers/{carrier.slug}/README.md) | {name}{kind} | {ways} | {_quality(row)} |"


def _ways(carrier: Carrier, row: Row) -> list[str]:
    done = row.having(Mark.DONE)
    return [f"signed {way}" if way == "push" and carrier.verify else way for way in PROMISED if way in done]


def _quality(row: Row) -> str:
    done, todo, exempt = (len(row.having(mark)) for mark in Mark)
    return f"{done} done, {todo} to do, {exempt} exempt" if row.rules else "–"


def placed(text: str, made: str) -> str:
    """The README's text with the table in its place; ValueError where the markers are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README has no {BEGIN} … {END}: put the markers where the table belongs")
    return before + made + after


def ours() -> list[Carrier]:
    """The carriers of this repository, without those of installed packages."""
    registry, _ = load()
    return [carrier for carrier in registry if (Path(__file__).parent / carrier.slug).is_dir()]


def main(arguments: Sequence[str]) -> int:
    """Print the table, or write it into the README."""
    made = table(ours())
    if "--write" in arguments:
        README.write_text(placed(README.read_text(encoding="utf-8"), made), encoding="utf-8")
    else:
        print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
