"""What tells of a person is masked wherever it stands, nothing else is, and nothing that was masked is found again."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carriers.conformance.personal import masked, personal_data

NAMES = st.sampled_from(
    ["signedBy", "recipient_name", "receiver", "phone", "mobileNo", "email", "addressLine1", "text"]
)
VALUES = st.sampled_from(
    [
        "Marta Vogel",
        "王小明",
        "+49 170 1234567",
        "13800138000",
        "marta@vogel.net",
        "Lange Gasse 1",
        "派件员：张三丰，电话13800138000",
        "Signed for by Marta Vogel",
        "前台",
        "",
        "***",
    ]
)
BODIES = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))


@given(st.dictionaries(NAMES, BODIES, min_size=1))
def test_what_was_masked_holds_no_person_and_stays_as_it_is(value: dict[str, object]) -> None:
    once = masked(json.dumps(value).encode())
    assert list(personal_data(once)) == []
    assert masked(once) == once


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        ("signedBy", "Marta Vogel", "M***"),
        ("receiver.name", "王小明", "王***"),
        ("receiver.postalCode", "28195", "***"),
        ("receiver.city", "Bremen", "Bremen"),
        ("consigneePhone", "0421 123456", "138****0000"),
        ("email", "marta@vogel.net", "***"),
        ("streetLines", "Lange Gasse 1", "***"),
        ("text", "联系派件员：张三丰，电话13800138000", "联系派件员：张***，电话138****0000"),
        ("text", "Signed for by: Marta Vogel at the door", "Signed for by: M*** at the door"),
        ("text", "write to marta@vogel.net or call +49 170 1234567", "write to m***@example.com or call +00 ***"),
        ("text", "Delivered to reception", "Delivered to reception"),
        ("image", "aGVsbG8" * 300, ""),
        ("name", "Bremen depot", "Bremen depot"),
        ("signedBy", "前台", "前台"),
        ("trackingNumber", "00340434000000000002", "00340434000000000002"),
    ],
)
def test_each_is_masked_as_carriers_do(keys: str, value: str, expected: str) -> None:
    body: object = value
    for key in reversed(keys.split(".")):
        body = {key: body}
    found = json.loads(masked(json.dumps(body).encode()))
    for key in keys.split("."):
        found = found[key]
    assert found == expected


def test_xml_forms_and_json_inside_them_are_entered() -> None:
    xml = masked(b'<a><receiver phone="13800138000"><name>Marta Vogel</name></receiver><code>DLV</code></a>')
    assert b'phone="138****0000"' in xml and b"<name>M***</name>" in xml and b"<code>DLV</code>" in xml
    form = masked(urlencode({"param": json.dumps({"signedBy": "Marta Vogel"}), "sign": "abc"}).encode())
    assert dict(parse_qsl(form.decode())) == {"param": '{\n "signedBy": "M***"\n}', "sign": "abc"}


def test_what_is_neither_is_masked_as_words() -> None:
    assert masked("电话13800138000".encode()) == "电话138****0000".encode()
    assert masked(b"<html>call 13800138000") == b"<html>call 138****0000"
