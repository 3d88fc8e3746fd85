"""Free text to milestone and reason, in 中文 and English, by rules that can name themselves.

The rules are data (`tracker/vocabulary/*.toml`), read from the top: the first that matches decides. A text that none
covers is nobody's guess: it stays unknown.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from pathlib import Path

from msgspec import Struct, convert

from tracker.model import Milestone, Reason

_VOCABULARY = Path(__file__).parent / "vocabulary"
_HAN = re.compile(r"[㐀-鿿]")
_CACHED = 20_000  # texts; carriers repeat themselves


class PhraseMatch(Struct, frozen=True):
    """What a text says, and the rule that read it (`zh/signed`)."""

    milestone: Milestone
    reason: Reason | None
    rule: str


class RuleEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One rule as it stands in the file."""

    name: str
    any: list[str]
    milestone: Milestone
    none: list[str] = []
    reason: Reason | None = None


class Vocabulary(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of rules; `drop` is cut from a text before it is read."""

    rule: list[RuleEntry]
    drop: list[str] = []


class Rule(Struct, frozen=True):
    """A rule, compiled."""

    found: re.Pattern[str]
    absent: re.Pattern[str] | None
    match: PhraseMatch

    def covers(self, text: str) -> bool:
        """Whether the rule speaks for `text`."""
        return bool(self.found.search(text)) and not (self.absent and self.absent.search(text))


def match(text: str, lang: str | None = None) -> PhraseMatch | None:
    """The first rule that covers `text`, None where none does; the language is found by itself when not given."""
    return _match(text[:1_000], lang or language(text))


def language(text: str) -> str:
    """`zh` for a text with Han characters, `en` otherwise."""
    return "zh" if _HAN.search(text) else "en"


@lru_cache(maxsize=_CACHED)
def _match(text: str, lang: str) -> PhraseMatch | None:
    if lang not in ("zh", "en"):
        return None
    drop, rules = _rules(lang)
    plain = " ".join(drop.sub(" ", text.lower().replace("_", " ")).split())
    return next((rule.match for rule in rules if rule.covers(plain)), None)


@cache
def _rules(lang: str) -> tuple[re.Pattern[str], list[Rule]]:
    file = convert(tomllib.loads((_VOCABULARY / f"{lang}.toml").read_text(encoding="utf-8")), Vocabulary)
    return _any_of(file.drop or ["(?!)"]), [_compiled(lang, entry) for entry in file.rule]


def _compiled(lang: str, entry: RuleEntry) -> Rule:
    said = PhraseMatch(entry.milestone, entry.reason, f"{lang}/{entry.name}")
    return Rule(_any_of(entry.any), _any_of(entry.none) if entry.none else None, said)


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
