"""How often the phrases are right, over labelled texts that lie beside the repository.

`python -m tests.accuracy [FILE…] [--write]`. A line of a file is `{"text", "lang", "milestone", "reason",
"confidence"}`; only those that a careful reader is `sure` of count. `--write` puts the report into docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from msgspec import Struct

from tracker import phrases

ROOT = Path(__file__).parents[1]
LABELLED = ROOT.parent / "shared" / "phrases-dev.jsonl"
REPORT = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
LEAST = 8  # examples of a class, for its F1 to count
UNKNOWN = "unknown"


class Reading(Struct, frozen=True):
    """One labelled text, and what the rules make of it."""

    lang: str
    text: str
    wanted: tuple[str, str]  # milestone, reason or ""
    said: tuple[str, str]
    rule: str


class Figures(Struct, frozen=True):
    """What counts for one language. Shares of all its texts; `wrong` leaves out what was unknown."""

    texts: int
    accuracy: float
    macro_f1: float
    wrong: float
    unknown: float
    falsely_delivered: int
    reasons: float  # right among those whose milestone is right


def readings(files: Iterable[Path], *, confidence: str = "sure") -> list[Reading]:
    """Every labelled text of that confidence, read."""
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [_read(row) for row in rows if row["confidence"] == confidence]


def _read(row: dict[str, str]) -> Reading:
    found = phrases.match(row["text"])
    said = (found.milestone.value, found.reason.value if found.reason else "") if found else (UNKNOWN, "")
    return Reading(row["lang"], row["text"], (row["milestone"], row["reason"]), said, found.rule if found else "")


def figures(some: Sequence[Reading]) -> Figures:
    """The figures of some readings, at least one."""
    right = [one for one in some if one.said[0] == one.wanted[0]]
    unknown = sum(one.said[0] == UNKNOWN != one.wanted[0] for one in some)
    scores = f1(some)
    return Figures(
        texts=len(some),
        accuracy=len(right) / len(some),
        macro_f1=sum(scores.values()) / len(scores) if scores else 0.0,
        wrong=(len(some) - len(right) - unknown) / len(some),
        unknown=unknown / len(some),
        falsely_delivered=sum(one.said[0] == "delivered" != one.wanted[0] for one in some),
        reasons=sum(one.said[1] == one.wanted[1] for one in right) / max(1, len(right)),
    )


def f1(some: Sequence[Reading]) -> dict[str, float]:
    """The F1 of every class that has examples enough."""
    classes = Counter(one.wanted[0] for one in some)
    return {name: _f1(some, name) for name, count in classes.most_common() if count >= LEAST}


def _f1(some: Sequence[Reading], name: str) -> float:
    hits = sum(one.said[0] == name == one.wanted[0] for one in some)
    false = sum((one.said[0] == name) is not (one.wanted[0] == name) for one in some)
    return 2 * hits / (2 * hits + false) if hits else 0.0


# ---------------------------------------------------------------- the report


def report(sure: Sequence[Reading], arguable: Sequence[Reading]) -> Iterator[str]:
    """The report in Markdown: a row for each language, what was confused with what, the worst, the pace."""
    yield "| language | texts | accuracy | macro-F1 | wrong | unknown | said delivered, and is not | reason right |"
    yield "|---|---|---|---|---|---|---|---|"
    for lang, some in _by_language(sure):
        one = figures(some)
        macro = f"{one.macro_f1:.3f}" if f1(some) else "–"
        yield (
            f"| {lang} | {one.texts} | {one.accuracy:.3f} | {macro} | {one.wrong:.1%} | {one.unknown:.1%} "
            f"| {one.falsely_delivered} | {one.reasons:.1%} |"
        )
    yield from _confusion("Confused, of the sure ones", sure)
    yield from _confusion("Confused, of the arguable ones", arguable)
    yield ""
    yield f"A text that was never seen before takes {_pace(sure):.0f} µs in the median."


def _by_language(some: Sequence[Reading]) -> list[tuple[str, list[Reading]]]:
    names = Counter(one.lang for one in some)
    return [(name, [one for one in some if one.lang == name]) for name, _ in names.most_common()]


def _confusion(title: str, some: Sequence[Reading]) -> Iterator[str]:
    misread = Counter((one.lang, *one.wanted, *one.said, one.rule) for one in some if one.said != one.wanted)
    yield from ("", f"**{title}**: {sum(misread.values())} of {len(some)}.", "")
    if misread:
        yield from ("| language | is | was read as | by the rule | texts |", "|---|---|---|---|---|")
    for (lang, is_, why, said, because, rule), count in misread.most_common(10):
        yield f"| {lang} | {_named(is_, why)} | {_named(said, because)} | {rule or 'none'} | {count} |"


def _named(milestone: str, reason: str) -> str:
    return f"{milestone} / {reason}" if reason else milestone


def _pace(some: Sequence[Reading]) -> float:
    took = []
    for place, one in enumerate(some):
        fresh = f"{one.text} {place:06d}"  # no cache knows it
        began = time.perf_counter()
        phrases.match(fresh)
        took.append(time.perf_counter() - began)
    return median(took) * 1e6


def written(text: str, made: str) -> str:
    """`text` with the report between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report, or write it."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=[LABELLED])
    parser.add_argument("--write", action="store_true", help="into docs/accuracy.md")
    said = parser.parse_args(arguments)
    made = "\n".join(report(readings(said.files), readings(said.files, confidence="arguable")))
    if said.write:
        REPORT.write_text(written(REPORT.read_text(encoding="utf-8"), made), encoding="utf-8")
    else:
        print(made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
