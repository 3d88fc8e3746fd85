"""The command `milepost`: a module for each group of commands, each of which adds its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from tracker import __version__
from tracker.cli import authoring, carriers, daemon, parcels, upkeep
from tracker.cli.arguments import EXIT_USAGE
from tracker.errors import ConfigError, MilepostError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says how it went."""
    arguments = command_line().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except ConfigError as error:
        print(f"milepost: {error}", file=sys.stderr)
        return EXIT_USAGE
    except MilepostError as error:
        print(f"milepost: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def command_line() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(
        prog="milepost", description="Knows where every parcel is, and says so first. 快件到哪了，第一个告诉你。"
    )
    parser.add_argument("--version", action="version", version=f"milepost {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (daemon, parcels, upkeep, carriers, authoring):
        group.add(commands)
    return parser
