"""The parsing aids: what can be read is read to the second, and anything else is a ParseError that says where."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Literal
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carriers.sdk import (
    Certainty,
    Moment,
    ParseError,
    Push,
    Reply,
    Scan,
    dict_at,
    form,
    hmac_sha256,
    list_at,
    moment,
    moment_at,
    moment_or_none,
    oldest_first,
    read_json,
    rows_at,
    text_at,
    token_of,
)


@pytest.mark.parametrize(
    ("text", "iso", "certainty"),
    [
        ("2026-05-05T12:08:57Z", "2026-05-05T12:08:57+00:00", Certainty.GIVEN),
        ("2026-05-05T12:08:57.987+0530", "2026-05-05T12:08:57+05:30", Certainty.GIVEN),
        ("2026-05-05T12:08:57-05:00", "2026-05-05T12:08:57-05:00", Certainty.GIVEN),
        ("20260505T120857", "2026-05-05T12:08:57", Certainty.ASSUMED),
        ("2026-05-05 12:08:57", "2026-05-05T12:08:57", Certainty.ASSUMED),
        (" 2026-05-05 12:08 ", "2026-05-05T12:08:00", Certainty.ASSUMED),
        ("2026-05-05 12", "2026-05-05T12:00:00", Certainty.ASSUMED),
        ("2026/5/5 7:08:09", "2026-05-05T07:08:09", Certainty.ASSUMED),
        ("2026-05-05", "2026-05-05T00:00:00", Certainty.ASSUMED),
    ],
)
def test_a_time_is_what_the_carrier_wrote(text: str, iso: str, certainty: Certainty) -> None:
    read = moment(text)
    assert (read.iso(), read.certainty) == (iso, certainty)


def test_a_zone_is_the_carriers_rule_and_gives_way_to_an_offset_in_the_text() -> None:
    assert moment("2026-05-05 12:00:00", zone=480) == Moment(1777982400, 480, Certainty.CARRIER_RULE)
    assert moment("2026-05-05T12:00:00Z", zone=480).certainty is Certainty.GIVEN
    assert moment("2026-01-05 12:00:00", zone="America/New_York").offset == -300
    assert moment("2026-07-05 12:00:00", zone="America/New_York").offset == -240


@pytest.mark.parametrize("text", ["", "soon", "0001-01-01T00:00:00", "2026-13-01 00:00:00", "2026-05-05 25:00:00", "5"])
def test_no_time_is_made_of_nonsense(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        moment(text, path="$.a[3].time")
    assert caught.value.path == "$.a[3].time"


def test_a_time_beside_the_scans_that_can_not_be_read_costs_nothing() -> None:
    assert moment_or_none("2026-05-05", zone=480) == moment("2026-05-05", zone=480)
    assert [moment_or_none(text) for text in ("", "3 Business Days", "2026-13-01")] == [None, None, None]


def test_a_token_lives_as_long_as_its_answer_says_or_as_the_carrier_documents() -> None:
    for body, life in (
        (b'{"access_token": "t", "expires_in": 60}', 60),
        (b'{"access_token": "t", "expires_in": "60"}', 60),
        (b'{"access_token": "t"}', 3600),
    ):
        assert token_of(Reply(200, "application/json", body), life_s=3600) == ("t", life)
    for body, path in (
        (b"{}", "$.access_token"),
        (b'{"access_token": ""}', "$.access_token"),
        (b'{"access_token": "t", "expires_in": "an hour"}', "$.expires_in"),
        (b"<html>", "$"),
    ):
        with pytest.raises(ParseError) as caught:
            token_of(Reply(403, "application/json", body), life_s=3600)
        assert caught.value.path == path


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"\xff\xfe",
        b'{"a":',
        b"[NaN]",
        b"1" * 5000,
        b"1e999",
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b'"' + b"x" * 9_000_000 + b'"',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_not_json_or_too_deep_or_too_large_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        read_json(body)


def test_json_as_deep_as_allowed_is_read_with_or_without_a_mark() -> None:
    assert read_json(b"\xef\xbb\xbf" + b"[" * 64 + b"]" * 64)
    assert read_json(('["' + "[" * 500 + '"]').encode()) == ["[" * 500]


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (read_json, form):
        try:
            read(body)
        except ParseError:
            continue


def test_a_value_of_the_wrong_type_is_named_by_its_path() -> None:
    value: dict[str, Any] = {"n": 7, "f": 1.5, "yes": True, "none": None, "s": " a ", "l": [{}, 3], "d": {"k": 1}}
    assert [text_at(value, key, "$") for key in ("n", "f", "yes", "none", "gone", "s")] == [
        "7",
        "1.5",
        "true",
        "",
        "",
        "a",
    ]
    assert (list_at(value, "gone", "$"), dict_at(value, "none", "$"), moment_at(value, "none", "$")) == ([], {}, None)
    for read, key, path in (
        (text_at, "l", "$.l"),
        (list_at, "d", "$.d"),
        (dict_at, "s", "$.s"),
        (rows_at, "l", "$.l[1]"),
        (moment_at, "n", "$.n"),
    ):
        with pytest.raises(ParseError) as caught:
            read(value, key, "$")
        assert caught.value.path == path


def test_form_fields_are_decoded_and_the_first_of_a_name_counts() -> None:
    assert form("a=%E7%AD%BE+%2B%25&b=签&a=2&c".encode()) == {"a": "签 +%", "b": "签"}
    with pytest.raises(ParseError):
        form(b"a=%ff")


def test_scans_are_put_in_order_and_those_of_one_second_keep_the_carriers() -> None:
    def scan(second: int | None, code: str) -> Scan:
        return Scan(time=None if second is None else Moment(second, 0, Certainty.GIVEN), code=code)

    newest_first = [scan(9, "d"), scan(5, "c"), scan(5, "b"), scan(None, "?"), scan(1, "a")]
    assert "".join(s.code for s in oldest_first(newest_first)) == "a?bcd"
    assert "".join(s.code for s in oldest_first(reversed(newest_first))) == "a?bcd"
    assert "".join(s.code for s in oldest_first([scan(5, "x"), scan(9, "y"), scan(1, "w"), scan(9, "z")])) == "wxyz"
    assert oldest_first([]) == ()


@pytest.mark.parametrize("encoding", ["base64", "hex"])
def test_an_hmac_is_checked_and_a_connection_without_a_secret_accepts_nothing(
    encoding: Literal["base64", "hex"],
) -> None:
    body, digest = b"body", hmac.new(b"secret", b"body", hashlib.sha256)
    signature = digest.hexdigest() if encoding == "hex" else base64.b64encode(digest.digest()).decode()
    verify = hmac_sha256("X-Signature", encoding=encoding, prefix="sha256=")
    genuine = Push(headers={"x-signature": f"sha256={signature}"}, query={}, body=body)
    assert verify(genuine, {"webhook_secret": "secret"})
    assert not verify(genuine, {"webhook_secret": ""})
    assert not verify(genuine, {})
    for forged in ({}, {"x-signature": signature}, {"x-signature": "sha256="}, {"x-signature": "sha256=é"}):
        assert not verify(Push(headers=forged, query={}, body=body), {"webhook_secret": "secret"})
    assert not verify(Push(headers=genuine.headers, query={}, body=b"b0dy"), {"webhook_secret": "secret"})


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=40), max_size=4))
@settings(max_examples=150)
def test_a_form_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    assert form(urlencode(fields).encode()) == fields
    spelled_out = "&".join(f"{name}={quote(value)}" for name, value in fields.items() if name.isalnum())
    assert form(spelled_out.encode()) == {name: value for name, value in fields.items() if name.isalnum()}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"a": "b\u0000c"}', "bc"),
        (rb'{"a": "b\\u0000c"}', r"b\u0000c"),
        (rb'{"a": "b\\\u0000c"}', "b\\c"),
    ],
)
def test_a_nul_is_left_out_of_every_text(body: bytes, text: str) -> None:
    assert read_json(body) == read_json(body.decode()) == {"a": text}


def test_of_a_name_given_twice_the_last_counts() -> None:
    assert read_json(b'{"a": 1, "a": 2}') == {"a": 2}


def test_a_form_of_too_many_fields_is_not_read() -> None:
    assert len(form(b"&".join(b"a%d=" % n for n in range(1_000)))) == 1_000
    with pytest.raises(ParseError, match="more than 1000 fields"):
        form(b"&" * 1_000)
