"""The shape of a body: which paths it has and what kind of value stands there, whatever the values are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from carriers.fixtures import folder_of, read_fixtures
from carriers.reading import ParseError, form, read_json
from carriers.sdk import Carrier
from carriers.xml_reading import Node, read_xml

_KINDS = {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
_DATA = re.compile(r"\d{4}")  # a key with so many digits is a number or a date, and each body has another one
_LONGEST = 64  # characters of a key
_MOST = 2_000  # paths of one body: more are no schema


def shape_of(body: bytes) -> frozenset[str]:
    """The paths of a JSON, XML or form body, each with the kind of its value: `$.events[].code text`.

    The elements of a list count as one. A null counts as missing: it says nothing of a kind. A body that is none of
    the three has no paths.
    """
    paths: set[str] = set()
    try:
        for path in _walked(body):
            paths.add(path)
            if len(paths) >= _MOST:
                break
    except ParseError:
        return frozenset()
    return frozenset(paths)


def documented(carrier: Carrier) -> frozenset[str]:
    """The paths of the bodies that the carrier's adapter was written after; none where none are installed with it."""
    folder = folder_of(carrier) / "fixtures"
    bodies = read_fixtures(folder) if folder.is_dir() else []
    return frozenset(path for one in bodies for path in shape_of(one.body))


def fingerprint_of(shape: frozenset[str]) -> str:
    """The name of a shape: 16 hexadecimal digits."""
    return blake2b("\n".join(sorted(shape)).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _walked(body: bytes) -> Iterator[str]:
    start = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"{", b"["):
        return _values(read_json(body), "$")
    if start == b"<":
        root = read_xml(body)
        return _nodes(root, f"$.{_name(root.tag)}")
    return _fields(body)


def _values(value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    yield f"{path} {_KINDS.get(type(value), 'number')}"
    if type(value) is dict:
        for key, inner in value.items():
            yield from _values(inner, f"{path}.{_name(key)}")
    elif type(value) is list:
        for inner in value:
            yield from _values(inner, f"{path}[]")


def _nodes(node: Node, path: str) -> Iterator[str]:
    children = node.children
    yield f"{path} {'object' if children else 'text'}"
    for name in node.attributes:
        yield f"{path}.@{_name(name)} text"
    for child in children:
        yield from _nodes(child, f"{path}.{_name(child.tag)}")


def _fields(body: bytes) -> Iterator[str]:
    """The fields of a form; JSON in one of them is walked too, as Kuaidi100 sends it."""
    for name, text in form(body).items():
        path = f"$.{_name(name)}"
        if text[:1] in ("{", "["):
            yield from _values(read_json(text, path), path)
        else:
            yield f"{path} text"


@lru_cache(maxsize=4_096)
def _name(key: str) -> str:
    return "*" if _DATA.search(key) else key[:_LONGEST]
