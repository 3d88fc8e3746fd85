"""Which few letters a text must hold for a pattern to be found in it: most patterns need not be tried at all.

The index is exact, never a guess: a pattern is left out only where one of its own letters is missing.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

_LENGTH = 3  # letters of a needle
# The parser behind `re`: private, so it is asked for by name, and a pattern it can't tell about is simply always tried.
_parser: Any = importlib.import_module("re._parser")
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


class Index(Struct, frozen=True):
    """Patterns by number, and which of them a text can hold at all."""

    patterns: Sequence[re.Pattern[str]]
    holders: dict[str, int]  # needle to the patterns, as bits, that may follow from it
    always: int  # the patterns that need no letter

    def candidates(self, text: str) -> Iterator[int]:
        """The numbers of the patterns worth trying on `text`, ascending."""
        holders, bits = self.holders, self.always
        for needle in _grams(text).intersection(holders):
            bits |= holders[needle]
        while bits:
            lowest = bits & -bits
            yield lowest.bit_length() - 1
            bits ^= lowest


def index(patterns: Iterable[str]) -> Index:
    """Compile `patterns` and note what each needs."""
    numbered = list(patterns)
    holders: dict[str, int] = {}
    always = 0
    for number, pattern in enumerate(numbered):
        needles = _needles(_parser.parse(pattern))
        if needles is None:
            always |= 1 << number
        for needle in needles or ():
            holders[needle[:_LENGTH]] = holders.get(needle[:_LENGTH], 0) | 1 << number
    return Index([re.compile(pattern) for pattern in numbered], holders, always)


def _grams(text: str) -> set[str]:
    """Every stretch of one to three letters in `text`."""
    triples = zip(text, text[1:], text[2:], strict=False)
    return {*text, *map("".join, pairwise(text)), *map("".join, triples)}


def _needles(parsed: Any) -> set[str] | None:
    """Strings of which every match holds at least one; None where nothing can be said. The longest shortest is best."""
    offers = [*_literals(parsed), *(_of_part(str(op), value) for op, value in parsed)]
    told = [offer for offer in offers if offer]
    return max(told, key=lambda offer: min(len(needle) for needle in offer), default=None)


def _literals(parsed: Any) -> Iterator[set[str]]:
    """Each run of plain letters, alone."""
    run = ""
    for op, value in parsed:
        if str(op) == "LITERAL":
            run += chr(value)
        elif run:
            yield {run}
            run = ""
    if run:
        yield {run}


def _of_part(op: str, value: Any) -> set[str] | None:
    """What one part of a pattern needs: a choice needs what each way needs, a repeat what is repeated."""
    if op == "SUBPATTERN":
        return _needles(value[3])
    if op in _REPEATS and value[0] > 0:
        return _needles(value[2])
    if op == "BRANCH":
        ways = [_needles(way) for way in value[1]]
        return None if None in ways else set().union(*(way for way in ways if way))
    return None
