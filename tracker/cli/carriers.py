"""What the adapters, their numbers and the phrases say, without a daemon: `carriers`, `detect`, `classify`, `parse`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

from msgspec import structs

from carriers.registry import Registry, load
from carriers.sdk import Carrier, ParseError
from tracker import phrases
from tracker.catalogue import listed
from tracker.cli.arguments import EXIT_UNREADABLE, Commands, client_of, with_daemon
from tracker.detect import Hints, detect
from tracker.errors import ConfigError
from tracker.model import Milestone
from tracker.reading import read_body


def add(commands: Commands) -> None:
    """Put these commands among the others."""
    carriers = commands.add_parser("carriers", help="the carriers that have an adapter, and where it comes from")
    carriers.add_argument("--all", action="store_true", help="and every other that is known, by whatever way")
    carriers.add_argument("--json", action="store_true")
    carriers.set_defaults(run=_run_carriers)
    whose = with_daemon(commands.add_parser("detect", help="whose numbers these may be, one JSON a line"))
    whose.add_argument("numbers", nargs="+", metavar="NUMBER")
    whose.add_argument("--account", action="store_true", help="ask the daemon, which knows what the account uses")
    whose.set_defaults(run=_run_detect)
    classified = commands.add_parser("classify", help="what event texts say, a line each in and a JSON object out")
    classified.add_argument("--lang", default=None, metavar="L", help="read as this language first: zh, en, de …")
    classified.set_defaults(run=_run_classify)
    parse = commands.add_parser("parse", help="one body of a carrier's, as events in JSON")
    parse.add_argument("slug")
    parse.add_argument("file", nargs="?", default="-", help="a file, or - for standard input")
    parse.add_argument("--content-type", default="", metavar="T")
    parse.set_defaults(run=_run_parse)


def _run_carriers(arguments: argparse.Namespace) -> int:
    registry, failures = load()
    others = sorted(set(registry.known()) - {one.slug for one in registry}) if arguments.all else []
    slugs = [*(one.slug for one in registry), *others]
    rows = [_carrier_row(registry, slug) for slug in slugs]
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    for row in [] if arguments.json else rows:
        name = f"{row['name']} {row['name_zh']}".strip()
        where = row["docs"] or row["site"]
        print(f"{row['slug']:<18}{_wide(name, 34)}{row['ways']:<30}{row['origin']:<26}{where}".rstrip())
    for failure in failures:
        print(f"milepost: {failure.origin} is broken: {failure.problem}", file=sys.stderr)
    return 0


def _wide(text: str, width: int) -> str:
    """`text` filled up to so many columns of a terminal, in which a Chinese character takes two."""
    return text + " " * max(1, width - sum(1 + (east_asian_width(letter) in "WF") for letter in text))


def _carrier_row(registry: Registry, slug: str) -> dict[str, str]:
    carrier, one = registry.get(slug), listed().get(slug)
    return {
        "slug": slug,
        "name": one.en if one else carrier.name if carrier else slug,
        "name_zh": one.zh if one else carrier.name_zh if carrier else "",
        "country": one.country if one else "",
        "zone": one.zone if one else "",
        "site": one.site if one else "",
        "ways": _ways(carrier) if carrier else _through(registry, slug),
        "docs": carrier.docs if carrier else "",
        "origin": registry.origin(slug),
    }


def _ways(carrier: Carrier) -> str:
    ways = [
        "query" if carrier.fetch else "",
        "push",
        "subscribe" if carrier.subscribe else "",
        "signed" if carrier.verify else "",
    ]
    return " ".join(way for way in ways if way)


def _through(registry: Registry, slug: str) -> str:
    """The aggregators by which a carrier without an adapter is asked."""
    tellers = [one.slug for one in registry if slug in one.carriers.values()]
    return f"through {', '.join(tellers)}" if tellers else ""


def _run_detect(arguments: argparse.Namespace) -> int:
    for detection in _asked(arguments) if arguments.account else _detected(arguments.numbers):
        print(json.dumps(detection, ensure_ascii=False))
    return 0


def _asked(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    return client_of(arguments).detect(arguments.numbers)


def _detected(numbers: Sequence[str]) -> Iterator[dict[str, Any]]:
    hints = Hints(numbers={carrier.slug: carrier.numbers for carrier in load()[0]})
    for number in numbers:
        candidates = [structs.asdict(candidate) for candidate in detect(number, hints)]
        yield {"number": number, "candidates": candidates}


def _run_classify(arguments: argparse.Namespace) -> int:
    if arguments.lang and arguments.lang.lower().replace("_", "-").partition("-")[0] not in phrases.languages():
        known = ", ".join(phrases.languages())
        print(
            f"milepost: classify: --lang {arguments.lang}: rules are there for {known}; each line is asked",
            file=sys.stderr,
        )
    for line in sys.stdin.buffer:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        found = phrases.match(text, arguments.lang)
        said = {
            "text": text,
            "milestone": (found.milestone if found else Milestone.UNKNOWN).value,
            "reason": found.reason.value if found and found.reason else None,
            "rule": found.rule if found else None,
        }
        print(json.dumps(said, ensure_ascii=False), flush=True)
    return 0


def _run_parse(arguments: argparse.Namespace) -> int:
    registry, _ = load()
    carrier = registry.get(arguments.slug)
    if carrier is None:
        raise ConfigError(f"parse: {arguments.slug!r} is no carrier; `milepost carriers` lists them")
    try:
        body = sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
    except OSError as error:
        raise ConfigError(f"parse: {arguments.file}: {error.strerror}") from None
    try:
        read, problems = read_body(carrier, body, arguments.content_type, now=int(time.time() * 1000))
    except ParseError as error:
        print(f"milepost: {arguments.slug} can't read this: {error}", file=sys.stderr)
        return EXIT_UNREADABLE
    for problem in problems:
        print(f"milepost: {problem}", file=sys.stderr)
    print(json.dumps(read, ensure_ascii=False, indent=2))
    return 0
