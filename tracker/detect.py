"""Whose a number is, by the number alone: its form and its check digit, from best to worst.

The forms are data (`tracker/catalogue/numbers.toml`). How sure we are depends on what speaks for a carrier: a mark in
the number (1Z, SF), a check digit that is right, both, or neither. Forms that say equally much divide it by their
share. A number whose check digit is wrong is not of that form, whatever else it may be.

What the account has sent before and is connected to weighs beside it, but invents no candidate.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from msgspec import Struct, ValidationError, convert

from tracker.catalogue import CatalogueError, listed, posts
from tracker.check_digits import Check

_FILE = "numbers.toml"
_POST = "post"  # in place of a carrier: the national post of the number's country
_LONGEST = 64  # characters; what is longer is no number

# (marked, checked) → how often a number of this form is that carrier's, all else unknown
_SURE = {(True, True): 0.98, (True, False): 0.9, (False, True): 0.75, (False, False): 0.35}
_USED, _CONNECTED = 20.0, 2.0  # how much history and a connection add to a candidate's weight of 1
_CLEAR, _AHEAD = 0.5, 3.0  # a candidate decides alone from this confidence on, and so far ahead of the second


class Candidate(Struct, frozen=True):
    """A carrier whose number this may be; confidence from 0 to 1."""

    carrier: str
    confidence: float


class Hints(Struct, frozen=True, kw_only=True):
    """What is known beside the number."""

    used: Mapping[str, int] = {}  # by carrier: how many of the account's shipments
    connected: Collection[str] = ()  # the carriers that the account's connections tell of
    numbers: Mapping[str, Sequence[str]] = {}  # patterns of carriers that the catalogue has no forms of


class Form(Struct, frozen=True, forbid_unknown_fields=True):
    """One form of a carrier's numbers as it stands in the file."""

    carrier: str
    pattern: str
    note: str
    examples: list[str]
    marked: bool = False
    check: Check | None = None
    share: float = 1.0


class Reading(Struct, frozen=True):
    """A form that a number has, and whose it is then."""

    carrier: str
    marked: bool
    checked: bool
    share: float


def detect(number: str, hints: Hints | None = None) -> tuple[Candidate, ...]:
    """The carriers whose number this may be, the likeliest first; none where no form fits."""
    hints = hints or Hints()
    plain = clean(number)
    readings = list(_readings(plain, hints)) or list(_readings(plain.replace("-", ""), hints))
    return _ranked(_weighed(_confidences(readings), hints))


def decided(candidates: Sequence[Candidate], reachable: Collection[str] = ()) -> str | None:
    """The carrier that may be taken without asking: well ahead of the others, or the only one that is `reachable`."""
    if not candidates:
        return None
    best, second = candidates[0], candidates[1].confidence if len(candidates) > 1 else 0.0
    if best.confidence >= _CLEAR and best.confidence >= _AHEAD * second:
        return best.carrier
    within = [one.carrier for one in candidates if one.carrier in reachable]
    return within[0] if len(within) == 1 else None


def clean(number: str) -> str:
    """A number as the forms expect it: no blanks, plain capitals and digits."""
    return "".join(unicodedata.normalize("NFKC", number[: 4 * _LONGEST]).upper().split())[: _LONGEST + 1]


# ---------------------------------------------------------------- reading a number


def _readings(number: str, hints: Hints) -> Iterator[Reading]:
    for pattern, form in _forms():
        fits = pattern.fullmatch(number)
        carrier = _whose(form, fits) if fits and _is_right(form, fits) else None
        if carrier:
            yield Reading(carrier, form.marked, form.check is not None, form.share)
    for carrier, patterns in hints.numbers.items():
        if carrier not in _formed() and any(re.fullmatch(pattern, number) for pattern in patterns):
            yield Reading(carrier, True, False, 1.0)


def _is_right(form: Form, fits: re.Match[str]) -> bool:
    return form.check is None or form.check.character(fits["serial"]) == fits["check"]


def _whose(form: Form, fits: re.Match[str]) -> str | None:
    return posts().get(fits["country"]) if form.carrier == _POST else form.carrier


