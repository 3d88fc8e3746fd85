"""A live exchange kept as fixtures: persons masked, credentials and tokens replaced, the parcel's number made up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import structs

from carriers.conformance.personal import masked
from carriers.sdk import Ask, Carrier, Reply, Report
from tracker.authoring.exchanges import PREFIX, Exchange, Step, write
from tracker.authoring.trying import Tried
from tracker.authoring.witness import Asked
from tracker.reading import shipments_of

_SHORTEST = 4  # characters; shorter ones stand everywhere by chance


def record(carrier: Carrier, question: Ask, credentials: Mapping[str, str], tried: Tried, folder: Path) -> list[Path]:
    """Write each answer as a fixture and the exchange beside them into `folder`; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    instead = _replacements(carrier, question, credentials, tried)
    names: dict[int, str] = {}
    written: list[Path] = []
    for reply, told in zip(tried.replies, tried.told, strict=True):
        path = _free(folder, _stem(carrier, told), _suffix(reply))
        path.write_bytes(_clean(reply.body, instead))
        names[id(reply)] = path.name
        written.append(path)
    steps = tuple(_step(asked, names, instead) for asked in tried.asked)
    kept = Exchange(asks=(_made_up(question),), steps=steps, credentials=_choices(carrier, credentials))
    path = _free(folder, f"{PREFIX}{written[0].stem.partition('-')[2] if written else 'empty'}", ".json")
    write(path, kept)
    return [*written, path]


# ---------------------------------------------------------------- names


def _stem(carrier: Carrier, told: Sequence[Report]) -> str:
    """`query-delivered`, `error-not-found`: what it shows."""
    shipments = shipments_of(carrier, told, now=0)
    if shipments:
        return f"query-{shipments[0].status}".replace("_", "-")
    problem = next((report.problem.kind for report in told if report.problem), "empty")
    return f"error-{problem}".replace("_", "-")


def _suffix(reply: Reply) -> str:
    start = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return ".json" if start in (b"{", b"[") else ".xml" if start == b"<" else ".txt"


def _free(folder: Path, stem: str, suffix: str) -> Path:
    """The first of `stem.json`, `stem-2.json`, … that is not there."""
    names = (folder / f"{stem}{'' if turn == 1 else f'-{turn}'}{suffix}" for turn in count(1))
    return next(path for path in names if not path.exists())


# ---------------------------------------------------------------- what may not stay


def _replacements(carrier: Carrier, question: Ask, credentials: Mapping[str, str], tried: Tried) -> dict[str, str]:
    """What stands in for each secret and for the number, the longest first."""
    instead = {token: "an-invented-token" for token in tried.tokens if len(token) >= _SHORTEST}
    choices = _choices(carrier, credentials)
    for name, value in credentials.items():
        if len(value) >= _SHORTEST and name not in choices:
            instead |= dict.fromkeys((value, quote(value, safe="")), f"invented-{name}")
    instead[question.number] = _made_up(question).number
    return dict(sorted(instead.items(), key=lambda pair: -len(pair[0])))


def _choices(carrier: Carrier, credentials: Mapping[str, str]) -> dict[str, str]:
    """The credentials that are no secret but a choice that their description names: `digest or oauth2`."""
    open_ones = {one.name: one.about for one in carrier.credentials if not one.secret}
    return {
        name: value
        for name, value in credentials.items()
        if name in open_ones and value and re.search(rf"\b{re.escape(value)}\b", open_ones[name])
    }


def _made_up(question: Ask) -> Ask:
    """The question with a number of the same shape that is nobody's, and without what it told of the recipient."""
    start = re.match(r"\D*\d{0,2}", question.number)
    kept = start[0] if start else ""
    return structs.replace(
        question,
        number=kept + re.sub(r"\d", "0", question.number[len(kept) :]),
        phone_tail="0000" if question.phone_tail else "",
        postal_code=re.sub(r"\d", "0", question.postal_code),
    )


def _clean(body: bytes, instead: Mapping[str, str]) -> bytes:
    text = body.decode("utf-8", "replace")
    for value, invented in instead.items():
        text = text.replace(value, invented)
    return masked(text.encode())


# ---------------------------------------------------------------- steps


def _step(asked: Asked, names: Mapping[int, str], instead: Mapping[str, str]) -> Step:
    path = _clean(asked.path.encode(), instead).decode()
    fixture = names.get(id(asked.reply), "")
    answer = None if fixture else _inline(asked, instead)
    return Step(method=asked.method, path=path, status=asked.reply.status, fixture=fixture, answer=answer)


def _inline(asked: Asked, instead: Mapping[str, str]) -> Any:
    body = _clean(asked.reply.body, instead)
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode()
    return _without_secrets(answer) if asked.for_token else answer


def _without_secrets(value: Any) -> Any:
    """A token's answer: whatever is long enough to be a secret of any kind, and no number, is invented."""
    if isinstance(value, dict):
        return {name: _without_secrets(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    long = isinstance(value, str) and len(value) >= 12 and not value.isdigit()
    return "an-invented-token" if long else value
