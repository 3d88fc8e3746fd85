"""The conformance kit finds what is wrong with an adapter, and names the fix."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from carriers import conformance
from carriers.sdk import (
    Carrier,
    M,
    ParseError,
    Report,
    Scan,
    hmac_sha256,
    moment,
    object_of,
    read_json,
    rows_at,
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
    golden.write_text(golden.read_text().replace("10:00:00", "11:00:00"))
    assert "not as in its golden at $[0].scans[0].time" in faults(ACME, fixtures)
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
    assert "genuine, and refused by verify" in faults(changed(verify=hmac_sha256("X-Signature")), fixtures)


def test_an_error_fixture_is_one_problem_without_scans(fixtures: Path) -> None:
    (fixtures / "error-a.json").write_text(json.dumps(BODY))
    assert "an error body gives exactly one Report, with a Problem and no scans" in faults(ACME, fixtures)
