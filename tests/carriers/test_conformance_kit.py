"""The conformance kit finds what is wrong with an adapter, and names the fix."""

from __future__ import annotations

import hmac
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from carriers import conformance
from carriers.conformance import fuzzing
from carriers.conformance.sources import silent_codes
from carriers.sdk import (
    Carrier,
    Certainty,
    M,
    Moment,
    ParseError,
    Push,
    Report,
    Scan,
    Signed,
    Summary,
    hmac_sha256,
    moment,
    object_of,
    read_json,
    rows_at,
    same_secret,
    text_at,
)

BODY = {"number": "A1", "events": [{"at": "2026-05-05T10:00:00Z", "code": "D", "words": "delivered"}]}


def parse(body: bytes, content_type: str) -> list[Report]:
    value = object_of(read_json(body), "$")
    if "events" not in value:
        raise ParseError("$.events", "missing")
    scans = [
        Scan(time=moment(text_at(row, "at", "$")), code=text_at(row, "code", "$"), text=text_at(row, "words", "$"))
        for row in rows_at(value, "events", "$")
    ]
    return [Report(waybill=text_at(value, "number", "$"), scans=tuple(scans))]


ACME = Carrier(
    slug="acme", name="Acme", docs="https://example.com", milestones={"D": M.DELIVERED, "P": M.PICKED_UP}, parse=parse
)


