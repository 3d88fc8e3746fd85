"""Reading XML: plain nodes from honest bodies, ParseError from all others."""

from __future__ import annotations

import pytest

from carriers.sdk import ParseError
from carriers.xml_reading import read_xml

BODY = """<?xml version="1.0" encoding="UTF-8"?>
<t:reply xmlns:t="urn:x" t:kind="full"><t:pin> 12 </t:pin><t:events>
<t:event id="1">é</t:event><t:event id="2"/></t:events></t:reply>"""


def test_namespaces_are_left_out_of_tags_and_attributes() -> None:
    root = read_xml(BODY.encode())
    assert (root.tag, root.attributes, [child.tag for child in root.children]) == (
        "reply",
        {"kind": "full"},
        ["pin", "events"],
    )


def test_paths_find_one_or_all_and_texts_are_stripped() -> None:
    root = read_xml(BODY.encode())
    assert (root.text_at("pin"), root.text_at("events/event"), root.text_at("no/where")) == ("12", "é", "")
    assert [event.attributes["id"] for event in root.findall("events/event")] == ["1", "2"]
    assert root.find("events/none") is None
    assert [event.text for event in root.findall("events/event")] == ["é", ""]


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-8", "windows-1252"])
def test_the_declared_encoding_is_followed(encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><a>Québec</a>'.encode(encoding)
    assert read_xml(body).text == "Québec"


def test_a_byte_order_mark_and_blanks_before_the_body_do_no_harm() -> None:
    assert read_xml(b"\xef\xbb\xbf<a>1</a>").text == "1"
    assert read_xml(b'\n <?xml version="1.0" encoding="utf-8"?><a>1</a>').text == "1"


BOMB = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>'


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("empty", b""),
        ("JSON", b'{"a": 1}'),
        ("cut off", b"<a><b></b>"),
        ("two roots", b"<a/><b/>"),
        ("an entity bomb", BOMB),
        ("an outer DTD", b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>'),
        ("an undeclared entity", b"<a>&nbsp;</a>"),
        ("an unbound prefix", b"<x:a/>"),
        ("an entity bomb in UTF-16", BOMB.decode().encode("utf-16")),
        ("UTF-7", b'<?xml version="1.0" encoding="UTF-7"?><a/>'),
        ("EBCDIC", b'<?xml version="1.0" encoding="cp037"?><a/>'),
        ("not UTF-8", b"<a>\xe9</a>"),
        ("a NUL", b"<a>\x00</a>"),
        ("a character that XML has not", b"<a>&#0;</a>"),
        ("deep", b"<a>" * 65 + b"</a>" * 65),
        ("too many tags", b"<r>" + b"<a/>" * 400_001 + b"</r>"),
        ("too long", b"<a>" + b"x" * 9 * 1024 * 1024 + b"</a>"),
    ],
)
def test_anything_else_is_a_parse_error(what: str, body: bytes) -> None:
    with pytest.raises(ParseError):
        read_xml(body)


def test_sixty_four_deep_is_read() -> None:
    assert read_xml(b"<a>" * 64 + b"</a>" * 64).tag == "a"
