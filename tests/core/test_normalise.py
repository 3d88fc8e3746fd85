"""The one place where a code table is looked up: what wins over what, and that nothing is ever guessed."""

from __future__ import annotations

import pytest

from carriers.registry import load
from tracker.model import Milestone, Reason
from tracker.normalise import UNKNOWN, Meaning, classify, coarse, look_up

M, R = Milestone, Reason
TABLE: dict[str, Meaning] = {
    "DE": coarse(M.EXCEPTION, R.OTHER),
    "DE/08": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "DE/17/A": M.DELAYED,
    "PU": M.PICKED_UP,
    "80": coarse(M.DELIVERED),
    "LBL": None,
}
SIGNED, NOT_SIGNED, NOTHING = "已签收，签收人：本人", "快件已放入【3号柜】，请凭取件码取件", "xyzzy 42"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("DE/08", "DE/08"),
        ("DE/99", "DE"),
        ("DE/17/A", "DE/17/A"),
        ("DE/17/B", "DE"),
        ("PU/1/2/3", "PU"),
        ("XX", None),
        ("XX/08", None),
        ("/", None),
        ("", None),
    ],
)
def test_a_path_is_looked_up_whole_then_without_its_last_part_and_so_on(code: str, found: str | None) -> None:
    entry = look_up(TABLE, code)
    assert (entry and entry[0]) == found


def test_a_plain_code_wins_over_the_text() -> None:
    assert classify(TABLE, "PU", SIGNED).milestone is M.PICKED_UP


def test_a_code_with_a_reason_gives_both() -> None:
    said = classify(TABLE, "DE/08", "")
    assert (said.milestone, said.reason, said.rule) == (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT, "code:DE/08")


def test_a_phrase_wins_over_a_coarse_code() -> None:
    said = classify(TABLE, "80", NOT_SIGNED)
    assert said.milestone is M.AVAILABLE_FOR_PICKUP
    assert said.rule.startswith("phrase:zh/")


def test_a_coarse_code_stands_where_no_phrase_matches() -> None:
    assert classify(TABLE, "80", NOTHING).milestone is M.DELIVERED
    said = classify(TABLE, "DE/99", "")
    assert (said.milestone, said.reason, said.rule) == (M.EXCEPTION, R.OTHER, "code:DE")


def test_a_phrase_of_its_own_drops_the_coarse_codes_reason() -> None:
    assert classify(TABLE, "DE/99", SIGNED).reason is None


def test_a_code_known_to_say_nothing_is_a_note_whatever_the_text() -> None:
    said = classify(TABLE, "LBL", SIGNED)
    assert (said.milestone, said.reason, said.rule) == (M.NOTE, None, "code:LBL")


def test_a_code_in_no_table_falls_to_the_text() -> None:
    assert classify(TABLE, "XX", SIGNED).milestone is M.DELIVERED
    assert classify({}, "", "Picked up").milestone is M.PICKED_UP


@pytest.mark.parametrize(("code", "text"), [("", ""), ("XX", ""), ("", NOTHING), ("XX", NOTHING), ("0", " ")])
def test_what_neither_table_nor_phrase_covers_is_unknown_and_never_in_transit(code: str, text: str) -> None:
    assert classify(TABLE, code, text) is UNKNOWN


def test_every_table_of_every_carrier_can_be_looked_up() -> None:
    registry, failures = load()
    assert failures == []
    for carrier in registry:
        for code in carrier.milestones:
            said = classify(carrier.milestones, code, "")
            assert (carrier.slug, code, said.milestone) != (carrier.slug, code, M.UNKNOWN)