@pytest.fixture
def fixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good fixture and its golden."""
    (tmp_path / "query-a.json").write_text(json.dumps(BODY))
    monkeypatch.setenv("MILEPOST_GOLDEN", "1")
    conformance.check(ACME, tmp_path)
    monkeypatch.delenv("MILEPOST_GOLDEN")
    return tmp_path


def faults(carrier: Carrier, fixtures: Path) -> str:
    with pytest.raises(conformance.NotConforming) as caught:
        conformance.check(carrier, fixtures)
    return str(caught.value)


def changed(**fields: Any) -> Carrier:
    return msgspec.structs.replace(ACME, **fields)


def test_a_good_adapter_conforms(fixtures: Path) -> None:
    conformance.check(ACME, fixtures)


def test_a_missing_golden_and_a_changed_one_are_told_apart(fixtures: Path) -> None:
    golden = fixtures / "query-a.golden.json"
    kept = golden.read_text()
    golden.write_text(kept.replace('"time": "2026-05-05T10', '"time": "2026-05-05T11'))
    assert "not as in its golden at $[0].scans[0].time" in faults(ACME, fixtures)
    golden.write_text(kept.replace("+00:00 delivered (D)", "+00:00 returned (D)"))
    assert "not as in its golden at $[0].timeline[0]" in faults(ACME, fixtures)
    golden.unlink()
    assert "query-a.golden.json is missing: run once with MILEPOST_GOLDEN=1" in faults(ACME, fixtures)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"milestones": {"P": M.PICKED_UP}}, "no code reaches `delivered`"),
        ({"milestones": {"P": M.DELIVERED}}, "code 'D' (delivered) stands in no table"),
        ({"milestones": {"D": M.DELIVERED, "X": M.UNKNOWN}}, "a code means `unknown`"),
        ({"slug": "Acme Post"}, "slug 'Acme Post'"),
        ({"docs": "a book"}, "docs 'a book'"),
        ({"numbers": ("(",)}, "'(' is no regular expression"),
        ({"carriers": {"a": "b"}}, "carriers is for aggregators"),
        ({"acknowledge": lambda accepted: (200, "text/plain", b"ok")}, "acknowledge answers the same for both"),
        ({"respond": lambda push, accepted, at: (200, "text/plain", b"ok")}, "respond answers the same for both"),
        (
            {"acknowledge": lambda accepted: (200, "", b""), "respond": lambda push, accepted, at: (200, "", b"")},
            "one of them answers a push",
        ),
        ({"greet": lambda tried, credentials: (404, "", b"")}, "greet answers 404 to a GET that asks nothing"),
        ({"verify": hmac_sha256("X-Signature")}, "verify: add"),
    ],
)
def test_a_faulty_record_is_named(fields: dict[str, Any], fault: str, fixtures: Path) -> None:
    assert fault in faults(changed(**fields), fixtures)


def careless(body: bytes, content_type: str) -> list[Report]:
    value = json.loads(body)
    scans = [Scan(time=moment(row["at"]), code=row["code"]) for row in value["events"]]
    return [Report(waybill=value["number"], scans=tuple(scans))]


def swallowing(body: bytes, content_type: str) -> list[Report]:
    try:
        return parse(body, content_type)
    except ParseError:
        return []


def backwards(body: bytes, content_type: str) -> list[Report]:
    [report] = parse(body, content_type)
    early = Scan(time=moment("2020-01-01T00:00:00Z"), code="P", text="picked up")
    return [msgspec.structs.replace(report, scans=(*report.scans, early))]


def remembering() -> Callable[[bytes, str], Sequence[Report]]:
    seen: list[bytes] = []

    def reading(body: bytes, content_type: str) -> list[Report]:
        seen.append(body)
        return [msgspec.structs.replace(report, carrier=str(len(seen))) for report in parse(body, content_type)]

    return reading


@pytest.mark.parametrize(
    ("reading", "fault"),
    [
        (careless, "HTML (no type): raised JSONDecodeError; it must raise ParseError"),
        (careless, "query-a.json with $ = null: raised TypeError; read it with text_at"),
        (swallowing, "HTML (no type): was read as reports; it must raise ParseError"),
        (backwards, "scans are not oldest first: use sdk.oldest_first"),
        (remembering(), "parsed twice, two results"),
    ],
)
def test_a_faulty_parse_is_named(reading: Callable[..., Any], fault: str, fixtures: Path) -> None:
    assert fault in faults(changed(parse=reading), fixtures)


def test_a_verify_that_lets_anything_pass_is_found_out(fixtures: Path) -> None:
    (fixtures / "push-a.json").write_text(json.dumps(BODY))
    (fixtures / "push-a.headers").write_text("X-Signature: abc\n")
    (fixtures / "credentials.json").write_text('{"webhook_secret": "s"}')
    found = faults(changed(verify=lambda push, credentials: "x-signature" in push.headers), fixtures)
    assert "push-a.json: accepted with no credentials" in found
    assert "push-a.json: accepted with byte 0 of the body altered" in found
    assert "push-a.json: accepted with x-signature altered at 0" in found
    assert "verify: compare with sdk.same_secret" in found
    assert "genuine, and refused by verify" in faults(changed(verify=hmac_sha256("X-Signature")), fixtures)


SIGNED = hmac_sha256("X-Signature", secret="webhook_secret", encoding="hex")


@pytest.fixture
def pushed(fixtures: Path) -> Path:
    """The folder with a signed push beside."""
    body = json.dumps(BODY).encode()
    (fixtures / "push-a.json").write_bytes(body)
    (fixtures / "push-a.golden.json").write_bytes((fixtures / "query-a.golden.json").read_bytes())
    (fixtures / "push-a.headers").write_text(f"X-Signature: {hmac.new(b's', body, 'sha256').hexdigest()}\n")
    (fixtures / "credentials.json").write_text('{"webhook_secret": "s"}')
    return fixtures


def test_a_signature_over_the_raw_body_conforms(pushed: Path) -> None:
    conformance.check(changed(verify=SIGNED), pushed)


def test_a_signature_compared_with_equals_is_found_in_the_source(pushed: Path) -> None:
    def verify(push: Push, credentials: Mapping[str, str]) -> bool:
        key = credentials.get("webhook_secret", "").encode()
        return bool(key) and push.headers.get("x-signature") == hmac.new(key, push.body, "sha256").hexdigest()

    assert faults(changed(verify=verify), pushed).splitlines()[1:] == [
        "  - verify: compare with sdk.same_secret (hmac.compare_digest): `==` tells by its time how much was right"
    ]


def test_a_comparison_in_constant_time_is_seen_through_the_functions_that_lead_to_it(pushed: Path) -> None:
    conformance.check(changed(verify=partial(lambda push, keys, through: through(push, keys), through=SIGNED)), pushed)


def test_a_verify_that_breaks_at_a_forgery_is_named(pushed: Path) -> None:
    def verify(push: Push, credentials: Mapping[str, str]) -> bool:
        return push.headers["x-signature"].isascii() and SIGNED(push, credentials)

    assert "push-a.json: accepted with" not in faults(changed(verify=verify), pushed)
    assert "push-a.json: verify raised KeyError with x-signature gone" in faults(changed(verify=verify), pushed)


def test_an_error_fixture_is_one_problem_without_scans(fixtures: Path) -> None:
    (fixtures / "error-a.json").write_text(json.dumps(BODY))
    assert "an error body gives exactly one Report, with a Problem and no scans" in faults(ACME, fixtures)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"signedBy": "Marta Vogel"}, "a person's name M… at signedby"),
        ({"recipient": {"name": "王小明"}}, "a person's name 王… at recipient.name"),
        ({"receiverPhone": "021 6543 2187"}, "a phone number at receiverphone"),
        ({"note": "快递员电话13800138000"}, "an unmasked Chinese mobile number at note"),
        ({"note": "call +49 170 1234567"}, "an unmasked phone number at note"),
        ({"note": "marta@vogel.net"}, "an unmasked e-mail address at note"),
        ({"data": '{"phone": 2165432187}'}, "a phone number at phone"),
    ],
)
def test_a_person_in_a_fixture_is_found(more: dict[str, Any], fault: str, fixtures: Path) -> None:
    (fixtures / "query-a.json").write_text(json.dumps(BODY | more))
    assert f"query-a.json: {fault}: mask it" in faults(ACME, fixtures)


@pytest.mark.parametrize(
    "more",
    [
        {"signedBy": "M. V***", "recipient": {"name": "王**", "phone": "139****8765"}},
        {"signedBy": "前台", "receivedByName": "FRONT DESK", "givenName": "J."},
        {"phone": "13800000000", "mail": "desk@example.com", "carrier": {"name": "Some Post"}},
        {"number": "13800138000"},
    ],
)
def test_a_masked_one_an_invented_one_and_a_waybill_are_no_person(more: dict[str, Any], fixtures: Path) -> None:
    (fixtures / "query-a.json").write_text(json.dumps(BODY | more))
    conformance.write_goldens(ACME, fixtures)
    conformance.check(ACME, fixtures)


TABLE = """
from carriers.sdk import M
MILESTONES = {
    "D": M.DELIVERED,
    "L": None,  # label reprinted
    # notices to the recipient
    "N1": None,
    "N2": None,
    "P": M.PICKED_UP,
    "Z": None,
}
def parse(body, content_type):
    raise NotImplementedError
