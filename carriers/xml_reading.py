"""Parsing aid for the carriers that answer in XML: from bytes to nodes without DTD, entities or namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from carriers.reading import MAX_BODY, MAX_DEPTH, ParseError

MAX_TAGS = 400_000  # an element takes some 150 bytes, however short its tag: 8 MiB of `<a>` would be 400 MB
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,20})["']""")
_ENCODINGS = {"utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252"}  # ASCII within, so that nothing hides
_FORBIDDEN = re.compile(r"<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)")


class Node:
    """One element of an XML body: tag and attribute names without their namespace."""

    __slots__ = ("_element",)

    def __init__(self, element: ElementTree.Element) -> None:
        self._element = element

    def __repr__(self) -> str:
        return f"Node(<{self.tag}>)"

    @property
    def tag(self) -> str:
        return self._element.tag

    @property
    def text(self) -> str:
        """The stripped text before the first child; "" where there is none."""
        return (self._element.text or "").strip()

    @property
    def attributes(self) -> dict[str, str]:
        return {_local(name): value for name, value in self._element.items()}

    @property
    def children(self) -> list[Node]:
        return [Node(child) for child in self._element]

    def find(self, path: str) -> Node | None:
        """The first element at `path` (`a`, `a/b`) below this one."""
        found = next(_below(self._element, path), None)
        return None if found is None else Node(found)

    def findall(self, path: str) -> list[Node]:
        """Every element at `path` (`a`, `a/b`) below this one, in their order."""
        return [Node(found) for found in _below(self._element, path)]

    def text_at(self, path: str) -> str:
        """The stripped text of the first element at `path`; "" where it is missing or empty."""
        if "/" not in path:
            return self._element.findtext(path, "").strip()
        found = self.find(path)
        return found.text if found else ""


def read_xml(body: bytes) -> Node:
    """The root element of an XML body, in UTF-8 or a superset of ASCII that it declares.

    ParseError for anything else: not well-formed, a DTD or an entity of its own, over 8 MiB, over 400,000 tags or
    attributes, over 64 deep.
    """
    if len(body) > MAX_BODY:
        raise ParseError("$", f"{len(body)} bytes, more than the {MAX_BODY} that are read")
    text = _decoded(body)
    if forbidden := _FORBIDDEN.search(text):
        raise ParseError("$", f"{forbidden[0]} in the XML: declarations are not read")
    if text.count("<") > MAX_TAGS:
        raise ParseError("$", f"more than {MAX_TAGS} tags")
    if text.count("=") > MAX_TAGS:
        raise ParseError("$", f"more than {MAX_TAGS} attributes")
    root = _parsed(text)
    if "xmlns" in text:
        _strip_namespaces(root)
    _check_depth(root)
    return Node(root)


def _decoded(body: bytes) -> str:
    declared = _DECLARED.match(body.removeprefix(b"\xef\xbb\xbf"))
    encoding = declared[1].decode().lower() if declared else "utf-8"
    if encoding not in _ENCODINGS:
        raise ParseError("$", f"XML in {encoding!r}; expected UTF-8")
    try:
        return body.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise ParseError("$", f"XML that is not {encoding}") from None


def _parsed(text: str) -> ElementTree.Element:
    """Expat by way of ElementTree, which builds in C; a `str` overrules the encoding that the body declares."""
    parser = ElementTree.XMLParser()
    try:
        parser.feed(text.lstrip())
        return parser.close()
    except (ElementTree.ParseError, ValueError) as error:  # ValueError: half of a surrogate pair
        raise ParseError("$", f"not XML: {text[:20]!r}: {error}") from None


def _strip_namespaces(root: ElementTree.Element) -> None:
    for element in root.iter():
        element.tag = _local(element.tag)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _check_depth(root: ElementTree.Element) -> None:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
        if not level:
            return
    raise ParseError("$", f"nested deeper than {MAX_DEPTH}")


def _below(element: ElementTree.Element, path: str) -> Iterator[ElementTree.Element]:
    first, _, rest = path.partition("/")
    for child in element.findall(first):
        if rest:
            yield from _below(child, rest)
        else:
            yield child
