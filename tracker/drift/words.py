"""What is kept of carriers' words: without persons, by a mark that like texts share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from carriers.sdk import Report

LONGEST = 300  # characters

_PHONE = re.compile(r"\+?\d(?:[ ()（）.-]{0,2}\d){6,}")
_BRACKETS = re.compile(r"【[^】]*】|\[[^\]]*\]|[(（][^)）]*[)）]")


def masked(text: str) -> str:
    """The text without what may be a phone number."""
    return _PHONE.sub("***", text)


def skeleton_mark(text: str) -> str:
    """A mark that texts share which differ only in numbers and in what stands in brackets: 16 hexadecimal digits."""
    bare = re.sub(r"\d+", "#", _BRACKETS.sub("[]", text[: 2 * LONGEST]))
    return blake2b(" ".join(bare.split()).encode(), digest_size=8).hexdigest()


def speaks(reports: Sequence[Report]) -> bool:
    """Whether a body told of anything: a scan, a status or trouble."""
    # a loop, not `any`: done for every body
    for report in reports:  # noqa: SIM110
        if report.scans or report.problem or (report.summary and report.summary.status):
            return True
    return False
