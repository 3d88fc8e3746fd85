"""What a running daemon knows of parcels: `track`, `stalled`, `tail`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tracker.cli import tail
from tracker.cli.arguments import Commands, client_of, with_daemon


def add(commands: Commands) -> None:
    """Put these commands among the others."""
    track = with_daemon(commands.add_parser("track", help="one parcel's timeline, by waybill, order number or id"))
    track.add_argument("number")
    track.set_defaults(run=_run_track)
    stalled = with_daemon(commands.add_parser("stalled", help="the parcels that have stopped moving"))
    stalled.set_defaults(run=_run_stalled)
    follow = with_daemon(commands.add_parser("tail", help="every change as it comes, a line each"))
    follow.add_argument("--after", default="now", metavar="CURSOR", help="a cursor, `now`, or `beginning`")
    follow.add_argument(
        "--verify", action="store_true", help="exit 3 at the first gap: a revision or a count that lacks"
    )
    follow.set_defaults(run=_run_tail)


def _run_track(arguments: argparse.Namespace) -> int:
    shipments = client_of(arguments).find(arguments.number)
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
        print(f"  {'滞留' if lang == 'zh' else 'stalled'}: {as_long(stalled['for_s'])} ({stalled['since']})")
    for event in reversed(shipment["events"]):
        marks = "".join(f" ({mark})" for mark in ("stray", "retracted", "summary") if event[mark])
        place = f" {event['location']}" if event["location"] else ""
        print(f"  {event['occurred_at']:<26}{event['label'][lang]}{place}  {event['description'] or ''}{marks}")


def _run_stalled(arguments: argparse.Namespace) -> int:
    rows = client_of(arguments).stalled()
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    if not rows:
        print("milepost: nothing has stopped moving", file=sys.stderr)
    for row in rows:
        label, order = row["status_label"][arguments.lang], row["order_number"] or ""
        print(f"{row['waybill']:<24}{row['carrier']:<14}{label:<10}{as_long(row['stalled']['for_s']):>10}  {order}")
    return 0


def as_long(seconds: float) -> str:
    """As long as it stands still: `12 min`, `7.5 h`, and from two days on `25.4 d`."""
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} d"


def _run_tail(arguments: argparse.Namespace) -> int:
    after = "" if arguments.after == "beginning" else arguments.after
    follow = tail.Tail(arguments.url, arguments.key, after=after, complain=_complain)
    return tail.run(follow, as_json=arguments.json, lang=arguments.lang, verify=arguments.verify)


def _complain(trouble: str) -> None:
    print(f"milepost: {trouble}", file=sys.stderr, flush=True)
