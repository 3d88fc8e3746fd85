"""Logging: one line per event, JSON for machines and colour for people, and no personal data in either."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog
from structlog.typing import Processor

# a log line never needs these; carriers put names and phones into texts and codes into query strings
_DROPPED = frozenset(
    {"body", "text", "description", "credentials", "secret", "key", "authorization", "password", "token"}
)
_PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)|(?<![\w-])(?:\+\d{1,3}[ -])?\+?\d{2,4}[ -]\d{3,4}[ -]\d{4}(?!\d)")
_KEY = re.compile(r"\b(mp_\w{4})\w+|\b(whsec_)[\w+/=]+|(/hooks/con_\w+/)[\w-]+")


def configure(level: str = "info", format: Literal["auto", "json", "console"] = "auto") -> None:
    """Send structlog to standard error, with the request and shipment ids bound to the running task."""
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    last: list[Processor] = (
        [redact, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    # aiohttp logs its own errors through logging; they belong into the same stream
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what a log never needs and mask what looks like a phone, a key or a path secret."""
    for name in list(event):
        if name in _DROPPED:
            del event[name]
        elif isinstance(event[name], str):
            event[name] = _KEY.sub(r"\1\2\3…", _PHONE.sub("***", event[name]))
    return event
