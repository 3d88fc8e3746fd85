"""The daemon and what it would run with: `serve`, `demo`, `config`, `doctor`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tracker.cli.arguments import Commands, settings_of, with_settings
from tracker.config.showing import shown


def add(commands: Commands) -> None:
    """Put these commands among the others."""
    serve = with_settings(commands.add_parser("serve", help="run the daemon"))
    serve.set_defaults(run=_run_serve)
    demo = commands.add_parser("demo", help="a carrier world, a subscriber and orders, to watch parcels move")
    demo.add_argument("--port", type=int, default=8040, help="port of the pages (0: any free one)")
    demo.add_argument("--data", type=Path, help="keep the demo's data there; otherwise it is gone afterwards")
    demo.add_argument("--until-done", action="store_true", help="exit 0 once everything has happened that should")
    demo.add_argument("--timeout", type=float, default=90.0, help="seconds that --until-done may take")
    demo.set_defaults(run=_run_demo)
    shown = with_settings(commands.add_parser("config", help="every setting as it would be used, secrets hidden"))
    shown.set_defaults(run=_run_config)
    doctor = with_settings(
        commands.add_parser("doctor", help="check what the daemon needs: settings, disk, store, carriers")
    )
    doctor.add_argument(
        "--forget-sealed",
        action="store_true",
        help="where a sealing key is lost: remove the connections, order stores and subscriptions that it sealed",
    )
    doctor.add_argument(
        "--restored",
        action="store_true",
        help="the store is a restored backup: refuse the cursors of the feed that were given before",
    )
    doctor.set_defaults(run=_run_doctor)


def _run_serve(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)  # a wrong one is told before anything else is loaded
    from tracker.app import serve

    return _loop(serve(settings))


def _run_demo(arguments: argparse.Namespace) -> int:
    from tracker.demo.show import show

    return _loop(
        show(port=arguments.port, data=arguments.data, until_done=arguments.until_done, timeout=arguments.timeout)
    )


def _run_config(arguments: argparse.Namespace) -> int:
    for name, value in shown(settings_of(arguments)):
        print(f"{name} = {value}")
    return 0


def _run_doctor(arguments: argparse.Namespace) -> int:
    from tracker.cli.doctor import examine

    return _loop(examine(settings_of(arguments), forget_sealed=arguments.forget_sealed, restored=arguments.restored))


def _loop(main: Any) -> int:
    import uvloop

    return int(uvloop.run(main) or 0)
