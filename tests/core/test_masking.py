"""What is masked, what stays, and that the phrases and the milestones read the same with it and without."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carriers.registry import load
from carriers.sdk import ParseError
from tracker import phrases
from tracker.masking import Mask, mask, mask_name, mask_report
from tracker.reading import shipments_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "contact", "all"),
    [
        (
            "【杭州】派件员张三（13800000000）正在派件",
            "【杭州】派件员张三（***）正在派件",
            "【杭州】派件员**（***）正在派件",
        ),
        ("快递员：李四四，电话:138 0000 0000", "快递员：李四四，电话:***", "快递员：***，电话:***"),
        ("已签收，签收人：王五，如有疑问请联系0571-88880000", "已签收，签收人：王五，如有疑问请联系***", None),
        ("您的快件由业务员赵六派送，联系电话+86 13800000000", "您的快件由业务员赵六派送，联系电话***", None),
        ("收件人[欧阳小明]已领取", "收件人[欧阳小明]已领取", "收件人[***]已领取"),
        ("快件已由王建国签收", "快件已由王建国签收", "快件已由***签收"),
        ("您的快件已由【张三】代签收", "您的快件已由【张三】代签收", "您的快件已由【**】代签收"),
        ("已由 李四女士 领取，感谢使用", "已由 李四女士 领取，感谢使用", "已由 **女士 领取，感谢使用"),
        ("已签收，签收人是赵六", "已签收，签收人是赵六", "已签收，签收人是**"),
        ("身份证110101200001010000", "身份证***", "身份证***"),
        ("Signed for by J. SMITH", "Signed for by J. SMITH", "Signed for by ***"),
        ("Received by: Jane van Doe at 10:00", "Received by: Jane van Doe at 10:00", "Received by: *** at 10:00"),
        ("Call the courier: +44 7700 900000", "Call the courier: ***", "Call the courier: ***"),
        ("Phone 7700900000", "Phone ***", "Phone ***"),
        ("Questions: (212) 555-0100 or a.b@shop.example", "Questions: *** or ***", "Questions: *** or ***"),
        ("送至文一路88号3单元501室", "送至文一路88号3单元501室", "送至文一路*号*单元*室"),
        ("Left at 12 Rose Lane", "Left at 12 Rose Lane", "Left at * Rose Lane"),
        ("Unterschrieben von: Erika M.", "Unterschrieben von: Erika M.", "Unterschrieben von: ***"),
    ],
)
def test_persons_are_masked(text: str, contact: str, all: str | None) -> None:
    assert mask(text, Mask.CONTACT) == contact
    if all is not None:
        assert mask(text, Mask.ALL) == all
    assert mask(text, Mask.OFF) == text


@pytest.mark.parametrize(
    "text",
    [
        "已签收，签收人：本人",
        "快件已由【菜鸟驿站】代收，签收人：代收点",
        "签收人是前台",
        "已由前台签收",
        "快件已由菜鸟驿站代签收",
        "由方便面馆门卫代收",
        "快件已由任丘，发往北京",
        "由于客户签收地址有误，已退回",
        "退回件已由寄件人签收",
        "快件由于收件人拒绝签收",
        "派件员正在派送",
        "客服热线 400-000-0000，95338",
        "SF1380000000013 到达【杭州转运中心】",
        "773800000000001",
        "2026-11-23 04:05:06",
        "Signed for by: Front Desk",
        "Received by NEIGHBOUR",
        "Received by LOWER VALLEY HUB",
        "Received by Sub-contractor",
        "已暂存至幸福里3栋2单元菜鸟驿站",
        "Delivered, Left with Individual",
        "您的快件已存放至丰巢柜，请凭取件码12345678领取",
        "138****0000",
        "签收人凭取货码签收",
    ],
)
def test_what_is_nobodys_stays(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("name", "left"), [("张三", "**"), ("J. SMITH", "***"), ("本人", "本人"), ("FRONT DESK", "FRONT DESK")]
)
def test_who_signed_is_masked_where_it_is_a_person(name: str, left: str) -> None:
    assert mask_name(name, Mask.ALL) == left
    assert mask_name(name, Mask.CONTACT) == name


_BITS = st.sampled_from(
    (
        *("签收人：", "派件员", "张三", "李", "（", "）", "电话", "路", "88", "号", "单元", "，", "本人"),
        *("13800000000", "0571-88880000", "+86 ", "138", " 0000", "-", "@", "a.b", ".example", "*", "***", " "),
        *("Signed for by ", "J. Smith", "110101200001010000", "12 Rose Lane"),
    )
)


@given(st.one_of(st.text(max_size=60), st.lists(_BITS, max_size=14).map("".join)), st.sampled_from(list(Mask)))
def test_masking_again_changes_nothing_and_no_text_grows(text: str, how: Mask) -> None:
    masked = mask(text, how)
    assert mask(masked, how) == masked
    assert len(masked) <= len(text)
    assert len(mask_name(text, how)) <= len(text)


def test_a_long_text_is_masked_in_time() -> None:
    """Nothing that a carrier may write makes the patterns think for long: seconds of CPU, not of a clock."""
    began = time.process_time()
    for part in ("1", "0571-", "a.", "签收人", "张", "Signed by A", "+1 ", "路1", "电话 ", "a=b&token", "://a:"):
        mask(part * (20_000 // len(part)))
    assert time.process_time() - began < 3


def labelled() -> list[str]:
    files = sorted((ROOT / "tests" / "core" / "phrases").glob("*.tsv"))
    rows = [line.split("\t") for file in files for line in file.read_text(encoding="utf-8").splitlines() if line]
    return [cell for row in rows for cell in row if len(cell) > 3]


def test_the_phrases_say_the_same_of_a_masked_text() -> None:
    texts = labelled()
    assert len(texts) > 500
    persons = ("", "，派件员：张三，电话：13800000000", "，签收人：李四", " (courier: +44 7700 900000)")
    differing = [text + one for text in texts for one in persons if _said(mask(text + one)) != _said(text + one)]
    assert differing == []


def _said(text: str) -> tuple[object, object]:
    found = phrases.match(text)
    return (found.milestone, found.reason) if found else (None, None)


def fixtures() -> Iterator[tuple[str, Path]]:
    registry, _ = load()
    for carrier in registry:
        for file in sorted((ROOT / "carriers" / carrier.slug / "fixtures").glob("*")):
            if file.suffix in (".json", ".xml", ".txt") and not file.name.startswith(("exchange-", "unknown-")):
                yield carrier.slug, file


def test_every_fixture_gives_the_same_timeline_masked_and_not() -> None:
    """Milestones, reasons, order, status: over the fixtures of all adapters."""
    registry, _ = load()
    seen = masked_ones = 0
    for slug, file in fixtures():
        carrier = registry.get(slug)
        assert carrier is not None
        try:
            reports = carrier.parse(file.read_bytes(), "")
        except ParseError:
            continue
        plain = shipments_of(carrier, reports, now=0)
        masked = shipments_of(carrier, [mask_report(report, Mask.ALL) for report in reports], now=0)
        for one, other in zip(plain, masked, strict=True):
            assert one.status == other.status, file
            assert [(e.time, e.milestone, e.reason, e.code) for e in one.events] == [
                (e.time, e.milestone, e.reason, e.code) for e in other.events
            ], file
            seen += len(one.events)
            masked_ones += [e.text for e in one.events] != [e.text for e in other.events]
    assert seen > 500
    assert masked_ones
