"""The shape of a body: the same for other values, another one for another path or kind of value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.drift.shapes import fingerprint_of, shape_of

FIXTURES = sorted(
    path
    for kind in ("json", "xml")
    for path in (Path(__file__).parents[2] / "carriers").glob(f"*/fixtures/*.{kind}")
    if ".golden" not in path.name
)
ELSEWHERE = """
import sys
from pathlib import Path
from tracker.drift.shapes import fingerprint_of, shape_of

for name in sys.argv[1:]:
    print(fingerprint_of(shape_of(Path(name).read_bytes())))
"""


def test_a_json_bodys_paths_stand_with_the_kind_of_their_values() -> None:
    body = b'{"no": "A1", "kg": 2, "ok": true, "at": null, "events": [{"code": "X"}, {"code": "Y", "place": {}}]}'
    assert shape_of(body) == {
        "$ object",
        "$.no text",
        "$.kg number",
        "$.ok boolean",
        "$.events list",
        "$.events[] object",
        "$.events[].code text",
        "$.events[].place object",
    }


def test_an_xml_bodys_paths_are_those_of_its_elements_and_attributes() -> None:
    body = b'<?xml version="1.0"?><r xmlns="urn:x"><e code="1">a</e><e><at>b</at></e></r>'
    assert shape_of(body) == {"$.r object", "$.r.e text", "$.r.e.@code text", "$.r.e object", "$.r.e.at text"}


def test_json_in_the_field_of_a_form_is_walked() -> None:
    assert shape_of(b"sign=AB&param=%7B%22state%22%3A%223%22%7D") == {
        "$.sign text",
        "$.param object",
        "$.param.state text",
    }


def test_keys_that_are_data_are_one_path() -> None:
    assert shape_of(b'{"SF1234567": 1, "SF7654321": 2}') == {"$ object", "$.* number"}


@pytest.mark.parametrize("body", [b"", b"   ", b"{", b"<a>", b"<!DOCTYPE a><a/>", b"\xff\xfe", b"words", b"[" * 100])
def test_what_is_no_body_of_these_has_no_paths(body: bytes) -> None:
    assert shape_of(body) == frozenset()


def test_a_body_of_endless_keys_is_cut() -> None:
    assert (
        len(shape_of(json.dumps({f"k{letter * 2}": 1 for letter in map(chr, range(0x4E00, 0x6000))}).encode())) == 2_000
    )


def test_every_recorded_body_has_the_same_fingerprint_in_every_process() -> None:
    """What one daemon has noted, another one knows again: nothing hangs on the order of a set."""
    ours = [fingerprint_of(shape_of(path.read_bytes())) for path in FIXTURES]
    assert len(set(ours)) > len(ours) // 4, "they differ from body to body"
    for seed in ("1", "2"):
        command = [sys.executable, "-c", ELSEWHERE, *map(str, FIXTURES)]
        said = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        assert said.stdout.decode().split() == ours


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(max_size=3)), min_size=1), st.randoms())
def test_values_order_and_repetition_change_nothing(rows: list[dict[str, str]], random: Random) -> None:
    other = [{key: value + "x" for key, value in row.items()} for row in [*rows, rows[0]]]
    random.shuffle(other)
    assert shape_of(json.dumps(rows).encode()) == shape_of(json.dumps(other).encode())


@given(st.binary(max_size=200))
def test_any_bytes_have_a_shape_or_none(body: bytes) -> None:
    fingerprint_of(shape_of(body))
