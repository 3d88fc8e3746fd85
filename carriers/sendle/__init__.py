"""Sendle: one parcel a query, whose answer does not hold its number, and its webhooks of one event each."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
    M,
    Meaning,
    ParseError,
    Problem,
    ProblemKind,
    R,
    Reply,
    Report,
    Scan,
    Summary,
    coarse,
    dict_at,
    moment,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://developers.sendle.com/reference/trackparcel"
NUMBER = "; reference="  # how the number that was asked for goes along with its answer

# `event_type`, after the documentation's words.
EVENTS: dict[str, Meaning] = {
    "Pickup Attempted": (M.EXCEPTION, R.PICKUP_FAILED),
    "Pickup": M.PICKED_UP,
    "Drop Off": M.INFO_RECEIVED,  # not yet dropped off
    "Dropped Off": M.PICKED_UP,  # left at a drop-off location
    "Info": coarse(M.NOTE),  # anything, from Sendle or from the partner that delivers
    "In Transit": coarse(M.IN_TRANSIT),
    "Out for Delivery": M.OUT_FOR_DELIVERY,
    "Local Delivery": M.HANDED_OVER,  # by a local postal service, say
    "Delivery Attempted": coarse(M.DELIVERY_FAILED, R.OTHER),
    "Card Left": (M.DELIVERY_FAILED, R.OTHER),
    "Left with Agent": M.AVAILABLE_FOR_PICKUP,
    "Delivered": M.DELIVERED,
    "Damaged": (M.EXCEPTION, R.DAMAGED),
    "Unable to Deliver": coarse(M.EXCEPTION, R.OTHER),
    "Expired": M.CANCELLED,  # the label
}
# `state` is the order's, and no event: Pickup there says that a pickup is booked. Those that the documentation shows;
# of any other, the words beside it decide.
STATES: dict[str, Meaning] = {
    "state/Booking": M.INFO_RECEIVED,
    "state/Pickup": M.INFO_RECEIVED,
    "state/Delivered": M.DELIVERED,
    "state/Cancelled": M.CANCELLED,
}
MILESTONES: dict[str, Meaning] = EVENTS | STATES
PROBLEMS = {
    "bad_request": ProblemKind.INVALID,
    "unprocessable_entity": ProblemKind.INVALID,
    "not_found": ProblemKind.NOT_FOUND,
    "unauthorised": ProblemKind.REFUSED,
    "unauthorized": ProblemKind.REFUSED,
    "forbidden": ProblemKind.REFUSED,
    "payment_required": ProblemKind.REFUSED,
    "precondition_failed": ProblemKind.REFUSED,  # the account has not agreed to the terms
    "too_many_requests": ProblemKind.LIMITED,
}
_SIGNED = re.compile(r"(.*?signed for by)\b[\s:]*(.*)", re.IGNORECASE | re.DOTALL)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number."""
    return [await _track(http, ask.number) for ask in asks]


async def _track(http: Http, number: str) -> Reply:
    """The answer, with the number in its content type: the body does not hold it."""
    reply = await http.request("GET", f"/api/tracking/{quote(number, safe='')}", headers=_headers(http))
    return Reply(reply.status, f"{reply.content_type}{NUMBER}{number}", reply.body)


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Ask for pushes; refusals by number. `callback` is not sent: Sendle pushes to the one address of its account."""
    refused: dict[str, str] = {}
    for ask in asks:
        reply = await http.request(
            "POST", f"/api/tracking/{quote(ask.number, safe='')}/subscribe", headers=_headers(http), data=b""
        )
        if reply.status >= 400:
            refused[ask.number] = _refusal(object_of(read_json(reply.body), "$")).text
    return refused


async def unsubscribe(http: Http, asks: Sequence[Ask]) -> None:
    """Stop the pushes; a number that is not subscribed is no error."""
    for ask in asks:
        await http.request("DELETE", f"/api/tracking/{quote(ask.number, safe='')}/subscribe", headers=_headers(http))


def _headers(http: Http) -> dict[str, str]:
    pair = f"{http.credentials['sendle_id']}:{http.credentials['api_key']}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}", "Accept": "application/json"}


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A query's answer, its error, or a push of one event."""
    root = object_of(read_json(body), "$")
    number = content_type.partition(NUMBER)[2]
    if "tracking_events" in root:
        return [_report(root, number)]
    if "event_type" in root:
        return [_pushed(root)]
    if "error" in root:
        return [Report(waybill=number, problem=_refusal(root))]
    raise ParseError("$", "neither tracking_events, an event (event_type) nor an error")


