"""Parsing aids: from a carrier's bytes to checked values and moments; what is wrong is a `ParseError` with its path."""

from __future__ import annotations

import re
from binascii import a2b_qp
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tracker.model import Certainty, Moment

MAX_BODY = 8 * 1024 * 1024  # bytes; the largest real answers are some hundred kB
MAX_DEPTH = 64  # objects and lists inside one another
MAX_FIELDS = 1_000  # of a form
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_JSON = msgspec.json.Decoder()
_LOOSE = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]+(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}))?(?:\.\d+)?)?", re.ASCII
)


class ParseError(ValueError):
    """A body that can't be read. `path` says where (`$.output[0].scanEvents`), the message what is wrong there."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


# ---------------------------------------------------------------- bodies


def read_json(body: bytes | str, path: str = "$") -> Any:
    """Decode JSON (UTF-8, with or without a byte order mark).

    ParseError for anything else: HTML, cut off, over 8 MiB, over 64 deep. `path` is for JSON inside a JSON string. Of a
    name given twice the last counts. U+0000 is left out: no text that people read has one, and PostgreSQL keeps none.
    """
    if len(body) > MAX_BODY:
        raise ParseError(path, f"{len(body)} bytes, more than the {MAX_BODY} that are read")
    try:
        value = _JSON.decode(_without_nul(_without_mark(body)))
    except (ValueError, OverflowError, RecursionError) as error:
        raise ParseError(path, f"not JSON: {_seen(body)}: {error}") from None
    _check_depth(body, value, path)
    return value


def form(body: bytes) -> dict[str, str]:
    """The fields of an application/x-www-form-urlencoded body, each decoded as UTF-8; the first of a name counts."""
    if len(body) > MAX_BODY:
        raise ParseError("$", f"{len(body)} bytes, more than the {MAX_BODY} that are read")
    if body.count(b"&") >= MAX_FIELDS:
        raise ParseError("$", f"more than {MAX_FIELDS} fields")
    fields: dict[str, str] = {}
    for pair in body.split(b"&"):
        name, equals, value = pair.partition(b"=")
        if equals:
            fields.setdefault(_decoded(name, "$"), _decoded(value, f"$.{_decoded(name, '$')}"))
    return fields


def _without_mark(body: bytes | str) -> bytes | str:
    return body.removeprefix(b"\xef\xbb\xbf") if isinstance(body, bytes) else body.removeprefix("\ufeff")


def _without_nul(body: bytes | str) -> bytes | str:
    if isinstance(body, bytes):
        return _NUL.sub(rb"\1", body) if b"\\u0000" in body else body
    return _NUL.sub(rb"\1", body.encode("utf-8", "surrogatepass")) if "\\u0000" in body else body


def _seen(body: bytes | str) -> str:
    start = body[:20].decode("utf-8", "replace") if isinstance(body, bytes) else body[:20]
    if not start.strip():
        return "the body is empty"
    kind = "HTML or XML " if start.lstrip().startswith("<") else ""
    return f"{kind}{start!r}"


def _check_depth(body: bytes | str, value: Any, path: str) -> None:
    """Refuse deep nesting. A body with few opening brackets can't be deep, so most are not walked at all."""
    if _opened(body) <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer) if type(inner) in (dict, list)]
        if not level:
            return
    raise ParseError(path, f"nested deeper than {MAX_DEPTH}")


def _opened(body: bytes | str) -> int:
    return body.count(b"{") + body.count(b"[") if isinstance(body, bytes) else body.count("{") + body.count("[")


def _inside(value: Any) -> Any:
    if type(value) is dict:
        return value.values()
    return value if type(value) is list else ()


def _decoded(text: bytes, path: str) -> str:
    """Percent-decoded. Quoted-printable is the same with another sign, and its decoder is 20 times faster than ours."""
    escaped = text.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"=")
    try:
        return a2b_qp(escaped).decode()
    except UnicodeDecodeError:
        raise ParseError(path, "not UTF-8") from None


