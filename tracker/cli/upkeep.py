"""What is put right or let in at a running daemon: `replay`, `backfill`, `keys`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tracker.cli.arguments import Commands, client_of, with_daemon
from tracker.errors import ConfigError
from tracker.milestones import STATUSES
from tracker.model import Status


def add(commands: Commands) -> None:
    """Put these commands among the others."""
    replay = with_daemon(
        commands.add_parser("replay", help="read again what is stored, by today's tables; only the difference goes out")
    )
    replay.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    replay.add_argument("--carrier", default="", metavar="SLUG", help="only what this adapter told of")
    replay.add_argument("--account", metavar="NAME", help="only this account; else each that the key may see")
    replay.add_argument("--limit", type=int, metavar="N", help="stop after so many corrections")
    replay.set_defaults(run=_run_replay)
    backfill = with_daemon(
        commands.add_parser(
            "backfill", help="ask shops at once for waybills that they did not push; they are registered"
        )
    )
    backfill.add_argument("id", nargs="?", help="the order store; else each of the account that can be asked")
    backfill.add_argument("--since", metavar="TIME", help="orders updated since, with an offset: 2026-11-20T00:00:00Z")
    backfill.set_defaults(run=_run_backfill)
    keys = with_daemon(commands.add_parser("keys", help="API keys: list, create, rotate, revoke"))
    keys.add_argument("action", choices=("list", "create", "rotate", "revoke"), nargs="?", default="list")
    keys.add_argument("id", nargs="?", help="the key to rotate or to revoke")
    keys.add_argument("--overlap", type=int, default=86_400, metavar="S", help="seconds that a rotated key goes on")
    keys.add_argument("--name", default="", help="what a new key is for")
    keys.add_argument("--scope", action="append", choices=("read", "write", "admin"), help="scopes of a new key")
    keys.set_defaults(run=_run_keys)


def _run_replay(arguments: argparse.Namespace) -> int:
    client, left = client_of(arguments), arguments.limit
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


def _run_backfill(arguments: argparse.Namespace) -> int:
    client = client_of(arguments)
    ids = [arguments.id] if arguments.id else client.askable_order_stores()
    asked = {id: client.backfill(id, arguments.since) for id in ids}
    if arguments.json:
        print(json.dumps(asked, ensure_ascii=False))
    elif not asked:
        print("no order store can be asked")
    else:
        for id, one in asked.items():
            print(
                f"{id}  is asked for orders updated since {one['since']}; `GET /v1/order-stores/{id}` says how it goes"
            )
    return 0


def _run_keys(arguments: argparse.Namespace) -> int:
    client = client_of(arguments)
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
