"""What several commands take, and what an exit code means."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from tracker.cli.client import Client
from tracker.config.loading import load
from tracker.config.settings import Settings
from tracker.errors import ConfigError

EXIT_UNREADABLE = 2
EXIT_USAGE = 64

Commands = Any  # argparse keeps the type of its subparsers to itself


def with_settings(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that a daemon's settings are taken from."""
    parser.add_argument(
        "--config", type=Path, default=os.environ.get("MILEPOST_CONFIG"), help="a TOML file of settings"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, over file and environment"
    )
    parser.add_argument("--data", help="the data directory (setting: data)")
    parser.add_argument(
        "--store", help="redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// (setting: store.url)"
    )
    parser.add_argument("--host", help="address to listen on (setting: http.host)")
    parser.add_argument("--port", help="port to listen on (setting: http.port)")
    return parser


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that file, environment and options make."""
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
    return load(arguments.config, flags=flags)


def with_daemon(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options of a question to a running daemon."""
    parser.add_argument(
        "--url", default=os.environ.get("MILEPOST_URL", "http://127.0.0.1:8040"), help="the daemon ($MILEPOST_URL)"
    )
    parser.add_argument("--key", default=os.environ.get("MILEPOST_API_KEY", ""), help="an API key ($MILEPOST_API_KEY)")
    parser.add_argument("--json", action="store_true", help="print what the API answered")
    parser.add_argument("--lang", choices=("zh", "en"), default=language(), help="language of labels")
    return parser


def language() -> str:
    """The language of labels, by the locale."""
    return "zh" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("zh") else "en"


def client_of(arguments: argparse.Namespace) -> Client:
    """The daemon that the options name."""
    return Client(arguments.url, arguments.key)
