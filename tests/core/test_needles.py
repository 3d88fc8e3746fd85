"""The index leaves a pattern out only where a text can't hold it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.needles import index

PATTERNS = ["未?签收", "a{2}b|c", "(?:ab|cd)e+", "x?", "deliver(ed|y)", "[ab]c", "(?<!not )left$", "", "d(e(f|g))?h"]


@given(st.text(alphabet="abcdefghx未签收 nodlivry", max_size=30))
def test_every_pattern_that_would_be_found_is_a_candidate(text: str) -> None:
    candidates = set(index(PATTERNS).candidates(text))
    found = {number for number, pattern in enumerate(PATTERNS) if re.search(pattern, text)}
    assert found <= candidates


def test_a_text_without_the_letters_is_spared_the_pattern() -> None:
    assert list(index(["签收", "delivered", "left at"]).candidates("快件已签收")) == [0]


@pytest.mark.parametrize("pattern", ["(", "[a"])
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(re.error):
        index([pattern])
