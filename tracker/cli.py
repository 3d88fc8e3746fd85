"""The command `milepost`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

from msgspec import structs

from carriers.registry import Registry, load
from carriers.sdk import Carrier, ParseError
from tracker import __version__, config, phrases, tail
from tracker.authoring import commands as authoring
from tracker.catalogue import listed
from tracker.client import Client
from tracker.detect import Hints, detect
from tracker.errors import ConfigError, MilepostError
from tracker.milestones import STATUSES
from tracker.model import Milestone, Status
from tracker.reading import read_body

_EXIT_UNREADABLE = 2
_EXIT_USAGE = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says how it went."""
    arguments = _parser().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except ConfigError as error:
        print(f"milepost: {error}", file=sys.stderr)
        return _EXIT_USAGE
    except MilepostError as error:
        print(f"milepost: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="milepost", description="Knows where every parcel is, and says so first. 快件到哪了，第一个告诉你。"
    )
    parser.add_argument("--version", action="version", version=f"milepost {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _serve(commands)
    _demo(commands)
    _client_commands(commands)
    _tools(commands)
    authoring.add(commands, _language())
    return parser


Commands = Any  # argparse keeps the type of its subparsers to itself


def _with_settings(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--config", type=Path, default=os.environ.get("MILEPOST_CONFIG"), help="a TOML file of settings"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, over file and environment"
    )
    parser.add_argument("--data", help="the data directory (setting: data)")
    parser.add_argument("--store", help="redis://, rediss:// or redis+cluster:// (setting: store.url)")
    parser.add_argument("--host", help="address to listen on (setting: http.host)")
    parser.add_argument("--port", help="port to listen on (setting: http.port)")
    return parser


def _settings(arguments: argparse.Namespace) -> config.Settings:
    named = {
        "data": arguments.data,
        "store.url": arguments.store,
        "http.host": arguments.host,
        "http.port": arguments.port,
    }
    flags = {name: value for name, value in named.items() if value is not None}
    for pair in arguments.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: write NAME=VALUE, for example --set http.port=9000")
        flags[name] = value
    return config.load(arguments.config, flags=flags)


# ---------------------------------------------------------------- daemons


def _serve(commands: Commands) -> None:
    parser = _with_settings(commands.add_parser("serve", help="run the daemon"))
    parser.set_defaults(run=_run_serve)


def _run_serve(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)  # a wrong one is told before anything else is loaded
    from tracker.app import serve

    return _loop(serve(settings))


def _demo(commands: Commands) -> None:
    parser = commands.add_parser("demo", help="a carrier world, a subscriber and orders, to watch parcels move")
    parser.add_argument("--port", type=int, default=8040, help="port of the pages (0: any free one)")
    parser.add_argument("--data", type=Path, help="keep the demo's data there; otherwise it is gone afterwards")
    parser.add_argument("--until-done", action="store_true", help="exit 0 once everything has happened that should")
    parser.add_argument("--timeout", type=float, default=90.0, help="seconds that --until-done may take")
    parser.set_defaults(run=_run_demo)


def _run_demo(arguments: argparse.Namespace) -> int:
    from tracker.demo.show import show

    return _loop(
        show(port=arguments.port, data=arguments.data, until_done=arguments.until_done, timeout=arguments.timeout)
    )


def _loop(main: Any) -> int:
    import uvloop

    return int(uvloop.run(main) or 0)


# ---------------------------------------------------------------- questions to a running daemon


def _with_daemon(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--url", default=os.environ.get("MILEPOST_URL", "http://127.0.0.1:8040"), help="the daemon ($MILEPOST_URL)"
    )
    parser.add_argument("--key", default=os.environ.get("MILEPOST_API_KEY", ""), help="an API key ($MILEPOST_API_KEY)")
    parser.add_argument("--json", action="store_true", help="print what the API answered")
    parser.add_argument("--lang", choices=("zh", "en"), default=_language(), help="language of labels")
    return parser


def _language() -> str:
    return "zh" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("zh") else "en"


def _client(arguments: argparse.Namespace) -> Client:
    return Client(arguments.url, arguments.key)


def _client_commands(commands: Commands) -> None:
    track = _with_daemon(commands.add_parser("track", help="one parcel's timeline, by waybill, order number or id"))
    track.add_argument("number")
    track.set_defaults(run=_run_track)
    stalled = _with_daemon(commands.add_parser("stalled", help="the parcels that have stopped moving"))
    stalled.set_defaults(run=_run_stalled)
    follow = _with_daemon(commands.add_parser("tail", help="every change as it comes, a line each"))
    follow.add_argument("--after", default="now", metavar="CURSOR", help="a cursor, `now`, or `beginning`")
    follow.add_argument(
        "--verify", action="store_true", help="exit 3 at the first gap: a revision or a count that lacks"
    )
    follow.set_defaults(run=_run_tail)
    whose = _with_daemon(commands.add_parser("detect", help="whose numbers these may be, one JSON a line"))
    whose.add_argument("numbers", nargs="+", metavar="NUMBER")
    whose.add_argument("--account", action="store_true", help="ask the daemon, which knows what the account uses")
    whose.set_defaults(run=_run_detect)
    replay = _with_daemon(
        commands.add_parser("replay", help="read again what is stored, by today's tables; only the difference goes out")
    )
    replay.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    replay.add_argument("--carrier", default="", metavar="SLUG", help="only what this adapter told of")
    replay.add_argument("--account", metavar="NAME", help="only this account; else each that the key may see")
    replay.add_argument("--limit", type=int, metavar="N", help="stop after so many corrections")
    replay.set_defaults(run=_run_replay)
    keys = _with_daemon(commands.add_parser("keys", help="API keys: list, create, rotate, revoke"))
    keys.add_argument("action", choices=("list", "create", "rotate", "revoke"), nargs="?", default="list")
    keys.add_argument("id", nargs="?", help="the key to rotate or to revoke")
    keys.add_argument("--overlap", type=int, default=86_400, metavar="S", help="seconds that a rotated key goes on")
    keys.add_argument("--name", default="", help="what a new key is for")
    keys.add_argument("--scope", action="append", choices=("read", "write", "admin"), help="scopes of a new key")
    keys.set_defaults(run=_run_keys)


def _run_tail(arguments: argparse.Namespace) -> int:
    after = "" if arguments.after == "beginning" else arguments.after
    follow = tail.Tail(arguments.url, arguments.key, after=after)
    return tail.run(follow, as_json=arguments.json, lang=arguments.lang, verify=arguments.verify)


def _run_track(arguments: argparse.Namespace) -> int:
    shipments = _client(arguments).find(arguments.number)
    if arguments.json:
        print(json.dumps(shipments, ensure_ascii=False, indent=2))
    for shipment in [] if arguments.json else shipments:
        _print_timeline(shipment, arguments.lang)
    if not shipments:
        print(f"milepost: nothing is known of {arguments.number}", file=sys.stderr)
    return 0 if shipments else 1


def _print_timeline(shipment: dict[str, Any], lang: str) -> None:
    stalled = shipment["stalled"]
    print(f"{shipment['waybill']}  {shipment['carrier']}  {shipment['status_label'][lang]}  {shipment['id']}")
    if stalled:
        print(f"  {'滞留' if lang == 'zh' else 'stalled'}: {stalled['for_s'] / 3600:.1f} h ({stalled['since']})")
    for event in reversed(shipment["events"]):
        marks = "".join(f" ({mark})" for mark in ("stray", "retracted", "summary") if event[mark])
        place = f" {event['location']}" if event["location"] else ""
        print(f"  {event['occurred_at']:<26}{event['label'][lang]}{place}  {event['description'] or ''}{marks}")


def _run_stalled(arguments: argparse.Namespace) -> int:
    rows = _client(arguments).stalled()
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    for row in rows:
        hours = row["stalled"]["for_s"] / 3600
        label = row["status_label"][arguments.lang]
        print(f"{row['waybill']:<24}{row['carrier']:<14}{label:<10}{hours:8.1f} h  {row['order_number'] or ''}")
    return 0


def _run_detect(arguments: argparse.Namespace) -> int:
    for detection in _asked(arguments) if arguments.account else _detected(arguments.numbers):
        print(json.dumps(detection, ensure_ascii=False))
    return 0


def _asked(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    return _client(arguments).detect(arguments.numbers)


def _detected(numbers: Sequence[str]) -> Iterator[dict[str, Any]]:
    hints = Hints(numbers={carrier.slug: carrier.numbers for carrier in load()[0]})
    for number in numbers:
        candidates = [structs.asdict(candidate) for candidate in detect(number, hints)]
        yield {"number": number, "candidates": candidates}


def _run_replay(arguments: argparse.Namespace) -> int:
    client, left = _client(arguments), arguments.limit
    if left is not None and left < 1:
        raise ConfigError(f"replay: --limit {left}: at least 1, or leave it out to correct all")
    looked_at = corrected = read = unreadable = 0
    for account in client.accounts() if arguments.account is None else [arguments.account]:
        for page in client.replay(account, carrier=arguments.carrier, dry_run=arguments.dry_run, limit=left):
            _print_page(page, arguments)
            looked_at, corrected = looked_at + page["looked_at"], corrected + len(page["corrections"])
            read, unreadable = read + len(page["quarantine"]["read"]), unreadable + page["quarantine"]["unreadable"]
            left = None if left is None else left - len(page["corrections"])
    if not arguments.json:
        done = "would be" if arguments.dry_run else "were"
        print(f"{corrected} of {looked_at} shipments {done} corrected; {read} bodies of the quarantine {done} read,")
        print(f"{unreadable} can't be read")
    return 0


def _print_page(page: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:  # a line for each page: a long replay may be cut off
        print(json.dumps(page, ensure_ascii=False), flush=True)
        return
    for row in page["corrections"]:
        was, now_is = (STATUSES[Status(row["status"][name])].label(arguments.lang) for name in ("was", "is"))
        print(f"{row['waybill']:<24}{row['carrier']:<14}{was if was == now_is else f'{was} → {now_is}'}", flush=True)
        for event in row["events"]:
            print(
                f"  {event['occurred_at']:<26}{event['code'] or '':<12}{_meant(event['was'])} → {_meant(event['is'])}"
            )


def _meant(meaning: dict[str, str | None]) -> str:
    return " ".join(filter(None, meaning.values()))


def _run_keys(arguments: argparse.Namespace) -> int:
    client = _client(arguments)
    if arguments.action == "create":
        answer = client.create_key(arguments.name, arguments.scope or ["read", "write"])
    elif arguments.action in ("rotate", "revoke"):
        if not arguments.id:
            raise ConfigError(f"keys {arguments.action}: name the key's id; `milepost keys` lists them")
        rotates = arguments.action == "rotate"
        answer = client.rotate_key(arguments.id, arguments.overlap) if rotates else client.revoke_key(arguments.id)
    else:
        answer = client.keys()
    print(json.dumps(answer, ensure_ascii=False, indent=2))
    return 0


# ---------------------------------------------------------------- tools that need no daemon


def _tools(commands: Commands) -> None:
    carriers = commands.add_parser("carriers", help="the carriers that have an adapter, and where it comes from")
    carriers.add_argument("--all", action="store_true", help="and every other that is known, by whatever way")
    carriers.add_argument("--json", action="store_true")
    carriers.set_defaults(run=_run_carriers)
    shown = _with_settings(commands.add_parser("config", help="every setting as it would be used, secrets hidden"))
    shown.set_defaults(run=_run_config)
    doctor = _with_settings(
        commands.add_parser("doctor", help="check what the daemon needs: settings, disk, store, carriers")
    )
    doctor.set_defaults(run=_run_doctor)
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


def _run_config(arguments: argparse.Namespace) -> int:
    for name, value in config.shown(_settings(arguments)):
        print(f"{name} = {value}")
    return 0


def _run_doctor(arguments: argparse.Namespace) -> int:
    from tracker.doctor import examine

    return _loop(examine(_settings(arguments)))


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
        return _EXIT_UNREADABLE
    for problem in problems:
        print(f"milepost: {problem}", file=sys.stderr)
    print(json.dumps(read, ensure_ascii=False, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
