"""InPost ShipX: the public tracking of Poland (and Italy), one parcel a query, and its webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from carriers.sdk import (
    Answer,
    Ask,
    Carrier,
    Http,
    M,
    Meaning,
    ParseError,
    Problem,
    ProblemKind,
    Push,
    R,
    Reply,
    Report,
    Scan,
    Summary,
    dict_at,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://dokumentacja-inpost.atlassian.net/wiki/spaces/PL/pages/18153479"

# The statuses of GET /v1/statuses, after the descriptions that it gives them.
# https://dokumentacja-inpost.atlassian.net/wiki/spaces/PL/pages/18153478
STATUSES: dict[str, Meaning] = {
    "created": M.INFO_RECEIVED,
    "offers_prepared": M.INFO_RECEIVED,
    "offer_selected": M.INFO_RECEIVED,
    "confirmed": M.INFO_RECEIVED,
    "dispatched_by_sender": M.PICKED_UP,  # the sender put it in a locker
    "dispatched_by_sender_to_pok": M.PICKED_UP,  # the sender left it at a point
    "collected_from_sender": M.PICKED_UP,
    "taken_by_courier": M.PICKED_UP,
    "taken_by_courier_from_pok": M.IN_TRANSIT,  # from the point where the sender left it
    "adopted_at_source_branch": M.HUB_ARRIVED,
    "sent_from_source_branch": M.HUB_DEPARTED,
    "adopted_at_sorting_center": M.HUB_ARRIVED,
    "sent_from_sorting_center": M.HUB_DEPARTED,
    "adopted_at_target_branch": M.AT_DELIVERY_DEPOT,
    "out_for_delivery": M.OUT_FOR_DELIVERY,
    "out_for_delivery_to_address": M.OUT_FOR_DELIVERY,
    "ready_to_pickup": M.AVAILABLE_FOR_PICKUP,
    "ready_to_pickup_from_pok": M.AVAILABLE_FOR_PICKUP,
    "ready_to_pickup_from_pok_registered": M.AVAILABLE_FOR_PICKUP,
    "pickup_reminder_sent": M.AVAILABLE_FOR_PICKUP,
    "courier_avizo_in_customer_service_point": M.AVAILABLE_FOR_PICKUP,
    "ready_to_pickup_from_branch": (M.AVAILABLE_FOR_PICKUP, R.MISSED_PICKUP),
    # the chosen locker is full: kept elsewhere, where it can be collected, and brought there later
    "stack_in_box_machine": M.AVAILABLE_FOR_PICKUP,
    "stack_in_customer_service_point": M.AVAILABLE_FOR_PICKUP,
    "stack_parcel_in_box_machine_pickup_time_expired": M.IN_TRANSIT,
    "stack_parcel_pickup_time_expired": M.IN_TRANSIT,
    "unstack_from_box_machine": M.IN_TRANSIT,
    "unstack_from_customer_service_point": M.IN_TRANSIT,
    "delivered": M.DELIVERED,
    "return_pickup_confirmation_to_sender": None,  # the receipt went to the sender
    "pickup_reminder_sent_address": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),  # tried again on the next working day
    "undelivered_wrong_address": (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM),
    "undelivered_incomplete_address": (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM),
    "undelivered_unknown_receiver": (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM),
    "undelivered_not_live_address": (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM),
    "undelivered_cod_cash_receiver": (M.DELIVERY_FAILED, R.PAYMENT_DUE),
    "undelivered_no_mailbox": (M.DELIVERY_FAILED, R.OTHER),
    "delay_in_delivery": M.DELAYED,
    "redirect_to_box": M.IN_TRANSIT,
    "canceled_redirect_to_box": None,  # it goes to the address after all
    "readdressed": M.IN_TRANSIT,
    "oversized": (M.EXCEPTION, R.OTHER),  # does not fit into a locker
    "pickup_time_expired": (M.EXCEPTION, R.MISSED_PICKUP),  # it waits until the courier comes
    "rejected_by_receiver": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "undelivered": (M.EXCEPTION, R.OTHER),  # in the store of what can't be delivered
    "claimed": (M.EXCEPTION, R.OTHER),  # a complaint was made
    "missing": (M.EXCEPTION, R.LOST),
    "avizo": (M.RETURNING, R.RECIPIENT_ABSENT),  # nobody there again: "on its way back to the sender"
    "undelivered_lack_of_access_letterbox": (M.RETURNING, R.OTHER),
    "taken_by_courier_from_customer_service_point": (M.RETURNING, R.MISSED_PICKUP),
    "returned_to_sender": M.RETURNING,  # "has set off on its way back to the sender"
    "canceled": M.CANCELLED,
    "other": None,  # "a status that is not listed": in the words of InPost, nothing more
}
# What a webhook tells beside the statuses. https://dokumentacja-inpost.atlassian.net/wiki/spaces/PL/pages/18153494
EVENTS: dict[str, Meaning] = {"shipment_confirmed": M.INFO_RECEIVED}
MILESTONES: dict[str, Meaning] = STATUSES | EVENTS
CHANGED = "shipment_status_changed"
PROBLEMS = {
    "400": ProblemKind.INVALID,
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "404": ProblemKind.NOT_FOUND,
    "422": ProblemKind.INVALID,
    "429": ProblemKind.LIMITED,
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number: ShipX takes one at a time, and asks for no token."""
    headers = {"Accept": "application/json"}
    return [await http.request("GET", f"/v1/tracking/{quote(ask.number, safe='')}", headers=headers) for ask in asks]


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """The tracking of a parcel, a webhook, or an error."""
    root = object_of(read_json(body), "$")
    if "event" in root:
        return _pushed(root)
    if "tracking_number" in root:
        return [_report(root)]
    if error := text_at(root, "error", "$"):
        words = text_at(root, "message", "$") or text_at(root, "description", "$")
        kind = PROBLEMS.get(text_at(root, "status", "$"), ProblemKind.UNAVAILABLE)
        return [Report(waybill="", problem=Problem(kind, f"{error}: {words}" if words else error))]
    raise ParseError("$", "neither an event (a push), a tracking_number nor an error")


