"""Bodies that no carrier should send, and each does one day: they give ParseError, or reports, and nothing else."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from carriers.conformance.mutations import mutations
from carriers.fixtures import Fixture
from carriers.sdk import Carrier, ParseError, Report

_MUTATIONS = 600  # per fixture; enough for every field of an ordinary body
_DEEP = 5000
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10)).encode()
_HUGE = 9 * 1024 * 1024
_PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
HOSTILE: Mapping[str, bytes] = {
    "an empty body": b"",
    "HTML": _PAGE,
    "HTML cut off": _PAGE[:60],
    "binary": bytes(range(256)),
    "gzip that nobody unpacked": gzip.compress(b'{"a": 1}'),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a list 5,000 deep": b"[" * _DEEP + b"]" * _DEEP,
    "an object 5,000 deep": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "XML 5,000 deep": b"<a>" * _DEEP + b"</a>" * _DEEP,
    "XML with entities": b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
    "XML that grows a thousand million times": b'<!DOCTYPE a [<!ENTITY l0 "ha">' + _LAUGHS + b"]><a>&l9;</a>",
    "XML with a file of ours": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><a>&f;</a>',
    "XML with 400,001 attributes": b"<a " + b'b="" ' * 400_001 + b"/>",
    "100,000 opening brackets": b"[" * 100_000,
    "100,000 opening braces": b'{"a":' * 100_000,
    "an integer of 5,000 digits": b'{"a": ' + b"9" * _DEEP + b"}",
    "a number beyond every float": b'{"a": 1e999}',
    "not a number": b'{"a": NaN}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "a line break in a string": b'{"a": "b\nc"}',
    "a form of 20,000 fields": b"a=b&" * 20_000,
    "a body over 8 MiB": b'{"a":"' + b"x" * _HUGE + b'"}',
    "XML over 8 MiB": b"<a>" + b"x" * _HUGE + b"</a>",
    "null": b"null",
    "a number": b"42",
    "a string": b'"delivered"',
    "a list": b"[]",
    "an object of nothing we know": b'{"hello": "world"}',
    "XML of nothing we know": b"<hello><world>!</world></hello>",
}

Outcome = tuple[Report, ...] | type[BaseException]


def outcome(carrier: Carrier, body: bytes, content_type: str) -> Outcome:
    """What a body is read as, or the type of what it raised."""
    try:
        return tuple(carrier.parse(body, content_type))
    except Exception as error:
        return type(error)


def hostile(carrier: Carrier, bodies: Sequence[Fixture]) -> Iterator[str]:
    """The bodies, made up and bent, that `parse` does not bear."""
    types = sorted({fixture.content_type for fixture in bodies} | {"", "text/html"})
    for what, body in HOSTILE.items():
        for content_type in types:
            found = outcome(carrier, body, content_type)
            if found is not ParseError:
                yield f"{what} ({content_type or 'no type'}): {_said(found)}; it must raise ParseError"
                break
    for fixture in bodies:
        yield from _cut(carrier, fixture)
        yield from islice(_bent(carrier, fixture), 3)


def _cut(carrier: Carrier, fixture: Fixture) -> Iterator[str]:
    """Where a body cut off is read all the same; a form has no end that one could miss."""
    body = fixture.body.rstrip()
    for part in (0.25, 0.5, 0.75, 1.0) if fixture.path.suffix in (".json", ".xml") else ():
        end = int(len(body) * part) - 1
        if outcome(carrier, body[:end], fixture.content_type) is not ParseError:
            yield f"{fixture.name} cut off at byte {end}: it must raise ParseError"


def _bent(carrier: Carrier, fixture: Fixture) -> Iterator[str]:
    """With one value of another type, empty or gone: reports or ParseError."""
    for path, body in islice(mutations(fixture), _MUTATIONS):
        found = outcome(carrier, body, fixture.content_type)
        if not isinstance(found, tuple) and found is not ParseError:
            yield f"{fixture.name} with {path}: {_said(found)}; read it with text_at, list_at, moment_at"


def _said(found: object) -> str:
    return f"raised {found.__name__}" if isinstance(found, type) else "was read as reports"


def forgetful(carrier: Carrier, bodies: Sequence[Fixture]) -> Iterator[str]:
    """The same body gives the same reports, whatever was parsed before it and however often."""
    there = {fixture.name: outcome(carrier, fixture.body, fixture.content_type) for fixture in bodies}
    for fixture in reversed(bodies):
        if outcome(carrier, fixture.body, fixture.content_type) != there[fixture.name]:
            yield f"{fixture.name}: parsed twice, two results: parse may remember nothing and read no clock"
