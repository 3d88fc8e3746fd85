"""Each phrase rule has a line of its own, and the words that deceive are read right."""

from __future__ import annotations

import csv
import time
import tomllib
from pathlib import Path

import pytest

from tests.accuracy import LABELLED, figures, readings
from tracker.model import Milestone
from tracker.phrases import languages, match

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LINES = [
    row
    for file in sorted((HERE / "phrases").glob("*.tsv"))
    for row in csv.reader(file.read_text("utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    if row and not row[0].startswith("#")
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[3])
def test_a_line_is_read_by_its_rule(line: list[str]) -> None:
    text, milestone, reason, rule = line
    said = match(text)
    assert said is not None
    assert (said.milestone.value, said.reason and said.reason.value, said.rule) == (milestone, reason or None, rule)


def test_every_rule_has_a_line() -> None:
    lined = {row[3] for row in LINES}
    for lang in languages():
        rules = tomllib.loads((ROOT / "tracker" / "vocabulary" / f"{lang}.toml").read_text(encoding="utf-8"))["rule"]
        assert [rule["name"] for rule in rules if f"{lang}/{rule['name']}" not in lined] == []


@pytest.mark.parametrize(
    ("text", "milestone"),
    [
        ("快件未签收，请联系派送员", Milestone.IN_TRANSIT),
        ("正在派送途中，请您准备签收", Milestone.OUT_FOR_DELIVERY),
        ("已签收，签收人是代收点", Milestone.DELIVERED),
        ("快件已由便民超市代收，请及时取件", Milestone.AVAILABLE_FOR_PICKUP),
        ("快件已发往 宁波网点", Milestone.HUB_DEPARTED),
        ("Will be delivered to you soon: in transit", Milestone.IN_TRANSIT),
        ("Could not be delivered", Milestone.DELIVERY_FAILED),
    ],
)
def test_words_that_deceive_are_read_right(text: str, milestone: Milestone) -> None:
    said = match(text)
    assert said is not None
    assert said.milestone is milestone


@pytest.mark.parametrize("text", ["", "xyzzy 42", "嗯", "…"])
def test_a_text_that_no_rule_covers_is_nobodys_guess(text: str) -> None:
    assert match(text) is None


@pytest.mark.parametrize(
    "text", ["상품이 배송 완료되었습니다", "お届け済み", "Paczka w drodze", "Колет", "\x00", "🙂" * 400]
)
def test_a_language_without_rules_is_nobodys_guess(text: str) -> None:
    assert match(text) is None


@pytest.mark.parametrize(
    "text", ["delivered not " * 100, "已到达" * 400, "to the " * 200, "x" * 1_000, "未签收" * 300, "return " * 200]
)
def test_a_hostile_text_takes_no_longer_than_others(text: str) -> None:
    began = time.process_time()
    match(text)
    assert time.process_time() - began < 0.25


@pytest.mark.skipif(not LABELLED.exists(), reason="the labelled texts are not beside the repository")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_labelled_real_texts_are_read_as_a_careful_reader_does(lang: str) -> None:
    found = figures([one for one in readings([LABELLED]) if one.lang == lang])
    assert found.accuracy >= 0.95
    assert found.macro_f1 >= 0.95
    assert found.wrong <= 0.03
    assert found.falsely_delivered == 0