def _pushed(root: dict[str, Any]) -> list[Report]:
    """The one scan of a webhook. One about a shipment that has no number yet (its offers, say) is about no parcel."""
    payload, event = dict_at(root, "payload", "$"), text_at(root, "event", "$")
    waybill = text_at(payload, "tracking_number", "$.payload")
    if not waybill:
        return []
    code = text_at(payload, "status", "$.payload") or event
    if code == CHANGED:
        raise ParseError("$.payload.status", "missing")
    scan = Scan(time=moment_at(root, "event_ts", "$"), code=code)
    return [Report(waybill=waybill, scans=(scan,) if code else ())]


def _report(root: dict[str, Any]) -> Report:
    waybill = text_at(root, "tracking_number", "$")
    if not waybill:
        raise ParseError("$.tracking_number", "missing")
    rows = rows_at(root, "tracking_details", "$")
    scans = [_scan(row, f"$.tracking_details[{place}]") for place, row in enumerate(rows)]
    history = oldest_first(reversed(scans))  # the newest comes first, also within a second
    return Report(waybill=waybill, scans=history, full=bool(history), summary=_summary(root, history))


def _scan(row: dict[str, Any], path: str) -> Scan:
    return Scan(
        time=moment_at(row, "datetime", path),
        code=text_at(row, "status", path),
        location=text_at(row, "location", path) or text_at(row, "agency", path),
    )


def _summary(root: dict[str, Any], scans: tuple[Scan, ...]) -> Summary:
    lockers = dict_at(root, "custom_attributes", "$")
    return Summary(
        status=_status(root, scans),
        service=text_at(root, "service", "$"),
        origin=text_at(lockers, "dropoff_machine_id", "$.custom_attributes"),
        destination=text_at(lockers, "target_machine_id", "$.custom_attributes"),
    )


def _status(root: dict[str, Any], scans: tuple[Scan, ...]) -> Scan | None:
    """The status, which is the newest scan's unless ShipX is ahead of its history."""
    status = text_at(root, "status", "$")
    if not status or (scans and scans[-1].code == status):
        return scans[-1] if scans else None
    return Scan(time=moment_at(root, "updated_at", "$"), code=status)


def greet(tried: Push, credentials: Mapping[str, str]) -> Answer:
    """InPost tries an address with a GET before it takes it, and wants a 200."""
    return 200, "", b""


carrier = Carrier(
    slug="inpost",
    name="InPost",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api-shipx-pl.easypack24.net",
    numbers=(r"6\d{23}",),
    batch=1,
    fetch=fetch,
    rate=1.0,  # the limit is not published
    full_history=True,
    greet=greet,
)
