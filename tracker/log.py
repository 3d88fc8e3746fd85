"""Logging: one line per event, JSON for machines and colour for people, no personal data and no secret in either.

What libraries log, and what nobody caught, goes the same way.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
from collections.abc import Collection, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import Processor

from tracker.masking import mask

# a log line never needs these; carriers put names and phones into texts and codes into query strings
_DROPPED = frozenset(
    {"body", "text", "description", "credentials", "secret", "key", "authorization", "password", "token"}
)
_SECRETS = (
    (re.compile(r"\b(mp_\w{4})\w+|\b(whs(?:ec|k)_)[\w+/=-]+"), r"\1\2…"),
    (re.compile(r"(/(?:hooks/con|order-stores/ost)_\w+/)[^\s/?#\"'\\]+"), r"\1…"),
    (re.compile(r"(/parcels/shp_\w+/)[a-z2-7]+"), r"\1…"),  # of a buyer's link
    (re.compile(r"\b(Bearer|Basic|Digest|Token) +[\w.~+/=:-]{4,}", re.IGNORECASE), r"\1 …"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,30}://[^\s:/@]{0,200}:)[^\s/@]+(?=@)", re.IGNORECASE), r"\1…"),
    # a parameter, a JSON field or a header whose name says that it is secret
    (
        re.compile(
            r"((?<![a-z])[\w-]{0,40}(?:token|secret|passw(?:or)?d|api[-_]?key|app[-_]?key|authorization|cookie|signature"
            r"|credential|session|sign|key)s?(?:[\"'\\]{0,4}\s?[:=]\s?[\"'\\]{1,4}|=))[^\s\"'\\&,;)}]+",
            re.IGNORECASE,
        ),
        r"\1…",
    ),
)
_DEEP = 6  # of values inside values that a line has; deeper ones are written as text


def configure(
    level: str = "info", format: Literal["auto", "json", "console"] = "auto", *, secrets: Collection[str] = ()
) -> None:
    """Send structlog to standard error, with the request and shipment ids bound to the running task.

    `secrets` of the settings are masked wherever they stand.
    """
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    written: Processor = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # before what masks it
            Redaction(secrets),
            written,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Lossy(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Library()], level=logging.WARNING, force=True)
    sys.excepthook = _uncaught


class Redaction:
    """Drops what a log never needs, and masks what looks like a secret or personal data, in whatever a line holds."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """`secrets`: texts that are masked wherever they stand; short ones stand everywhere by chance and are not."""
        known = sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name in list(event):
            if name.lower() in _DROPPED:
                del event[name]
            else:
                event[name] = self._clean(event[name], _DEEP)
        return event

    def _clean(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth and isinstance(value, Mapping):
            kept = {str(name): inner for name, inner in value.items() if str(name).lower() not in _DROPPED}
            return {self.text(name): self._clean(inner, depth - 1) for name, inner in kept.items()}
        if depth and isinstance(value, list | tuple | set | frozenset):
            return [self._clean(inner, depth - 1) for inner in value]
        if isinstance(value, bytes | bytearray):
            return f"{len(value)} bytes"
        return self.text(value if isinstance(value, str) else repr(value))

    def text(self, text: str) -> str:
        """The text, masked."""
        if self._known:
            text = self._known.sub("…", text)
        return mask(without_secrets(text))


redact = Redaction()


def without_secrets(text: str) -> str:
    """The text with what has the form of a secret cut short."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class _Lossy(io.TextIOBase):
    """Where lines go. One that can't be written, to a disk that is full say, is lost, and ends nobody's work."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()


class _Library(logging.Handler):
    """Hands what a library logs to structlog: aiohttp's own errors, asyncio's of tasks that nobody awaited."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger()
            tell = log.error if record.levelno >= logging.ERROR else log.warning
            tell(record.getMessage(), logger=record.name, **({"exc_info": record.exc_info} if record.exc_info else {}))
        except Exception:  # a line that can't be written must end nobody's work, and must not be shown as it is
            _Lossy(sys.stderr).write(f"a line of {record.name} could not be written\n")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger().critical("crashed", exc_info=(kind, error, trace))
