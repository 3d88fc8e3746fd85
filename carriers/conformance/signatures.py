"""A genuine push passes `verify`; no alteration of it does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from carriers.fixtures import Fixture
from carriers.sdk import Carrier, Push, Signed

_YEAR_2200 = 7_258_118_400
_LOOKED_AT = 4_000  # bytes of a body in which digits are changed


def signatures(carrier: Carrier, bodies: Sequence[Fixture], folder: Path) -> Iterator[str]:
    """What `verify` refuses wrongly, and what it lets pass."""
    if carrier.verify is None:
        return
    signed = [fixture for fixture in bodies if fixture.kind == "push" and fixture.signed]
    if not signed or not (folder / "credentials.json").exists():
        yield f"verify: add {folder.name}/push-*.headers with the signature and credentials.json with its secret"
        return
    credentials = json.loads((folder / "credentials.json").read_text(encoding="utf-8"))
    for fixture in signed:
        push = Push(headers=fixture.headers, query={}, body=fixture.body)
        if not carrier.verify(push, credentials):
            yield f"{fixture.name}: genuine, and refused by verify"
        yield from (f"{fixture.name}: {what}" for what in _forged(carrier, push, credentials))
        if carrier.signed:
            yield from (f"{fixture.name}: {what}" for what in _times(carrier, carrier.signed, push, credentials))


def _forged(carrier: Carrier, push: Push, credentials: Mapping[str, str]) -> Iterator[str]:
    """The alterations of a genuine push that `verify` lets pass, or breaks at."""
    assert carrier.verify is not None
    for what, altered, keys in (*_alterations(push, credentials), *_headers(carrier, push, credentials)):
        try:
            if carrier.verify(altered, keys):
                yield f"accepted with {what}"
        except Exception as error:
            yield f"verify raised {type(error).__name__} with {what}: it answers False to what is not genuine"


def _times(carrier: Carrier, signed: Signed, push: Push, credentials: Mapping[str, str]) -> Iterator[str]:
    """Whether the time that `signed.at` reads is there, and can't be altered."""
    assert carrier.verify is not None
    at = _at(signed, push)
    if at is None or not 0 < at < _YEAR_2200:
        yield f"signed.at reads {at}: give seconds since 1970, or leave `signed` out"
        return
    for what, altered in _other_digits(push):
        if _at(signed, altered) != at and _accepts(carrier, altered, credentials):
            yield f"signed.at reads what the signature does not cover ({what}): read the time that `verify` looks at"
            return


def _at(signed: Signed, push: Push) -> float | None:
    with suppress(ValueError):
        return signed.at(push)
    return None


def _other_digits(push: Push) -> Iterator[tuple[str, Push]]:
    """The push with one of its digits changed: a time is written in digits."""
    for name, value in push.headers.items():
        for place, char in enumerate(value):
            if char in "0123456789":
                yield name, _with(push, name, f"{value[:place]}{int(char) ^ 1}{value[place + 1 :]}")
    for place, byte in enumerate(push.body[:_LOOKED_AT]):
        if 48 <= byte <= 57:
            yield f"byte {place} of the body", replace(push, body=_flipped(push.body, place))


def _alterations(push: Push, credentials: Mapping[str, str]) -> Iterator[tuple[str, Push, Mapping[str, str]]]:
    yield "no credentials", push, {}
    yield "other secrets", push, {name: value + "x" for name, value in credentials.items()}
    yield "an empty body", replace(push, body=b""), credentials
    yield "a body that is no text", replace(push, body=b"\xff\xfe\x00"), credentials
    for place in range(0, len(push.body), max(1, len(push.body) // 23)):
        yield f"byte {place} of the body altered", replace(push, body=_flipped(push.body, place)), credentials


def _headers(
    carrier: Carrier, push: Push, credentials: Mapping[str, str]
) -> Iterator[tuple[str, Push, Mapping[str, str]]]:
    """The headers that the signature is in: gone, empty, of no ASCII, one character altered."""
    for name, value in push.headers.items():
        gone = replace(push, headers={other: text for other, text in push.headers.items() if other != name})
        if _accepts(carrier, gone, credentials):
            continue  # not what is verified; were none of them, an altered body would pass too
        yield f"{name} gone", gone, credentials
        yield f"{name} empty", _with(push, name, ""), credentials
        yield f"{name} of no ASCII", _with(push, name, value[:-1] + "é"), credentials
        for place in range(0, len(value), 7):
            flipped = _flipped(value.encode(), place).decode()
            yield f"{name} altered at {place}", _with(push, name, flipped), credentials


def _accepts(carrier: Carrier, push: Push, credentials: Mapping[str, str]) -> bool:
    assert carrier.verify is not None
    with suppress(Exception):  # told where the alteration is tried
        return carrier.verify(push, credentials)
    return False


def _with(push: Push, name: str, value: str) -> Push:
    return replace(push, headers={**push.headers, name: value})


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
