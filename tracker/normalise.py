"""From a carrier's code and words to a milestone: the only place where a code table is looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from tracker import phrases
from tracker.model import Milestone, Reason


class Coarse(Struct, frozen=True):
    """A code that says little: a phrase that matches the text wins over it."""

    milestone: Milestone
    reason: Reason | None = None


Meaning = Milestone | tuple[Milestone, Reason] | Coarse | None  # None: known, and says nothing (a label reprinted)


class Classified(Struct, frozen=True):
    """A scan's milestone and reason, and the rule that gave them: `code:DE/08`, `phrase:zh-signed`, `unknown`."""

    milestone: Milestone
    reason: Reason | None
    rule: str


UNKNOWN = Classified(Milestone.UNKNOWN, None, "unknown")


def coarse(milestone: Milestone, reason: Reason | None = None) -> Coarse:
    """Mark a code as one that says little (SF 80, DHL `transit`, Kuaidi100 在途)."""
    return Coarse(milestone, reason)


def look_up(milestones: Mapping[str, Meaning], code: str) -> tuple[str, Meaning] | None:
    """The entry for `code` and the part of it that was found: `DE/08`, else `DE`; None where no table covers it."""
    while code:
        if code in milestones:
            return code, milestones[code]
        code = code.rpartition("/")[0]
    return None


def classify(milestones: Mapping[str, Meaning], code: str, text: str) -> Classified:
    """What a scan means: a plain code wins over the text, the text over a coarse code; nothing is ever guessed."""
    found = look_up(milestones, code)
    if found is None:
        return _by_phrase(text) or UNKNOWN
    key, meaning = found
    if isinstance(meaning, Coarse):
        return _by_phrase(text) or Classified(meaning.milestone, meaning.reason, f"code:{key}")
    if meaning is None:
        return Classified(Milestone.NOTE, None, f"code:{key}")
    if isinstance(meaning, Milestone):
        return Classified(meaning, None, f"code:{key}")
    return Classified(meaning[0], meaning[1], f"code:{key}")


def reader(milestones: Mapping[str, Meaning]) -> Callable[[str, str], tuple[Milestone, Reason | None]]:
    """`classify` by one table, for the timeline; nobody is told of what is unknown."""

    def read(code: str, text: str) -> tuple[Milestone, Reason | None]:
        meaning = classify(milestones, code, text)
        return meaning.milestone, meaning.reason

    return read


def _by_phrase(text: str) -> Classified | None:
    match = phrases.match(text) if text else None
    return Classified(match.milestone, match.reason, f"phrase:{match.rule}") if match else None
