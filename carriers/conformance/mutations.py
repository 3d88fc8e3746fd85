"""A body with one of its values replaced, emptied or left out; JSON inside a text or a form field is entered too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import msgspec

from carriers.fixtures import Fixture
from carriers.sdk import form

_OTHERS: tuple[Any, ...] = (None, True, -1, "x", [], {}, [[]], [{}])
_TEXTS = ("", "x", "-1", "9999-99-99T99:99:99")


def mutations(fixture: Fixture) -> Iterator[tuple[str, bytes]]:
    """Bodies that differ from the fixture's in one place, each with that place."""
    if fixture.path.suffix == ".json":
        for path, value in mutated(json.loads(fixture.body)):
            yield path, msgspec.json.encode(value)
    elif fixture.path.suffix == ".xml":
        yield from _mutated_xml(ElementTree.fromstring(fixture.body))
    elif "urlencoded" in fixture.content_type:
        for path, value in mutated(form(fixture.body)):
            if isinstance(value, dict):
                yield path, as_form(value)


def as_form(fields: dict[str, Any]) -> bytes:
    """The fields urlencoded; what is no text, as JSON."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in fields.items()).encode()


def _quoted(value: object) -> str:
    return quote(value if isinstance(value, str) else json.dumps(value), safe="")


def mutated(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """The JSON value with one value in it replaced; the original is left as it is."""
    for other in _OTHERS:
        if type(other) is not type(value) or other != value:
            yield f"{path} = {json.dumps(other)}", other
    if isinstance(value, str) and (nested := _json_in(value)) is not None:
        for inner, changed in mutated(nested, f"{path}<json>"):
            yield inner, json.dumps(changed)
    for key, child in _children(value):
        step = f"[{key}]" if isinstance(key, int) else f".{key}"
        for inner, changed in mutated(child, path + step):
            copy = value.copy()
            copy[key] = changed
            yield inner, copy


def _json_in(text: str) -> Any:
    try:
        return json.loads(text) if text.startswith(("{", "[")) else None
    except ValueError:
        return None


def _children(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value[:2])) if isinstance(value, list) else []


def _mutated_xml(root: ElementTree.Element) -> Iterator[tuple[str, bytes]]:
    for element in root.iter():
        for text in _TEXTS:
            kept, element.text = element.text, text
            yield f"<{element.tag}> = {text!r}", ElementTree.tostring(root)
            element.text = kept
        for place, child in enumerate(list(element)):
            element.remove(child)
            yield f"no <{child.tag}> in <{element.tag}>", ElementTree.tostring(root)
            element.insert(place, child)