# ---------------------------------------------------------------- ranking


def _confidences(readings: Iterable[Reading]) -> dict[str, float]:
    """Forms that say more are heard first; those that say equally much divide what is left by their shares."""
    sums: dict[str, float] = {}
    found, left = list(readings), 1.0
    for marked, checked in sorted(_SURE, key=lambda kind: -_SURE[kind]):
        level = [one for one in found if (one.marked, one.checked) == (marked, checked)]
        if not level:
            continue
        shares = _shares(level)
        sure = left * _SURE[marked, checked] * max(shares.values())
        for carrier, share in shares.items():
            sums[carrier] = sums.get(carrier, 0.0) + sure * share / sum(shares.values())
        left -= sure
    return sums


def _shares(level: Iterable[Reading]) -> dict[str, float]:
    """By carrier its largest share: several forms of one carrier are no more than one."""
    shares: dict[str, float] = {}
    for one in level:
        shares[one.carrier] = max(one.share, shares.get(one.carrier, 0.0))
    return shares


def _weighed(sums: Mapping[str, float], hints: Hints) -> dict[str, float]:
    """The confidences, and the doubt that is left, weighed anew by what the account uses."""
    every = sum(hints.used.values()) or 1
    weight = {
        carrier: 1 + _USED * hints.used.get(carrier, 0) / every + _CONNECTED * (carrier in hints.connected)
        for carrier in sums
    }
    doubt = 1 - sum(sums.values())
    whole = doubt + sum(sums[carrier] * weight[carrier] for carrier in sums)
    return {carrier: sums[carrier] * weight[carrier] / whole for carrier in sums}


def _ranked(sums: Mapping[str, float]) -> tuple[Candidate, ...]:
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Candidate(carrier, round(confidence, 4)) for carrier, confidence in ordered)


# ---------------------------------------------------------------- the file


@cache
def _forms() -> list[tuple[re.Pattern[str], Form]]:
    return [(re.compile(form.pattern), form) for form in forms()]


@cache
def _formed() -> frozenset[str]:
    """The carriers that the file has forms of."""
    return frozenset(form.carrier for form in forms())


@cache
def forms() -> list[Form]:
    """The forms in the order of the file; CatalogueError where it is wrong."""
    return read(files("tracker.catalogue").joinpath(_FILE).read_text("utf-8"))


def read(text: str) -> list[Form]:
    """The file's forms, checked strictly."""
    try:
        found = convert(tomllib.loads(text), dict[str, list[Form]]).get("format", [])
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise CatalogueError(f"{_FILE}: {error}") from None
    for place, form in enumerate(found, 1):
        problem = _problem(form)
        if problem:
            raise CatalogueError(f"{_FILE}: format {place} ({form.carrier}: {form.note}): {problem}")
    return found


def _problem(form: Form) -> str:
    """What is wrong with a form, or ""."""
    if form.carrier != _POST and form.carrier not in listed():
        return f"carrier {form.carrier!r} is not in carriers.csv"
    try:
        pattern = re.compile(form.pattern)
    except re.error as error:
        return f"pattern: {error}"
    lacking = _needed(form) - set(pattern.groupindex)
    if lacking:
        return f"pattern has no group {' and no group '.join(sorted(lacking))}"
    if not 0 < form.share <= 1:
        return f"share {form.share} must be above 0 and at most 1"
    try:
        wrong = [example for example in form.examples if not _fits(pattern, form, example)]
    except ValueError as error:  # weights that are too few, letters in what must be digits
        return f"check: {error}"
    return f"examples {wrong} do not fit" if wrong else "" if form.examples else "has no examples"


def _needed(form: Form) -> set[str]:
    return ({"serial", "check"} if form.check else set()) | ({"country"} if form.carrier == _POST else set())


def _fits(pattern: re.Pattern[str], form: Form, example: str) -> bool:
    fits = pattern.fullmatch(clean(example))
    return fits is not None and _is_right(form, fits) and _whose(form, fits) is not None
