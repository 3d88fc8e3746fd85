"""A document read again by other tables: as if they had been there from the beginning."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carriers.sdk import M, Meaning, R, Scan, Summary
from tests.core.parcels import NOW, at, report, scan
from tracker.model import Document, Kept
from tracker.normalise import reader
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Classify, Receipt, merge, remapped

WRONG: dict[str, Meaning] = {"PUP": M.PICKED_UP, "LOC": M.DELIVERED, "NAH": M.IN_TRANSIT}
RIGHT: dict[str, Meaning] = {
    "PUP": M.PICKED_UP,
    "LOC": M.AVAILABLE_FOR_PICKUP,
    "NAH": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "DLV": M.DELIVERED,
}
EMPTY = Document(id="shp_1", account="one", waybill="W1", carrier="acme", registered_at=NOW, updated_at=NOW)


def told(table: dict[str, Meaning], *receipts: Receipt) -> Document:
    document = EMPTY
    for receipt in receipts:
        document = merge(document, receipt, reader(table))
    return document


def receipt(*scans: Scan, source: str = "con_1/push", heard_at: int = NOW, status: Scan | None = None) -> Receipt:
    return Receipt(source=source, heard_at=heard_at, report=report("W1", *scans, summary=Summary(status=status)))


def by(table: dict[str, Meaning], source: str = "con_1/push") -> dict[str, Classify]:
    return {source: reader(table)}


def meanings(document: Document) -> list[tuple[str, str]]:
    return [(kept.code, kept.milestone.value) for kept in document.scans]


SCANS = st.builds(scan, st.sampled_from(["PUP", "LOC", "NAH", "DLV", "ZZZ"]), st.integers(1, 6))
RECEIPTS = st.builds(lambda scans, hour: receipt(*scans, heard_at=NOW + hour), st.lists(SCANS), st.integers(0, 5))


@given(st.lists(RECEIPTS, max_size=5))
def test_what_was_read_by_a_wrong_table_becomes_what_the_right_one_would_have_made(receipts: list[Receipt]) -> None:
    wrong, right = told(WRONG, *receipts), told(RIGHT, *receipts)
    corrected = remapped(wrong, by(RIGHT).get)
    assert corrected == right
    assert remapped(corrected, by(RIGHT).get) == corrected


def test_code_text_and_fingerprint_stay() -> None:
    def facts(kept: Kept) -> tuple[object, ...]:
        return kept.time, kept.code, kept.text, kept.location, kept.heard, kept.fingerprint

    wrong = told(WRONG, receipt(scan("LOC", 1, "在驿站", "杭州")))
    assert [*map(facts, wrong.scans)] == [*map(facts, remapped(wrong, by(RIGHT).get).scans)]


def test_a_source_without_a_table_keeps_its_reading() -> None:
    document = told(WRONG, receipt(scan("LOC", 1)), receipt(scan("NAH", 2), source="con_2/push"))
    corrected = remapped(document, by(RIGHT, "con_2/push").get)
    assert meanings(corrected) == [("LOC", "delivered"), ("NAH", "delivery_failed")]


def test_a_scan_of_two_sources_is_read_by_the_one_that_told_it_first() -> None:
    later = receipt(scan("LOC", 1), source="con_1/push", heard_at=NOW + 5)
    document = told(WRONG, receipt(scan("LOC", 1), source="con_2/push"), later)
    assert meanings(remapped(document, by(RIGHT, "con_2/push").get)) == [("LOC", "available_for_pickup")]
    other: dict[str, Classify] = by({"LOC": M.NOTE}, "con_1/push") | by(RIGHT, "con_2/push")
    assert meanings(remapped(document, other.get)) == [("LOC", "available_for_pickup")]


def test_a_carriers_summary_status_is_read_again_too() -> None:
    document = told(WRONG, receipt(scan("PUP", 1), status=Scan(time=at(3), code="LOC")))
    assert derive(document).status == "delivered"
    assert derive(remapped(document, by(RIGHT).get)).status == "available_for_pickup"


def test_what_no_table_covers_any_more_is_unknown() -> None:
    assert meanings(remapped(told(WRONG, receipt(scan("PUP", 1, "xyzzy"))), by({}).get)) == [("PUP", "unknown")]
