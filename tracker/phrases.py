"""Free text to milestone and reason, by rules that can name themselves.

The rules are data (`tracker/vocabulary/<language>.toml`), read from the top: the first that matches decides. A text
that none covers is nobody's guess: it stays unknown.

A pattern in a file is a regular expression, read in lower case, with two shorthands: `{hub}` stands for any of the
words listed under that name, `…` for a gap of up to 20 characters (`……`: up to 60). Gaps are the only repeats that may
run far, so that no text can hold the reader up.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

from msgspec import Struct, ValidationError, convert

from tracker.model import Milestone, Reason
from tracker.needles import Index, index

_VOCABULARY = Path(__file__).parent / "vocabulary"
_CACHED = 20_000  # texts; carriers repeat themselves
_LONGEST = 400  # characters read of a text; real ones have some dozens, and each costs a microsecond or two
_DEFAULT = "en"
_NAMED = re.compile(r"\{([a-z_]+)\}")
_WORD = re.compile(r"[^\W\d_]+")
_LOOSE_SPACE = re.compile(r"(?<![!-~]) | (?![!-~])")  # one that does not part two ASCII words: Chinese has no others
_KANA, _HANGUL, _HAN = re.compile(r"[\u3040-\u30ff]"), re.compile(r"[\uac00-\ud7af]"), re.compile(r"[㐀-鿿]")
_SCRIPTS = (("ko", _HANGUL), ("ja", _KANA), ("zh", _HAN))


class PhraseMatch(Struct, frozen=True):
    """What a text says, and the rule that read it (`zh/signed`)."""

    milestone: Milestone
    reason: Reason | None
    rule: str


class RuleEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One rule as it stands in the file: one of `any` must be found, none of `none`."""

    name: str
    any: list[str]
    milestone: Milestone
    none: list[str] = []
    reason: Reason | None = None


class VocabularyFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One language as it stands in its file."""

    rule: list[RuleEntry]
    drop: list[str] = []  # cut from a text before it is read: courtesies, hotlines
    words: dict[str, list[str]] = {}  # what `{name}` stands for; may use names defined above it
    marks: list[str] = []  # words that tell this language from its neighbours, whole
    fold: str = ""  # pairs of characters, the first read as the second: 郵邮; blanks don't count


class Rule(Struct, frozen=True):
    """What a rule says, and the words that silence it."""

    match: PhraseMatch
    absent: re.Pattern[str] | None


class Vocabulary(Struct, frozen=True):
    """One language, compiled: the patterns of all its rules in one index, and the rule that each belongs to."""

    patterns: Index
    rules: list[Rule]
    drop: Index
    marks: frozenset[str]
    fold: dict[int, str]

    def plain(self, text: str) -> str:
        """`text` as the patterns expect it: one script, lower case, single blanks, courtesies gone."""
        folded = unicodedata.normalize("NFKC", text).lower().replace("_", " ").replace("\u2019", "'")
        plain = " ".join(folded.translate(self.fold).split())
        if self.fold:
            plain = _LOOSE_SPACE.sub("", plain)
        for number in self.drop.candidates(plain):
            plain = self.drop.patterns[number].sub(" ", plain)
        return " ".join(plain.split())

    def read(self, text: str) -> PhraseMatch | None:
        """The first rule that covers `text`."""
        plain = self.plain(text)
        for number in self.patterns.candidates(plain):
            if self.patterns.patterns[number].search(plain):
                rule = self.rules[number]
                if not (rule.absent and rule.absent.search(plain)):
                    return rule.match
        return None


def match(text: str, lang: str | None = None) -> PhraseMatch | None:
    """The first rule that covers `text`, None where none does.

    `lang` (`zh`, `zh-TW`, `en` …) is read first when given; the languages that the text itself shows come after it,
    for carriers mix them.
    """
    return _match(text[:_LONGEST], (lang or "").lower().replace("_", "-").partition("-")[0])


def language(text: str) -> str:
    """The language a text is most likely in: by its script, else by its common words, else English."""
    return next((name for name, letters in _SCRIPTS if letters.search(text)), _languages(text)[0])


def languages() -> list[str]:
    """The languages there is a vocabulary for."""
    return sorted(file.stem for file in _VOCABULARY.glob("*.toml"))


@lru_cache(maxsize=_CACHED)
def _match(text: str, lang: str) -> PhraseMatch | None:
    told = [lang] if lang in _marks() else []
    for name in dict.fromkeys(told + _languages(text)):
        found = _vocabulary(name).read(text)
        if found:
            return found
    return None


def _languages(text: str) -> list[str]:
    """The languages the text may be in that there are rules for: by its script, by most marks, and English, which all
    mix in."""
    script = next((name for name, letters in _SCRIPTS if letters.search(text)), "")
    said = set(_WORD.findall(text.lower()))
    score = {name: len(said & marks) for name, marks in _marks().items()}
    most = max(score.values())
    known = [script] if script in score else []
    spoken = [name for name in (_DEFAULT, *sorted(score)) if most and score[name] == most]
    return [*dict.fromkeys([*known, *spoken, _DEFAULT])]


@cache
def _marks() -> dict[str, frozenset[str]]:
    """The words that tell each language from its neighbours."""
    return {name: frozenset(_read(name).marks) for name in languages()}


@cache
def _vocabulary(name: str) -> Vocabulary:
    return _compiled(name, _read(name))


@cache
def _read(name: str) -> VocabularyFile:
    file = _VOCABULARY / f"{name}.toml"
    try:
        return convert(tomllib.loads(file.read_text(encoding="utf-8")), VocabularyFile)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ValueError(f"{file.name}: {error}") from None


def _compiled(name: str, file: VocabularyFile) -> Vocabulary:
    pairs = "".join(file.fold.split())
    patterns = _Patterns(str.maketrans(dict(zip(pairs[::2], pairs[1::2], strict=True))), {})
    for word, choices in file.words.items():
        patterns.words[word] = f"(?:{'|'.join(map(patterns.expanded, choices))})"
    owned = [(pattern, rule) for entry in file.rule for pattern, rule in _rule(name, entry, patterns)]
    return Vocabulary(
        patterns=index(pattern for pattern, _ in owned),
        rules=[rule for _, rule in owned],
        drop=index(map(patterns.expanded, file.drop)),
        marks=frozenset(file.marks),
        fold=patterns.fold,
    )


def _rule(lang: str, entry: RuleEntry, patterns: _Patterns) -> list[tuple[str, Rule]]:
    """The patterns of a rule, each with what it says."""
    said = PhraseMatch(entry.milestone, entry.reason, f"{lang}/{entry.name}")
    try:
        absent = re.compile("|".join(f"(?:{patterns.expanded(one)})" for one in entry.none)) if entry.none else None
        found = [patterns.expanded(pattern) for pattern in entry.any]
        for pattern in found:
            re.compile(pattern)
    except (re.error, KeyError) as error:
        raise ValueError(f"{said.rule}: {error}") from None
    return [(pattern, Rule(said, absent)) for pattern in found]


class _Patterns(Struct, frozen=True):
    """How the patterns of one language are read: folded as the texts are, with the words that they name."""

    fold: dict[int, str]
    words: dict[str, str]

    def expanded(self, pattern: str) -> str:
        named = _NAMED.sub(lambda name: self.words[name[1]], pattern.translate(self.fold))
        return named.replace("……", ".{0,60}").replace("…", ".{0,20}")