"""


def test_a_code_that_says_nothing_needs_a_comment_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent_codes_acme.py").write_text(TABLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    acme = importlib.import_module("silent_codes_acme")
    found = list(silent_codes(changed(parse=acme.parse, milestones=acme.MILESTONES)))
    assert found == ["silent_codes_acme.py:10: 'Z' means None: say in a comment beside it what it is that says nothing"]


def test_an_expected_day_too_needs_a_certain_time(fixtures: Path) -> None:
    uncertain = Summary(expected_to=Moment(1_780_000_000, None, Certainty.GIVEN))

    def reading(body: bytes, content_type: str) -> list[Report]:
        return [msgspec.structs.replace(report, summary=uncertain) for report in parse(body, content_type)]

    assert "use sdk.moment: an offset goes with `given`" in faults(changed(parse=reading), fixtures)


def nibbling(body: bytes, content_type: str) -> list[Report]:
    """Reads a body that lacks its end."""
    return parse(body if body.rstrip().endswith(b"}") else body + b"}", content_type)


def test_a_parse_that_reads_half_a_body_is_named(fixtures: Path) -> None:
    assert "query-a.json cut off at byte 94: it must raise ParseError" in faults(changed(parse=nibbling), fixtures)


def trusting(body: bytes, content_type: str) -> list[Report]:
    """Breaks where a history is empty, in which no single value is of the wrong type."""
    reports = parse(body, content_type)
    return [report for report in reports if report.scans[0] or report]


def test_a_parse_that_breaks_at_an_empty_history_is_named(fixtures: Path) -> None:
    fault = "query-a.json with $.events = []: raised IndexError"
    assert fault in faults(changed(parse=trusting), fixtures)
    with pytest.raises(conformance.NotConforming, match="raised IndexError"):
        fuzzing.check(changed(parse=trusting), fixtures, examples=1000)


def test_hypothesis_finds_nothing_wrong_with_a_good_adapter(fixtures: Path) -> None:
    fuzzing.check(ACME, fixtures)


# ---------------------------------------------------------------- a time that is signed


def signed_with_its_time(push: Push, credentials: Mapping[str, str]) -> bool:
    told = push.headers.get("x-time", "").encode() + push.body
    expected = hmac.new(credentials.get("webhook_secret", "").encode(), told, "sha256").hexdigest()
    return bool(credentials) and same_secret(push.headers.get("x-signature", ""), expected)


def time_in(header: str) -> Signed:
    return Signed(lambda push: float(push.headers[header]) if header in push.headers else None)


@pytest.fixture
def timed(fixtures: Path) -> Path:
    """A push whose signature covers one of its two times."""
    body = json.dumps(BODY).encode()
    (fixtures / "push-a.json").write_bytes(body)
    (fixtures / "credentials.json").write_text('{"webhook_secret": "s"}')
    signature = hmac.new(b"s", b"1780000000" + body, "sha256").hexdigest()
    lines = ("X-Time: 1780000000", "X-Sent: 1780000000", f"X-Signature: {signature}")
    (fixtures / "push-a.headers").write_text("\n".join(lines))
    conformance.write_goldens(changed(verify=signed_with_its_time), fixtures)
    return fixtures


def test_a_time_that_the_signature_covers_conforms(timed: Path) -> None:
    conformance.check(changed(verify=signed_with_its_time, signed=time_in("x-time")), timed)


def test_a_time_that_anybody_may_alter_is_found(timed: Path) -> None:
    fault = faults(changed(verify=signed_with_its_time, signed=time_in("x-sent")), timed)
    assert "push-a.json: signed.at reads what the signature does not cover (x-sent)" in fault


def test_a_signed_push_without_its_time_is_found(timed: Path) -> None:
    fault = faults(changed(verify=signed_with_its_time, signed=time_in("x-none")), timed)
    assert "signed.at reads None: give seconds since 1970, or leave `signed` out" in fault
