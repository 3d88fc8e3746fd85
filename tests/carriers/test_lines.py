"""How adapters are counted in lines, and the document made of it."""

from __future__ import annotations

import pytest

from carriers import lines
from carriers.lines import Lines

MODULE = '''"""A module."""

import json

# a comment
CODES = {
    "A": 1,  # with its source

    "B": 2,
}
PAIRS: tuple[str, ...] = ("a", "b")
KNOWN = frozenset({"a"})
BOTH = CODES | {"C": 3}


def read(text: str) -> dict[str, int]:
    """Docstrings count nowhere,

    however long.
    """
    import re

    inner = {
        "a": 1,
    }
    return inner if re.match("a", text) else json.loads(text)
'''


def test_the_document_is_up_to_date() -> None:
    kept = lines.DOCUMENT.read_text(encoding="utf-8")
    assert lines.document(lines.rows()) == kept, "run `python -m carriers.lines --write`"


def test_tables_are_literals_at_the_top_and_prose_counts_nowhere() -> None:
    assert lines.count(MODULE) == Lines(code=6, table=6)


def test_a_string_over_several_lines_is_as_long_as_it_is() -> None:
    assert lines.count('TEXT = """\none\ntwo"""\n') == Lines(code=3)


def test_an_empty_module_has_no_lines() -> None:
    assert lines.count("# nothing here\n") == Lines()


def test_every_adapter_is_counted_with_its_own_test() -> None:
    counted = {row.slug: row for row in lines.rows()}
    assert {"sf", "gls", "simulated"} <= set(counted)
    assert [slug for slug, row in counted.items() if not row.test] == []
    assert all(row.adapter.code and row.adapter.table for row in counted.values())


def test_the_median_stands_below_the_adapters_and_beside_the_others() -> None:
    made = lines.document([lines.Row(slug, Lines(code, 2 * code), 3 * code) for slug, code in (("a", 9), ("b", 20))])
    assert "| [`b`](../carriers/b) | 20 | 40 | 60 |\n| **median** | **9** | **18** | **27** |" in made
    assert "| Milepost, median | 9 lines, and a table of 18 | 27 lines |" in made


def test_the_document_is_printed_unless_it_is_to_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines.main([]) == 0
    assert capsys.readouterr().out == lines.document(lines.rows())
