"""Templates to pages: one Jinja2 environment, with the language and the clock of the request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

from tracker.console import formats, progress
from tracker.console.messages import translate
from tracker.console.reasons import reason
from tracker.milestones import MILESTONES, STATUSES
from tracker.model import Milestone, Status
from tracker.orders import ORDER_STATUSES, OrderStatus

CarrierName = Callable[[str, str], str]

_HERE = files("tracker.console")
STATIC = {name: _HERE.joinpath("static", name).read_bytes() for name in ("console.css", "console.js", "icon.svg")}
STATIC_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
STATIC_VERSION = hashlib.sha256(b"".join(STATIC.values())).hexdigest()[:12]


def make_environment() -> Environment:
    """The templates, autoescaped, with an undefined name as an error."""
    environment = Environment(
        loader=FunctionLoader(lambda name: _HERE.joinpath("templates", name).read_text("utf-8")),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        version=STATIC_VERSION,
        tone=progress.tone,
        progress=progress.progress,
        web_address=web_address,
    )
    return environment


def words_for(lang: str, now: float, carrier_name: CarrierName) -> dict[str, Any]:
    """What templates call to speak `lang` at `now` (s)."""
    return {
        "lang": lang,
        "t": partial(_translate, lang),
        "reason": lambda text: reason(text, lang),
        "label": lambda words: words[lang],
        "status_label": lambda status: _word(STATUSES, Status, status, lang),
        "order_status_label": lambda status: _word(ORDER_STATUSES, OrderStatus, status, lang),
        "milestone_label": lambda milestone: _word(MILESTONES, Milestone, milestone, lang),
        "carrier_name": lambda slug: carrier_name(slug, lang),
        "duration": lambda seconds: formats.duration(seconds, lang),
        "took": lambda ms: formats.latency(ms, lang),
        "silent": lambda since: formats.duration(formats.seconds_since(since, now), lang),
        "clock": lambda iso: formats.clock(iso, now),
        "day": lambda iso: formats.day(iso, lang),
        "source": lambda name: _source(name, lang),
    }


def web_address(url: str | None) -> str:
    """The URL if it leads to the web, else ""."""
    return url if url and urlsplit(url).scheme in ("http", "https") else ""


def _translate(lang: str, key: str, **values: object) -> str:
    return translate(key, lang, **values)


def _word(words: Mapping[Any, Any], kind: Callable[[str], Any], name: str, lang: str) -> str:
    label: str = words[kind(name)].label(lang)
    return label


def _source(name: str, lang: str) -> str:
    connection, _, way = name.rpartition("/")
    known = f"source_{way}"
    shown = translate(known, lang) if way in ("push", "poll", "manual") else way
    return f"{shown} {connection}".strip()
