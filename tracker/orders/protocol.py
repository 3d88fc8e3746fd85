"""What an order store is told of a parcel, and the protocol that every order store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from tracker.model import Milestone, Reason, Status

_NOT_YET_MOVING = frozenset({Status.PENDING, Status.INFO_RECEIVED})
_UNDECIDED = frozenset({Status.EXCEPTION, Status.CANCELLED, Status.EXPIRED})
_SAYS_NOTHING_OF_MOVEMENT = frozenset(
    {
        Milestone.INFO_RECEIVED,
        Milestone.DELAYED,
        Milestone.EXCEPTION,
        Milestone.CANCELLED,
        Milestone.NOTE,
        Milestone.UNKNOWN,
    }
)
_LOST = frozenset({Reason.LOST, Reason.DISPOSED})


class OrderUpdate(Struct, frozen=True, kw_only=True):
    """One parcel as of one revision. Times `*_at` in ms are ours; ISO 8601 strings are the carrier's, "" unknown."""

    account: str
    order_number: str  # "" once the parcel has left every order
    shipment: str
    waybill: str
    carrier: str
    status: str
    revision: int
    registered_at: int  # ms
    updated_at: int  # ms
    status_at: str = ""
    delivered_at: str = ""
    expected: str = ""
    picked_up: bool = False
    lost: bool = False
    stalled: bool = False
    shop: str = ""
    warehouse: str = ""
    last_at: str = ""
    last_milestone: str = ""
    last_text: str = ""
    last_location: str = ""

    @property
    def returned(self) -> bool:
        """Whether the parcel is back with the sender."""
        return self.status == Status.RETURNED

    @property
    def delivered(self) -> bool:
        """Whether the parcel is with the recipient."""
        return self.status == Status.DELIVERED


class OrderStore(Protocol):
    """Where orders live. Applying the same updates in any order, any number of times, ends in the same orders."""

    async def apply(self, update: OrderUpdate) -> None:
        """Take in one parcel's update unless a newer revision of that shipment was taken in already."""


def update_from(account: str, change: Mapping[str, Any]) -> OrderUpdate | None:
    """What a frozen change body says of an order; None where it concerns none.

    A deleted parcel, and one that an amendment took out of its order, give an update with no order number.
    Raises KeyError, TypeError or ValueError for anything that is no change body.
    """
    data = change["data"]
    number = "" if change["type"] == "shipment.deleted" else data["shipment"]["order_number"] or ""
    if not number and not _may_have_left(change):
        return None
    return _read(account, number, data["revision"], data)


def _may_have_left(change: Mapping[str, Any]) -> bool:
    # Only a patch takes a parcel out of its order: a change that brings events is no patch.
    kind = change["type"]
    return kind == "shipment.deleted" or (kind == "shipment.updated" and not change["data"].get("events_added"))


def _read(account: str, number: str, revision: int, data: Mapping[str, Any]) -> OrderUpdate:
    view = data["shipment"]
    last = view.get("last_event") or {}
    return OrderUpdate(
        account=account,
        order_number=number,
        shipment=view["id"],
        waybill=view["waybill"],
        carrier=view["carrier"],
        status=Status(view["status"]).value,
        revision=int(revision),
        registered_at=_ms(view["registered_at"]),
        updated_at=_ms(view["updated_at"]),
        status_at=view.get("status_at") or "",
        delivered_at=view.get("delivered_at") or "",
        expected=_expected(view.get("expected")),
        picked_up=_was_picked_up(view, last, data.get("events_added") or ()),
        lost=_is_lost(last),
        stalled=bool(view.get("stalled")),
        shop=view.get("shop") or "",
        warehouse=view.get("warehouse") or "",
        last_at=last.get("occurred_at") or "",
        last_milestone=last.get("milestone") or "",
        last_text=_words(last.get("description")),
        last_location=_words(last.get("location")),
    )


def _was_picked_up(view: Mapping[str, Any], last: Mapping[str, Any], added: Sequence[Mapping[str, Any]]) -> bool:
    if "picked_up" in view:
        return bool(view["picked_up"])
    if view["status"] in _NOT_YET_MOVING:
        return False
    if view["status"] not in _UNDECIDED or any(_moves(event) for event in (*added, last)):
        return True
    # Trouble without a scan of movement: nearly always on the way, unless the carrier says what it could not collect.
    return view["status"] == Status.EXCEPTION and last.get("reason") != Reason.PICKUP_FAILED


def _moves(event: Mapping[str, Any]) -> bool:
    if not event or event.get("stray") or event.get("retracted"):
        return False
    return event["milestone"] not in _SAYS_NOTHING_OF_MOVEMENT


def _is_lost(last: Mapping[str, Any]) -> bool:
    return last.get("milestone") == Milestone.EXCEPTION and last.get("reason") in _LOST


def _words(text: str | None) -> str:
    return (text or "").replace("\0", "")  # PostgreSQL's text holds none


def _expected(window: Mapping[str, Any] | None) -> str:
    return (window.get("to") or window.get("from") or "") if window else ""


def _ms(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