# ---------------------------------------------------------------- values


def object_of(value: Any, path: str) -> dict[str, Any]:
    """`value` as an object, or ParseError."""
    if type(value) is dict:
        return value
    raise ParseError(path, f"expected an object, found {_kind(value)}")


def text_at(obj: dict[str, Any], key: str, path: str) -> str:
    """`obj[key]` as a stripped string: numbers and booleans become strings; missing and null are ""."""
    value = obj.get(key)
    if type(value) is str:
        return value.strip()
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (int, float):
        return str(value)
    raise ParseError(f"{path}.{key}", f"expected text, found {_kind(value)}")


def list_at(obj: dict[str, Any], key: str, path: str) -> list[Any]:
    """`obj[key]` as a list; missing and null are []."""
    value = obj.get(key)
    if type(value) is list:
        return value
    if value is None:
        return []
    raise ParseError(f"{path}.{key}", f"expected a list, found {_kind(value)}")


def dict_at(obj: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    """`obj[key]` as an object; missing and null are {}."""
    value = obj.get(key)
    return {} if value is None else object_of(value, f"{path}.{key}")


def rows_at(obj: dict[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    """`obj[key]` as a list of objects; missing and null are []."""
    rows = list_at(obj, key, path)
    for place, row in enumerate(rows):
        if type(row) is not dict:
            raise ParseError(f"{path}.{key}[{place}]", f"expected an object, found {_kind(row)}")
    return rows


def moment_at(obj: dict[str, Any], key: str, path: str, *, zone: int | str | None = None) -> Moment | None:
    """`obj[key]` as a moment (see `moment`); None where it is missing, null or empty."""
    text = text_at(obj, key, path)
    return moment(text, zone=zone, path=f"{path}.{key}") if text else None


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return {dict: "an object", list: "a list", str: "text", bool: "a boolean"}.get(type(value), "a number")


# ---------------------------------------------------------------- times


def moment(text: str, *, zone: int | str | None = None, path: str = "$") -> Moment:
    """Read ISO 8601 in its variants, or `yyyy-MM-dd HH:mm:ss` and its like; fractions of a second are dropped.

    An offset in the text is GIVEN. Without one, `zone` (minutes east of UTC, or an IANA name whose summer time is
    applied) is the carrier's rule: CARRIER_RULE. Without either the offset stays None: ASSUMED.
    """
    read = _moment(text, zone)
    if read is None:
        raise ParseError(path, f"not a time: {text[:40]!r}; expected something like 2026-05-05 12:08:57")
    return read


def moment_or_none(text: str, *, zone: int | str | None = None) -> Moment | None:
    """A time that stands beside the scans, an expected day say: one that can't be read must not cost the scans."""
    return _moment(text, zone) if text else None


@lru_cache(maxsize=8192)  # pushes repeat whole histories
def _moment(text: str, zone: int | str | None) -> Moment | None:
    read = _read_time(text.strip())
    if read is None or not _FIRST_YEAR <= read.year <= _LAST_YEAR:
        return None
    offset, certainty = _offset(read, zone)
    return Moment(int(read.replace(tzinfo=UTC).timestamp()), offset, certainty)


def _read_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    loose = _LOOSE.fullmatch(text)
    try:
        return loose and datetime(*(int(part or 0) for part in loose.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def _offset(read: datetime, zone: int | str | None) -> tuple[int | None, Certainty]:
    if read.tzinfo is not None:
        return _minutes(read), Certainty.GIVEN
    if zone is None:
        return None, Certainty.ASSUMED
    return _minutes(read.replace(tzinfo=_zone(zone))), Certainty.CARRIER_RULE


def _minutes(read: datetime) -> int:
    return int((read.utcoffset() or timedelta()).total_seconds() // 60)


@lru_cache(maxsize=1024)
def _zone(zone: int | str) -> tzinfo:
    return timezone(timedelta(minutes=zone)) if isinstance(zone, int) else ZoneInfo(zone)
