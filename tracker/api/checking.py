"""What a request says, checked: its query and its body as models. A Refusal names every field that is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar, get_origin

import pydantic_core
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from tracker.api.problems import BAD_JSON, BODY_PROBLEMS, NOT_JSON_TYPE, FieldError, Refusal, invalid
from tracker.errors import BadInput
from tracker.ingress.bodies import BodyRefused, read_body

M = TypeVar("M", bound=BaseModel)

Json = Any  # a body that is JSON, checked further in

_SHORT = 40  # characters of a value that a message repeats
_TOLD = 100  # errors of a body
_HINTS = 5  # unknown fields of a body that are guessed at
_BODY_READ = 1_000  # wrong fields of a body, of which the first are told
_ITEM_READ = 30  # of an item of a batch
_SECRET = ("credentials", "headers")  # fields whose values no message repeats
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Body(BaseModel):
    """A request body: strict types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Query(BaseModel):
    """Query parameters: read from text, no unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def read_query(model: type[M], request: web.Request) -> M:
    """The query parameters as `model`; a Refusal names the wrong ones. Only those that are lists may be repeated."""
    given = {name: request.query.getall(name) for name in request.query}
    lists = {name for name, about in model.model_fields.items() if get_origin(about.annotation) is list}
    twice = [name for name, values in given.items() if len(values) > 1 and name not in lists]
    if twice:
        raise invalid([FieldError(name, "given more than once", "repeated") for name in twice])
    return validate(model, {name: values if name in lists else values[0] for name, values in given.items()})


async def body_of(kind: Any, request: web.Request, limit: int) -> bytes | None:
    """The body as it came; None where there is none, and none is needed."""
    if not request.can_read_body and needs_nothing(kind):
        return None
    if "Content-Type" in request.headers and not _is_json(request.content_type):
        raise Refusal(NOT_JSON_TYPE, f"{request.content_type!r} is not `application/json`")
    return await _read_bytes(request, limit)


def value_of(kind: Any, raw: bytes | None) -> Any:
    """The body as its kind of model; where it was left out, all its defaults."""
    if raw is None:
        return validate(kind, {})
    value = _parse_json(raw)
    return value if kind is Json else validate(kind, value)


def needs_nothing(kind: Any) -> bool:
    """Whether a body may be left out: each of its fields has a default."""
    return (
        isinstance(kind, type)
        and issubclass(kind, Body)
        and not any(field.is_required() for field in kind.model_fields.values())
    )


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


async def _read_bytes(request: web.Request, limit: int) -> bytes:
    """The body, unpacked, up to `limit` bytes; more is refused without being read."""
    try:
        return await read_body(request, limit)
    except BodyRefused as error:
        raise Refusal(BODY_PROBLEMS[error.status], str(error), headers=error.headers) from None


def _parse_json(raw: bytes) -> Any:
    """JSON as Python values; depth is bounded, so that no body can exhaust the stack. Of a name given twice the last
    counts. No text holds a NUL: nothing that we tell people has one, and PostgreSQL keeps none."""
    try:
        value = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(BAD_JSON, str(error)) from None
    if _NUL.search(raw):
        raise Refusal(BAD_JSON, "a text holds the character U+0000")
    return value


def validate(model: type[M], value: Any, prefix: str = "") -> M:
    """`value` as the model; a Refusal names every wrong field, its path below `prefix`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(_field_errors(model, error, prefix)) from None


@contextmanager
def cursors(value: str | None, field: str = "cursor", instead: str = "leave it out") -> Iterator[None]:
    """A cursor that the store can't read is the caller's mistake; `instead` says how to begin without one."""
    try:
        yield
    except ValueError:
        problem = f"{_short(value or '')!r} is no cursor of this list: take that of an answer before, or {instead}"
        raise invalid([FieldError(field, problem, "bad_cursor")]) from None


def instant(field: str, text: str) -> int:
    """ISO 8601 with an offset as ms; raises BadInput."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadInput(field, f"{text[:40]!r} is no time: ISO 8601 with an offset, 2026-11-23T00:00:00+08:00")
    return int(at.timestamp() * 1000)


def _field_errors(model: type[BaseModel], error: ValidationError, prefix: str = "") -> list[FieldError]:
    """What is wrong, field by field: as many as anybody reads; of a body that is all wrong, how many they are."""
    count = error.error_count()
    if count > (_ITEM_READ if prefix else _BODY_READ):  # telling each costs a hundred times what the check did
        return [FieldError(prefix or "body", f"{count} of its fields are wrong or unknown: /docs has the right ones")]
    found = error.errors(include_url=False, include_context=False)[:_TOLD]
    hints = iter(range(_HINTS))
    return [
        _field_error(
            model, _path_of(item["loc"], prefix), item["type"], item["msg"] + _instead_of(item["loc"], item), hints
        )
        for item in found
    ]


def _instead_of(location: Sequence[str | int], item: Mapping[str, Any]) -> str:
    """The value that is wrong, where it is short enough to be read, and no secret."""
    value = item["input"]
    if item["type"] in ("missing", "value_error") or (location and location[0] in _SECRET):
        return ""
    match value:
        case str():
            return f", not {_short(value)!r}"
        case bool() | None:
            return f", not {'null' if value is None else str(value).lower()}"
        case int() | float() if abs(value) < 1e16:
            return f", not {value}"
        case _:
            return ""


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _field_error(model: type[BaseModel], path: str, code: str, message: str, hints: Iterator[int]) -> FieldError:
    if code != "extra_forbidden":
        return FieldError(path or "body", message, code)
    looked = next(hints, None) is not None
    near = difflib.get_close_matches(path.rpartition(".")[2], list(model.model_fields), n=1) if looked else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return FieldError(path, f"unknown field{hint}", "unknown_field")


def _path_of(location: Sequence[str | int], prefix: str = "") -> str:
    """`("shipments", 3, "waybill")` → `shipments[3].waybill`."""
    path = prefix
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
