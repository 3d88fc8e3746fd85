"""The conformance kit: the whole test of an ordinary adapter in one call.

    def test_the_acme_adapter_conforms() -> None:
        check(acme.carrier, Path(acme.__file__).parent / "fixtures")

Fixtures are the carrier's bodies, byte for byte, named for what they are:

    query-*    an answer to `fetch`
    push-*     a body that the carrier sends to us
    error-*    an answer without a history (not found, refused, over quota): one report, a problem, no scans
    unknown-*  an answer or push with codes that stand in no table, on purpose

The suffix gives the content type: `.json`, `.xml`, `.form` (urlencoded), `.txt`. Beside `push-a.json` may stand
`push-a.headers` (lines `Name: value`; a `Content-Type` there wins over the suffix): such a push has to pass `verify`
with the credentials in `credentials.json`, and no alteration of it may. What a fixture parses to is kept in
`push-a.golden.json`: set MILEPOST_GOLDEN=1 to write the goldens anew, then read them as a diff.
In a golden, `means` is the table's word for the code alone: `~` marks a coarse one, `-` a known code that says nothing,
`?` a code in no table, where the text decides.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from carriers.sdk import Carrier, Certainty, Coarse, M, ParseError, Push, Report, Scan, form, look_up
from tracker.model import Milestone, Moment

_KINDS = ("query", "push", "error", "unknown")
_TYPES = {
    ".json": "application/json",
    ".xml": "application/xml",
    ".form": "application/x-www-form-urlencoded",
    ".txt": "text/plain",
}
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,30}")
_MUTATIONS = 600  # per fixture; enough for every field of an ordinary body
_DEEP = 5000
_HUGE = b'{"a":"' + b"x" * (9 * 1024 * 1024) + b'"}'
_HOSTILE: Mapping[str, bytes] = {
    "an empty body": b"",
    "HTML": b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    "binary": bytes(range(256)),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a list 5,000 deep": b"[" * _DEEP + b"]" * _DEEP,
    "an object 5,000 deep": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "a body over 8 MiB": _HUGE,
    "null": b"null",
    "a number": b"42",
    "a string": b'"delivered"',
    "a list": b"[]",
    "an object of nothing we know": b'{"hello": "world"}',
}


class NotConforming(AssertionError):
    """What an adapter has to mend, each line with its fix."""


class Fixture(Struct, frozen=True):
    """One body of a carrier, with the headers that it came with."""

    path: Path
    body: bytes
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """`query`, `push`, `error` or `unknown`."""
        return self.path.name.partition("-")[0]

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type") or _TYPES.get(self.path.suffix, "")

    @property
    def golden(self) -> Path:
        return self.path.with_suffix(".golden.json")

    @property
    def signed(self) -> bool:
        """Whether headers stand beside it, so that `verify` has to accept it."""
        return self.path.with_suffix(".headers").exists()


def check(carrier: Carrier, fixtures: Path) -> None:
    """Hold `carrier` to the contract with the bodies in `fixtures`; NotConforming lists all that is wrong."""
    bodies = read_fixtures(fixtures)
    wrong = [*_record(carrier), *_table(carrier), *_coverage(carrier, bodies, fixtures)]
    for fixture in bodies:
        wrong += _parses(carrier, fixture)
    wrong += [*_stateless(carrier, bodies), *_hostile(carrier, bodies), *_signatures(carrier, bodies, fixtures)]
    if wrong:
        raise NotConforming(f"{carrier.slug} does not conform:\n" + "\n".join(f"  - {line}" for line in wrong))


def read_fixtures(folder: Path) -> list[Fixture]:
    """The fixtures in `folder`, by name."""
    return [
        Fixture(path, path.read_bytes(), _headers(path.with_suffix(".headers")))
        for path in sorted(folder.iterdir())
        if path.name.partition("-")[0] in _KINDS and path.suffix in _TYPES and not path.name.endswith(".golden.json")
    ]


def _headers(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition(":") for line in path.read_text().splitlines() if line.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


# ---------------------------------------------------------------- the record


def _record(carrier: Carrier) -> Iterator[str]:
    if not _SLUG.fullmatch(carrier.slug):
        yield f"slug {carrier.slug!r}: use lower-case letters, digits and _, a letter first"
    if not carrier.docs.startswith("https://"):
        yield f"docs {carrier.docs!r}: give the https address of the carrier's own documentation"
    if carrier.batch < 1 or carrier.min_interval < 0 or carrier.rate <= 0:
        yield "batch, min_interval and rate: at least 1, 0 and more than 0"
    if carrier.carriers and not carrier.aggregator:
        yield "carriers is for aggregators: set aggregator=True or drop it"
    names = [credential.name for credential in carrier.credentials]
    if len(set(names)) < len(names):
        yield f"credentials {names}: name each once"
    yield from (
        f"numbers: {pattern!r} is no regular expression" for pattern in carrier.numbers if not _compiles(pattern)
    )
    if carrier.acknowledge:
        yield from _acknowledges(carrier.acknowledge)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _acknowledges(acknowledge: Callable[[bool], tuple[int, str, bytes]]) -> Iterator[str]:
    accepted, refused = acknowledge(True), acknowledge(False)
    if not 200 <= accepted[0] < 300:
        yield f"acknowledge(True) answers {accepted[0]}: an accepted push is answered 2xx"
    if accepted == refused:
        yield "acknowledge answers the same for both: a refused push must make the carrier send it again"


def _table(carrier: Carrier) -> Iterator[str]:
    reached = {_milestone(meaning) for meaning in carrier.milestones.values()}
    if M.DELIVERED not in reached:
        yield "milestones: no code reaches `delivered`; map the code for a delivered parcel"
    if M.UNKNOWN in reached:
        yield "milestones: a code means `unknown`; drop it from the table, or use None if it is known to say nothing"
    for code in carrier.milestones:
        if not code or code != code.strip() or code.startswith("/") or code.endswith("/"):
            yield f"milestones: {code!r} is no code; write codes as the carrier does, paths as A/B"


def _milestone(meaning: object) -> Milestone | None:
    if isinstance(meaning, Coarse):
        return meaning.milestone
    if isinstance(meaning, tuple):
        return Milestone(meaning[0])
    return Milestone(meaning) if isinstance(meaning, Milestone) else None


def _coverage(carrier: Carrier, bodies: Sequence[Fixture], folder: Path) -> Iterator[str]:
    kinds = {fixture.kind for fixture in bodies}
    if carrier.fetch and "query" not in kinds:
        yield f"fixtures: add {folder.name}/query-*: an answer to a query, shaped as the carrier documents it"
    if carrier.fetch and "error" not in kinds:
        yield f"fixtures: add {folder.name}/error-*: what the carrier answers for a number that it does not know"
    if (carrier.verify or carrier.acknowledge) and "push" not in kinds:
        yield f"fixtures: add {folder.name}/push-*: a body as the carrier pushes it"


# ---------------------------------------------------------------- parsing


def _parses(carrier: Carrier, fixture: Fixture) -> Iterator[str]:
    name = fixture.path.name
    try:
        reports = carrier.parse(fixture.body, fixture.content_type)
    except Exception as error:
        yield f"{name}: parse raised {type(error).__name__}: {error}; a fixture must parse"
        return
    yield from (f"{name}: {line}" for report in reports for line in _report(carrier, fixture, report))
    if fixture.kind == "error" and not (len(reports) == 1 and reports[0].problem and not reports[0].scans):
        yield f"{name}: an error body gives exactly one Report, with a Problem and no scans"
    if fixture.kind in ("query", "push") and not any(report.scans or report.summary for report in reports):
        yield f"{name}: nothing was read from it; name it error-* if that is meant"
    yield from _golden(carrier, fixture, reports)


def _report(carrier: Carrier, fixture: Fixture, report: Report) -> Iterator[str]:
    if not report.waybill and report.scans:
        yield "scans without a waybill: set Report.waybill"
    instants = [scan.time.instant for scan in report.scans if scan.time]
    if instants != sorted(instants):
        yield f"{report.waybill}: scans are not oldest first: use sdk.oldest_first"
    status = (report.summary.status,) if report.summary and report.summary.status else ()
    for scan in (*report.scans, *status):
        yield from _scan(carrier, fixture, scan)


def _scan(carrier: Carrier, fixture: Fixture, scan: Scan) -> Iterator[str]:
    if scan.time and not _certain(scan.time):
        yield f"{scan.time}: use sdk.moment: an offset goes with `given` or `carrier_rule`, none with `assumed`"
    if not scan.code and not scan.text:
        yield f"a scan at {scan.time and scan.time.iso()} has neither code nor text"
    if scan.code and fixture.kind != "unknown" and look_up(carrier.milestones, scan.code) is None:
        yield f"code {scan.code!r} ({scan.text[:30]}) stands in no table: add it to milestones with its source"


def _certain(time: Moment) -> bool:
    return (time.offset is None) == (time.certainty is Certainty.ASSUMED)


def _golden(carrier: Carrier, fixture: Fixture, reports: Sequence[Report]) -> Iterator[str]:
    found = [_plain(carrier, report) for report in reports]
    if os.environ.get("MILEPOST_GOLDEN") == "1":
        text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
        fixture.golden.write_text(text, encoding="utf-8")
    elif not fixture.golden.exists():
        yield f"{fixture.golden.name} is missing: run once with MILEPOST_GOLDEN=1 and read what it wrote"
    elif (kept := json.loads(fixture.golden.read_text(encoding="utf-8"))) != found:
        where = _difference(kept, found)
        yield f"{fixture.path.name}: not as in its golden at {where}; if that is meant, run with MILEPOST_GOLDEN=1"


def _plain(carrier: Carrier, report: Report) -> dict[str, Any]:
    summary = report.summary
    return {
        "waybill": report.waybill,
        "carrier": report.carrier,
        "full": report.full,
        "problem": report.problem and f"{report.problem.kind}: {report.problem.text}",
        "summary": summary and {k: _value(carrier, getattr(summary, k)) for k in summary.__struct_fields__},
        "scans": [_plain_scan(carrier, scan) for scan in report.scans],
    }


def _value(carrier: Carrier, value: Any) -> Any:
    if isinstance(value, Scan):
        return _plain_scan(carrier, value)
    if isinstance(value, tuple):
        return list(value)  # as JSON keeps it
    return f"{value.iso()} {value.certainty}" if isinstance(value, Moment) else msgspec.to_builtins(value)


def _plain_scan(carrier: Carrier, scan: Scan) -> dict[str, str | None]:
    time = scan.time
    return {
        "time": time.iso() if time else None,
        "certainty": time.certainty.value if time else None,
        "code": scan.code,
        "means": _means(carrier, scan.code),
        "text": scan.text,
        "location": scan.location,
    }


def _means(carrier: Carrier, code: str) -> str:
    found = look_up(carrier.milestones, code)
    if found is None:
        return "?"
    meaning = found[1]
    if isinstance(meaning, Coarse):
        return "~" + "/".join(filter(None, (meaning.milestone, meaning.reason)))
    return "-" if meaning is None else "/".join(meaning) if isinstance(meaning, tuple) else meaning.value


def _difference(a: Any, b: Any, path: str = "$") -> str:
    """The path of the first place where two JSON values differ, with both values."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            if a.get(key) != b.get(key):
                return _difference(a.get(key), b.get(key), f"{path}.{key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for place, (left, right) in enumerate(zip(a, b, strict=True)):
            if left != right:
                return _difference(left, right, f"{path}[{place}]")
    return f"{path}: golden {str(a)[:80]!r}, found {str(b)[:80]!r}"


def _stateless(carrier: Carrier, bodies: Sequence[Fixture]) -> Iterator[str]:
    """The same body gives the same reports, whatever was parsed before it and however often."""
    there = {f.path.name: _outcome(carrier, f.body, f.content_type) for f in bodies}
    for fixture in reversed(bodies):
        if _outcome(carrier, fixture.body, fixture.content_type) != there[fixture.path.name]:
            yield f"{fixture.path.name}: parsed twice, two results: parse may remember nothing and read no clock"


# ---------------------------------------------------------------- hostile bodies


def _hostile(carrier: Carrier, bodies: Sequence[Fixture]) -> Iterator[str]:
    types = sorted({fixture.content_type for fixture in bodies} | {"", "text/html"})
    for what, body in _HOSTILE.items():
        for content_type in types:
            outcome = _outcome(carrier, body, content_type)
            if outcome is not ParseError:
                yield f"{what} ({content_type or 'no type'}): {_said(outcome)}; it must raise ParseError"
                break
    for fixture in bodies:
        yield from islice(_bent(carrier, fixture), 3)


def _bent(carrier: Carrier, fixture: Fixture) -> Iterator[str]:
    """What a body cut off or with one value of another type does: reports or ParseError, nothing else."""
    half = fixture.body[: len(fixture.body) // 2]
    if fixture.path.suffix in (".json", ".xml") and _outcome(carrier, half, fixture.content_type) is not ParseError:
        yield f"{fixture.path.name} cut in half: it must raise ParseError"
    for path, body in islice(_mutations(fixture), _MUTATIONS):
        outcome = _outcome(carrier, body, fixture.content_type)
        if not isinstance(outcome, tuple) and outcome is not ParseError:
            yield f"{fixture.path.name} with {path}: {_said(outcome)}; read it with text_at, list_at, moment_at"


def _outcome(carrier: Carrier, body: bytes, content_type: str) -> tuple[Report, ...] | type[BaseException]:
    try:
        return tuple(carrier.parse(body, content_type))
    except Exception as error:
        return type(error)


def _said(outcome: object) -> str:
    return f"raised {outcome.__name__}" if isinstance(outcome, type) else "was read as reports"


def _mutations(fixture: Fixture) -> Iterator[tuple[str, bytes]]:
    """The body with one of its values replaced; JSON inside a JSON string or a form field is entered too."""
    if fixture.path.suffix == ".json":
        for path, value in _mutated(json.loads(fixture.body)):
            yield path, json.dumps(value).encode()
    elif "urlencoded" in fixture.content_type:
        for path, value in _mutated(form(fixture.body)):
            if isinstance(value, dict):
                yield path, "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in value.items()).encode()


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _mutated(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    others: tuple[Any, ...] = (None, True, -1, "x", [], {}, [[]], [{}])
    for other in others:
        if type(other) is not type(value):
            yield f"{path} = {json.dumps(other)}", deepcopy(other)
    if isinstance(value, str) and (nested := _json_in(value)) is not None:
        for inner, changed in _mutated(nested, f"{path}<json>"):
            yield inner, json.dumps(changed)
    for key, child in _children(value):
        step = f"[{key}]" if isinstance(key, int) else f".{key}"
        for inner, changed in _mutated(child, path + step):
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


# ---------------------------------------------------------------- signatures


def _signatures(carrier: Carrier, bodies: Sequence[Fixture], folder: Path) -> Iterator[str]:
    if carrier.verify is None:
        return
    signed = [fixture for fixture in bodies if fixture.kind == "push" and fixture.signed]
    if not signed:
        yield f"verify: add {folder.name}/push-*.headers with the signature and credentials.json with its secret"
        return
    credentials = json.loads((folder / "credentials.json").read_text())
    for fixture in signed:
        push = Push(headers=fixture.headers, query={}, body=fixture.body)
        if not carrier.verify(push, credentials):
            yield f"{fixture.path.name}: genuine, and refused by verify"
        yield from (f"{fixture.path.name}: accepted with {what}" for what in _forged(carrier, push, credentials))


def _forged(carrier: Carrier, push: Push, credentials: Mapping[str, str]) -> Iterator[str]:
    """The alterations of a genuine push that `verify` lets pass."""
    assert carrier.verify is not None
    for what, altered, keys in _alterations(push, credentials):
        if carrier.verify(altered, keys):
            yield what
    for name in push.headers:
        without = msgspec.structs.replace(push, headers={k: v for k, v in push.headers.items() if k != name})
        if not carrier.verify(without, credentials):  # so it is the signature
            for place in range(0, len(push.headers[name]), 7):
                flipped = {**push.headers, name: _flipped(push.headers[name].encode(), place).decode()}
                if carrier.verify(msgspec.structs.replace(push, headers=flipped), credentials):
                    yield f"{name} altered at {place}"


def _alterations(push: Push, credentials: Mapping[str, str]) -> Iterator[tuple[str, Push, Mapping[str, str]]]:
    yield "no credentials", push, {}
    yield "other secrets", push, {name: value + "x" for name, value in credentials.items()}
    yield "an empty body", msgspec.structs.replace(push, body=b""), credentials
    for place in range(0, len(push.body), max(1, len(push.body) // 23)):
        altered = msgspec.structs.replace(push, body=_flipped(push.body, place))
        yield f"byte {place} of the body altered", altered, credentials


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
