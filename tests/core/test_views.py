"""What readers see: a golden of every kind of change, and the rules of the shape.

`MILEPOST_GOLDEN=1 pytest tests/core/test_views.py` writes the goldens and the examples of docs/webhooks.md anew: review
them as a diff.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.core.pretty import pretty
from tracker.examples import example, pair
from tracker.model import ChangeKind, Document, Stall, Status
from tracker.timeline.derived import derive
from tracker.views import SCHEMA, change_body, iso, shipment_view

GOLDENS = Path(__file__).parent / "goldens" / "changes"
DOCUMENT = Path(__file__).parents[2] / "docs" / "webhooks.md"
ANEW = bool(os.environ.get("MILEPOST_GOLDEN"))
_BLOCK = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)


NOW = 90_061_000  # ms


def body(kind: ChangeKind) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(example(kind))
    return decoded


def golden(kind: ChangeKind) -> dict[str, Any]:
    file = GOLDENS / f"{kind.value}.json"
    if ANEW:
        GOLDENS.mkdir(parents=True, exist_ok=True)
        file.write_text(pretty(body(kind)) + "\n", encoding="utf-8")
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return kept


@pytest.mark.parametrize("kind", list(ChangeKind), ids=lambda kind: kind.value)
def test_a_change_looks_like_its_golden(kind: ChangeKind) -> None:
    assert body(kind) == golden(kind)


@pytest.mark.parametrize("kind", list(ChangeKind), ids=lambda kind: kind.value)
def test_the_webhook_document_shows_the_golden_of_each_type(kind: ChangeKind) -> None:
    if ANEW:
        _rewrite(kind)
    shown = {block["type"]: block for block in map(json.loads, _BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")))}
    assert shown[f"shipment.{kind.value}"] == golden(kind)


def _rewrite(kind: ChangeKind) -> None:
    """Put the golden into the document, behind the comment that asks for it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    mark = f"<!-- example: {kind.value} -->\n\n"
    head, found, tail = text.partition(mark)
    assert found, f"docs/webhooks.md lacks {mark.strip()}"
    rest = tail.partition("\n```\n")[2] if tail.startswith("```json\n") else tail
    block = f"```json\n{pretty(golden(kind))}\n```\n\n"
    DOCUMENT.write_text(head + mark + block + rest.lstrip("\n"), encoding="utf-8")


def test_no_golden_is_left_of_a_kind_that_is_gone() -> None:
    assert {file.stem for file in GOLDENS.glob("*.json")} == {kind.value for kind in ChangeKind}


@pytest.mark.parametrize("kind", list(ChangeKind), ids=lambda kind: kind.value)
def test_every_change_tells_its_type_its_revision_and_how_the_shipment_stands(kind: ChangeKind) -> None:
    told = body(kind)
    assert set(told) == {"type", "timestamp", "schema", "data"}
    assert told["schema"] == SCHEMA
    assert told["type"] == f"shipment.{kind.value}"
    assert told["timestamp"].endswith("Z")
    data = told["data"]
    assert data["revision"] == data["shipment"]["revision"] >= 1
    assert "events" not in data["shipment"]
    assert data["shipment"]["status"] in set(Status)


def test_a_first_change_has_no_previous_status_and_others_have_one() -> None:
    assert body(ChangeKind.REGISTERED)["data"]["previous_status"] is None
    assert body(ChangeKind.DELIVERED)["data"]["previous_status"] == "out_for_delivery"


def test_a_correction_shows_what_was_announced_and_what_holds() -> None:
    data = body(ChangeKind.CORRECTED)["data"]
    assert (data["previous_status"], data["shipment"]["status"]) == ("delivered", "available_for_pickup")
    assert data["shipment"]["delivered_at"] is None


def test_a_withdrawn_event_is_shown_in_the_correction_and_marked() -> None:
    before, after = pair(ChangeKind.PENDING)
    assert before
    told = change_body(ChangeKind.CORRECTED, derive(before), derive(after), revision=3, now=0)
    corrected = json.loads(told)["data"]["events_corrected"]
    assert [(event["code"], event["retracted"]) for event in corrected] == [("PUP", True)]
    assert corrected[0]["was"] == {
        "milestone": "picked_up",
        "label": {"zh": "已揽收", "en": "Picked up"},
        "reason": None,
        "reason_label": None,
    }


def test_moving_again_says_how_long_it_stood() -> None:
    stood = body(ChangeKind.MOVING_AGAIN)["data"]["was_stalled"]
    assert (stood["milestone"], stood["for_s"] // 3600, stood["limit_s"] // 3600) == ("hub_arrived", 41, 36)
    assert body(ChangeKind.MOVING_AGAIN)["data"]["shipment"]["stalled"] is None


def test_a_stall_says_what_it_was_computed_from() -> None:
    stalled = body(ChangeKind.STALLED)["data"]["shipment"]["stalled"]
    assert set(stalled) == {"since", "for_s", "flagged_at", "milestone", "limit_s"}
    assert stalled["for_s"] > stalled["limit_s"]


def _document(**facts: Any) -> Document:
    empty = Document(id="shp_1", account="a", waybill="W10001", carrier="acme", registered_at=0, updated_at=90_061_999)
    return structs.replace(empty, **facts)


def test_times_of_ours_are_utc_to_the_second_and_are_cut_not_rounded() -> None:
    assert iso(1_790_006_400_999) == "2026-09-21T16:00:00Z"
    assert shipment_view(derive(_document()), now=NOW)["updated_at"] == "1970-01-02T01:01:01Z"


def test_what_nobody_said_is_null_and_not_an_empty_text() -> None:
    view = shipment_view(derive(_document()), now=NOW)
    empty = {name for name, value in view.items() if value is None}
    assert empty >= {"order_number", "shop", "warehouse", "signed_by", "delivered_at", "tracking_url", "last_event"}
    assert view["events"] == []


def test_a_view_without_events_has_no_such_field() -> None:
    assert "events" not in shipment_view(derive(_document()), now=NOW, events=False)


def test_a_stall_before_anything_was_heard_names_no_milestone() -> None:
    view = shipment_view(derive(_document(stall=Stall(90_000_000, 0, None, 86_400))), now=NOW)
    assert view["stalled"]["milestone"] is None


def test_labels_are_told_in_both_languages() -> None:
    shipment = body(ChangeKind.DELIVERY_FAILED)["data"]["shipment"]
    assert shipment["status_label"] == {"zh": "派送未成功", "en": "Delivery attempt failed"}
    assert shipment["last_event"]["reason_label"] == {"zh": "收件人不在", "en": "Recipient absent"}
