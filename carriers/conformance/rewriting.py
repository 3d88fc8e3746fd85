"""The values of a body, whatever it is written in: JSON, XML, a form with JSON in its fields, or plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from carriers.conformance.mutations import as_form

Keys = tuple[str, ...]  # the names on the way to a value, folded: `receivedByName` is `receivedbyname`
Change = Callable[[Keys, str], str]


def values(body: bytes) -> list[tuple[Keys, str]]:
    """Every text in the body, with the names on the way to it; whole numbers among them."""
    seen: list[tuple[Keys, str]] = []

    def note(keys: Keys, value: str) -> str:
        seen.append((keys, value))
        return value

    rewritten(body, note)
    return seen


def rewritten(body: bytes, change: Change) -> bytes:
    """The body with `change` applied to every text in it; a number that it would change becomes 0."""
    text = body.decode("utf-8", "replace")
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start in ("{", "["):
        return _json(text, change).encode()
    if start == "<":
        return _xml(body, change)
    if re.match(r"[\w.]+=[^\s<]*(&|$)", text):
        return as_form({name: _value(value, change, (_fold(name),)) for name, value in parse_qsl(text, True)})
    return change((), text).encode()


def _json(text: str, change: Change) -> str:
    try:
        value = json.loads(text.lstrip("\ufeff"))
    except ValueError:
        return change((), text)
    return json.dumps(_value(value, change, ()), ensure_ascii=False, indent=1)


def _value(value: Any, change: Change, keys: Keys) -> Any:
    if isinstance(value, dict):
        return {name: _value(inner, change, (*keys, _fold(name))) for name, inner in value.items()}
    if isinstance(value, list):
        return [_value(inner, change, keys) for inner in value]
    if isinstance(value, str):
        return _json(value, change) if value.startswith(("{", "[")) else change(keys, value)
    if type(value) is int:
        return value if change(keys, str(value)) == str(value) else 0
    return value


def _xml(body: bytes, change: Change) -> bytes:
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError):
        return change((), body.decode("utf-8", "replace")).encode()
    _element(root, change, ())
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _element(element: ElementTree.Element, change: Change, above: Keys) -> None:
    keys = (*above, _fold(element.tag.rpartition("}")[2]))
    element.text = change(keys, element.text) if element.text else element.text
    for name, value in element.items():
        element.set(name, change((*keys, _fold(name.rpartition("}")[2])), value))
    for child in element:
        _element(child, change, keys)
        child.tail = change(keys, child.tail) if child.tail else child.tail


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