def _report(root: dict[str, Any], number: str) -> Report:
    events = [
        _scan(row, f"$.tracking_events[{place}]") for place, row in enumerate(rows_at(root, "tracking_events", "$"))
    ]
    signers = [signer for _, signer in events if signer]
    return Report(
        waybill=number,
        scans=oldest_first(scan for scan, _ in events),
        full=bool(events),
        summary=_summary(root, signers[-1] if signers else ""),
    )


def _pushed(root: dict[str, Any]) -> Report:
    waybill = text_at(root, "sendle_reference", "$")
    if not waybill:
        raise ParseError("$.sendle_reference", "missing")
    scan, signer = _scan(root, "$")
    return Report(waybill=waybill, scans=(scan,), summary=Summary(signed_by=signer) if signer else None)


def _scan(row: dict[str, Any], path: str) -> tuple[Scan, str]:
    """An event, and the signer's name if its words held one."""
    words, signer = _without_signer(text_at(row, "description", path))
    if reason := text_at(row, "reason", path):
        words = f"{words}. {reason}" if words else reason
    scan = Scan(
        time=moment_at(row, "scan_time", path),  # UTC; `display_time` is not in a push, and would make two scans of one
        code=text_at(row, "event_type", path),
        text=words,
        location=_place(row, path),
    )
    return scan, signer


def _without_signer(words: str) -> tuple[str, str]:
    """Your parcel was signed for by NAME: the words without the name, and the name."""
    signed = _SIGNED.fullmatch(words)
    return (signed[1], signed[2].strip()) if signed else (words, "")


def _place(row: dict[str, Any], path: str) -> str:
    if named := text_at(row, "location", path) or text_at(row, "origin_location", path):
        return named
    data = dict_at(row, "location_data", path)
    return ", ".join(filter(None, (text_at(data, key, path) for key in ("suburb", "state", "country"))))


# ---------------------------------------------------------------- the summary


def _summary(root: dict[str, Any], signer: str) -> Summary:
    expected = dict_at(root, "scheduling", "$")
    begins, ends = (
        moment_or_none(text_at(expected, f"estimated_delivery_date_{end}", "$")) for end in ("minimum", "maximum")
    )
    return Summary(
        status=_status(root),
        expected_from=begins if ends else None,
        expected_to=ends or begins,
        signed_by=signer,
        origin=text_at(dict_at(root, "origin", "$"), "country", "$"),
        destination=text_at(dict_at(root, "destination", "$"), "country", "$"),
    )


def _status(root: dict[str, Any]) -> Scan | None:
    state, status = text_at(root, "state", "$"), dict_at(root, "status", "$")
    words, _ = _without_signer(text_at(status, "description", "$.status"))
    if not state and not words:
        return None
    changed = text_at(status, "last_changed_at", "$.status")
    time = moment(changed.replace(" UTC", "Z"), path="$.status.last_changed_at") if changed else None
    code = f"state/{state}"
    return Scan(time=time, code=code if code in STATES or not words else "", text=words)


# ---------------------------------------------------------------- errors


def _refusal(root: dict[str, Any]) -> Problem:
    error = text_at(root, "error", "$")
    kind = PROBLEMS.get(error.lower().replace(" ", "_"), ProblemKind.UNAVAILABLE)
    words = (text_at(root, "error_description", "$"), *_messages(root.get("messages")))
    return Problem(kind, ": ".join(filter(None, (error, *words))))


def _messages(messages: Any) -> Iterator[str]:
    """What is wrong with which field: {"ref": ["must be given"]}."""
    for field, faults in messages.items() if isinstance(messages, dict) else ():
        yield from (
            (f"{field} {fault}" for fault in faults if isinstance(fault, str)) if isinstance(faults, list) else ()
        )


carrier = Carrier(
    slug="sendle",
    name="Sendle",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.sendle.com",
    sandbox="https://sandbox.sendle.com",
    numbers=(r"S[0-9A-Z]{5,11}",),
    batch=1,
    fetch=fetch,
    subscribe=subscribe,
    unsubscribe=unsubscribe,
    min_interval=3600.0,  # Sendle asks for no more than one query an hour and parcel
    rate=5.0,  # ten a second and address are allowed
    full_history=True,
    credentials=(
        Credential("sendle_id", "Sendle ID of the account, from its dashboard (Settings > API)", secret=False),
        Credential("api_key", "API key, from the same page"),
    ),
)
