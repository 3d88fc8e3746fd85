"""The commands of an adapter's author: `milepost new-carrier` and `milepost try`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from carriers.registry import load
from carriers.sdk import Ask, Carrier, ParseError
from tracker.cli.arguments import EXIT_UNREADABLE, Commands, language
from tracker.errors import ConfigError


def add(commands: Commands) -> None:
    """Put these commands among the others."""
    new = commands.add_parser("new-carrier", help="the folder of a new adapter, or a package of its own for it")
    new.add_argument("slug")
    new.add_argument("--name", default="", help="the carrier's name; otherwise made from the slug")
    new.add_argument("--package", type=Path, metavar="DIR", help="an installable package, outside a checkout")
    new.set_defaults(run=_run_new_carrier)
    _add_try(commands)


def _add_try(commands: Commands) -> None:
    ask = commands.add_parser("try", help="ask a live carrier for one parcel, without a daemon")
    ask.add_argument("slug")
    ask.add_argument("number")
    ask.add_argument("--credentials", type=Path, metavar="FILE", help="TOML: names at its top, or in [slug]")
    ask.add_argument("--credential", action="append", default=[], metavar="NAME=VALUE", help="over $CARRIER_SLUG_NAME")
    ask.add_argument("--base", default="", metavar="URL", help="another address than the carrier's own")
    ask.add_argument("--carrier", default="", metavar="SLUG", help="whose number it is, where an aggregator is asked")
    ask.add_argument("--phone-tail", default="", help="the last four digits")
    ask.add_argument("--postal-code", default="")
    ask.add_argument("--ship-date", default="", metavar="YYYY-MM-DD")
    ask.add_argument("--record", type=Path, metavar="DIR", help="keep the exchange there as fixtures, persons masked")
    ask.add_argument("--json", action="store_true")
    ask.add_argument("--lang", choices=("zh", "en"), default=language())
    ask.set_defaults(run=_run_try)


# ---------------------------------------------------------------- new-carrier


def _run_new_carrier(arguments: argparse.Namespace) -> int:
    from tracker.authoring import scaffold

    name = arguments.name or scaffold.name_of(arguments.slug)
    if arguments.package:
        written = scaffold.as_package(arguments.slug, name, arguments.package)
        _say_next(written, f"pip install -e {arguments.package} && pytest {arguments.package}")
    else:
        written = scaffold.in_checkout(arguments.slug, name, Path.cwd())
        _say_next(written, f"pytest {written[-1].relative_to(Path.cwd())}")
    return 0


def _say_next(written: list[Path], test: str) -> None:
    for path in written:
        print(path)
    print(f"\n{test} passes as it is. Now make it yours: the fixtures first (CONTRIBUTING.md).", file=sys.stderr)


# ---------------------------------------------------------------- try


def _run_try(arguments: argparse.Namespace) -> int:
    from tracker.authoring import recording, showing, trying

    carrier = _carrier(arguments.slug)
    question = Ask(
        number=arguments.number,
        carrier=arguments.carrier,
        phone_tail=arguments.phone_tail,
        postal_code=arguments.postal_code,
        ship_date=arguments.ship_date,
    )
    credentials = trying.gather(carrier, arguments.credentials, arguments.credential)
    try:
        tried = asyncio.run(trying.ask(carrier, question, credentials, base=arguments.base))
    except ParseError as error:
        print(f"milepost: {carrier.slug} can't read the answer: {error}", file=sys.stderr)
        return EXIT_UNREADABLE
    now = int(time.time() * 1000)
    if arguments.json:
        print(json.dumps(showing.plain(carrier, tried, now=now), ensure_ascii=False, indent=2))
    for line in () if arguments.json else showing.lines(carrier, tried, lang=arguments.lang, now=now):
        print(line)
    if arguments.record:
        _say_recorded(recording.record(carrier, question, credentials, tried, arguments.record))
    return 0 if tried.scans else 1


def _carrier(slug: str) -> Carrier:
    registry, failures = load()
    carrier = registry.get(slug)
    if carrier is None:
        broken = "".join(f"; {failure.origin} is broken: {failure.problem}" for failure in failures)
        raise ConfigError(f"try: {slug!r} is no carrier; `milepost carriers` lists them{broken}")
    return carrier


def _say_recorded(written: list[Path]) -> None:
    for path in written:
        print(f"recorded  {path}")
    print(
        "Read them before you commit them: a name inside a sentence is found only where it is labelled.\n"
        "MILEPOST_GOLDEN=1 with the adapter's test writes their goldens.",
        file=sys.stderr,
    )
