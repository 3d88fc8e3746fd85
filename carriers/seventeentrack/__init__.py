"""17TRACK v2.2: register, ask, and be told. An aggregator of some two thousand carriers."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
    M,
    Meaning,
    Moment,
    ParseError,
    Problem,
    ProblemKind,
    Push,
    R,
    Reply,
    Report,
    Scan,
    Summary,
    coarse,
    codes_at,
    dict_at,
    moment,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    same_secret,
    text_at,
)

DOCS = "https://asset.17track.net/api/document/v2.2_en/index.html"
BATCH = 40

# Sub-statuses, then the stages and main statuses that stand alone. `_Other` says little: the description may say more.
# https://asset.17track.net/api/document/v2.2_en/index.html#sub-status
MILESTONES: dict[str, Meaning] = {
    "NotFound": None,  # says nothing of the parcel; without scans it is a problem
    "NotFound_Other": None,
    "NotFound_InvalidCode": None,
    "InfoReceived": M.INFO_RECEIVED,
    "InTransit": coarse(M.IN_TRANSIT),
    "InTransit_PickedUp": M.PICKED_UP,
    "InTransit_Other": coarse(M.IN_TRANSIT),
    "InTransit_Departure": M.HUB_DEPARTED,  # from a port of the country that it leaves, not from every hub
    "InTransit_Arrival": M.HUB_ARRIVED,  # at a port of the country that it comes to
    "InTransit_CustomsProcessing": M.CUSTOMS_ENTERED,
    "InTransit_CustomsReleased": M.CUSTOMS_CLEARED,
    "InTransit_CustomsRequiringInformation": (M.EXCEPTION, R.CUSTOMS),
    "Expired": None,  # 17TRACK's silence, not the carrier's word; ours is counted by ourselves
    "Expired_Other": None,
    "AvailableForPickup": M.AVAILABLE_FOR_PICKUP,
    "AvailableForPickup_Other": M.AVAILABLE_FOR_PICKUP,
    "OutForDelivery": M.OUT_FOR_DELIVERY,
    "OutForDelivery_Other": M.OUT_FOR_DELIVERY,
    "DeliveryFailure": coarse(M.DELIVERY_FAILED, R.OTHER),
    "DeliveryFailure_Other": coarse(M.DELIVERY_FAILED, R.OTHER),
    "DeliveryFailure_NoBody": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "DeliveryFailure_Security": (M.DELIVERY_FAILED, R.SECURITY),
    "DeliveryFailure_Rejected": (M.DELIVERY_FAILED, R.RECIPIENT_REFUSED),
    "DeliveryFailure_InvalidAddress": (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM),
    "Delivered": M.DELIVERED,
    "Delivered_Other": M.DELIVERED,
    "Exception": coarse(M.EXCEPTION, R.OTHER),
    "Exception_Other": coarse(M.EXCEPTION, R.OTHER),
    "Exception_Returning": M.RETURNING,
    "Exception_Returned": M.RETURNED,
    "Exception_NoBody": (M.EXCEPTION, R.RECIPIENT_ABSENT),
    "Exception_Security": (M.EXCEPTION, R.SECURITY),
    "Exception_Damage": (M.EXCEPTION, R.DAMAGED),
    "Exception_Rejected": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "Exception_Delayed": M.DELAYED,
    "Exception_Lost": (M.EXCEPTION, R.LOST),
    "Exception_Destroyed": (M.EXCEPTION, R.DISPOSED),
    "Exception_Cancel": M.CANCELLED,
    # Stages (milestone[].key_stage) that are not also a main status.
    "PickedUp": M.PICKED_UP,
    "Departure": M.HUB_DEPARTED,
    "Arrival": M.HUB_ARRIVED,
    "Returning": M.RETURNING,
    "Returned": M.RETURNED,
}
# 17TRACK's carrier keys → our slugs. https://res.17track.net/asset/carrier/info/apicarrier.all.json
CARRIERS = codes_at("seventeentrack")
KEYS = {slug: int(key) for key, slug in reversed(CARRIERS.items())}  # of several keys the first
# https://help.17track.net/hc/en-us/articles/37570440168473-Error-Codes-and-Troubleshooting
PROBLEMS = {
    "-18010001": ProblemKind.REFUSED,  # address not on the white list
    "-18010002": ProblemKind.REFUSED,  # key
    "-18010003": ProblemKind.UNAVAILABLE,
    "-18010004": ProblemKind.REFUSED,  # account disabled
    "-18010005": ProblemKind.REFUSED,
    "-18019902": ProblemKind.NOT_FOUND,  # not registered yet: registering it cures that
    "-18019903": ProblemKind.INVALID,  # carrier not recognised
    "-18019907": ProblemKind.LIMITED,  # the day's limit
    "-18019908": ProblemKind.LIMITED,  # quota used up
    "-18019909": ProblemKind.NOT_FOUND,  # no tracking information yet
    "-18019910": ProblemKind.INVALID,  # carrier wrong
    "-18019911": ProblemKind.INVALID,  # not a number that can be registered
}
ALREADY_REGISTERED = "-18019901"


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each forty numbers, which must have been registered."""
    return [await _call(http, "gettrackinfo", some) for some in _batches(asks)]


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Register numbers; refusals by number. `callback` is not sent: 17TRACK pushes to the one URL of its dashboard."""
    refused: dict[str, str] = {}
    for some in _batches(asks):
        reply = await _call(http, "register", some)
        refused |= _refused(object_of(read_json(reply.body), "$"), some)
    return refused


async def unsubscribe(http: Http, asks: Sequence[Ask]) -> None:
    """Stop following numbers; a number that is not followed is no error."""
    for some in _batches(asks):
        await _call(http, "stoptrack", some)


def _batches(asks: Sequence[Ask]) -> Iterator[Sequence[Ask]]:
    return (asks[start : start + BATCH] for start in range(0, len(asks), BATCH))


async def _call(http: Http, method: str, asks: Sequence[Ask]) -> Reply:
    headers = {"17token": http.credentials["token"], "Content-Type": "application/json"}
    wanted = [_wanted(ask, method) for ask in asks]
    return await http.request("POST", f"/track/v2.2/{method}", headers=headers, data=json.dumps(wanted).encode())


def _wanted(ask: Ask, method: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {"number": ask.number}
    if ask.carrier in KEYS:
        wanted["carrier"] = KEYS[ask.carrier]
    if method == "register":
        wanted["auto_detection"] = True
        if param := ask.phone_tail or ask.postal_code:  # what some carriers want to know beside the number
            wanted["param"] = param
    return wanted


def _refused(answer: dict[str, Any], asks: Sequence[Ask]) -> dict[str, str]:
    if problem := _refusal(answer):
        return {ask.number: problem.text for ask in asks}
    rejected = rows_at(dict_at(answer, "data", "$"), "rejected", "$.data")
    errors = {text_at(row, "number", "$.data.rejected"): dict_at(row, "error", "$.data.rejected") for row in rejected}
    return {
        number: _problem(error).text
        for number, error in errors.items()
        if text_at(error, "code", "$.data.rejected.error") != ALREADY_REGISTERED
    }


# ---------------------------------------------------------------- pushes


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """`sign`: the hex SHA-256 of the raw body, a slash and the key."""
    key = credentials.get("token", "")
    expected = hashlib.sha256(push.body + b"/" + key.encode()).hexdigest() if key else ""
    return same_secret(push.headers.get("sign", "").strip().lower(), expected)


def acknowledge(accepted: bool) -> tuple[int, str, bytes]:
    """17TRACK wants a 200, and sends again after anything else."""
    return (200, "text/plain", b"success") if accepted else (500, "text/plain", b"")


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer of gettrackinfo (many numbers), or a push (one)."""
    root = object_of(read_json(body), "$")
    if "event" in root:
        return [_report(dict_at(root, "data", "$"), "$.data")]
    if "code" not in root:
        raise ParseError("$", "neither an event (a push) nor a code (an answer)")
    if problem := _refusal(root):
        return [Report(waybill="", problem=problem)]
    data = dict_at(root, "data", "$")
    accepted = rows_at(data, "accepted", "$.data")
    reports = [_report(row, f"$.data.accepted[{place}]") for place, row in enumerate(accepted)]
    return reports + [_rejected(row, "$.data.rejected") for row in rows_at(data, "rejected", "$.data")]


def _refusal(root: dict[str, Any]) -> Problem | None:
    """What was wrong with the whole call: a code other than 0, or data.errors."""
    errors = rows_at(dict_at(root, "data", "$"), "errors", "$.data")
    if errors:
        return _problem(errors[0])
    code = text_at(root, "code", "$")
    return _problem({"code": code, "message": root.get("message")}) if code != "0" else None


def _rejected(row: dict[str, Any], path: str) -> Report:
    return Report(waybill=text_at(row, "number", path), problem=_problem(dict_at(row, "error", path)))


def _problem(error: dict[str, Any]) -> Problem:
    code, words = text_at(error, "code", "$.error"), text_at(error, "message", "$.error")
    # -180100xx are faults of what was sent, all but those named above.
    kind = PROBLEMS.get(code, ProblemKind.INVALID if code.startswith("-180100") else ProblemKind.UNAVAILABLE)
    return Problem(kind, f"{code}: {words}" if words else code)


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "number", path)
    if not waybill:
        raise ParseError(f"{path}.number", "missing")
    info, here = dict_at(row, "track_info", path), f"{path}.track_info"
    providers = rows_at(dict_at(info, "tracking", here), "providers", f"{here}.tracking")
    scans = _scans(providers, f"{here}.tracking")
    return Report(
        waybill=waybill,
        scans=scans,
        full=bool(scans) and all(_synchronised(provider, here) for provider in providers),
        summary=_summary(info, waybill, here) if info else None,
        carrier=_carrier(row, path),
        problem=None if scans else _not_found(info, here),
    )


def _carrier(row: dict[str, Any], path: str) -> str:
    """17TRACK's key of the carrier; 0 is none."""
    key = text_at(row, "carrier", path)
    return "" if key == "0" else key


def _synchronised(provider: dict[str, Any], path: str) -> bool:
    return text_at(provider, "latest_sync_status", path) in ("", "Success")


def _not_found(info: dict[str, Any], path: str) -> Problem | None:
    latest = dict_at(info, "latest_status", path)
    if text_at(latest, "status", path) != "NotFound":
        return None
    sub, words = text_at(latest, "sub_status", path), text_at(latest, "sub_status_descr", path)
    kind = ProblemKind.INVALID if sub == "NotFound_InvalidCode" else ProblemKind.NOT_FOUND
    return Problem(kind, words or sub or "NotFound")


def _scans(providers: list[dict[str, Any]], path: str) -> tuple[Scan, ...]:
    """The events of all providers (first mile and last), oldest first."""
    histories = [_history(provider, f"{path}.providers[{place}]") for place, provider in enumerate(providers)]
    return tuple(heapq.merge(*histories, key=lambda scan: scan.time.instant if scan.time else 0))


def _history(provider: dict[str, Any], path: str) -> tuple[Scan, ...]:
    """One provider's events, oldest first; 17TRACK lists the newest first, also within a second."""
    rows = rows_at(provider, "events", path)
    scans = [_scan(row, f"{path}.events[{place}]") for place, row in enumerate(rows)]
    return oldest_first(reversed(scans))


def _scan(row: dict[str, Any], path: str) -> Scan:
    return Scan(
        time=_time(row, path),
        code=text_at(row, "sub_status", path) or text_at(row, "stage", path),
        text=text_at(row, "description", path),
        location=text_at(row, "location", path) or _place(dict_at(row, "address", path), path),
    )


def _time(row: dict[str, Any], path: str) -> Moment | None:
    """The carrier's own clock first (time_iso, time_raw); time_utc only where there is nothing else."""
    return moment_at(row, "time_iso", path) or _raw_time(row, path) or moment_at(row, "time_utc", path)


def _raw_time(row: dict[str, Any], path: str) -> Moment | None:
    """time_raw: {date, time, timezone}, each of which may be null."""
    raw = dict_at(row, "time_raw", path)
    day, clock = text_at(raw, "date", path), text_at(raw, "time", path)
    if not (day and clock):
        return None
    return moment(f"{day}T{clock}{text_at(raw, 'timezone', path)}", path=f"{path}.time_raw")


def _place(address: dict[str, Any], path: str) -> str:
    parts = (text_at(address, key, path) for key in ("city", "state", "country"))
    return ", ".join(part for part in parts if part)


# ---------------------------------------------------------------- the summary


def _summary(info: dict[str, Any], waybill: str, path: str) -> Summary:
    misc, shipping = dict_at(info, "misc_info", path), dict_at(info, "shipping_info", path)
    estimate = dict_at(dict_at(info, "time_metrics", path), "estimated_delivery_date", path)
    successor = text_at(misc, "local_number", path)
    return Summary(
        status=_status(info, path),
        expected_from=moment_or_none(text_at(estimate, "from", path)),
        expected_to=moment_or_none(text_at(estimate, "to", path)),
        weight_g=_grams(text_at(misc, "weight_kg", path)),
        service=text_at(misc, "service_type", path),
        origin=_place(dict_at(shipping, "shipper_address", path), path),
        destination=_place(dict_at(shipping, "recipient_address", path), path),
        successor="" if successor == waybill else successor,
    )


def _status(info: dict[str, Any], path: str) -> Scan | None:
    """latest_status, at the time and in the words of latest_event, which it was read from."""
    latest, event = dict_at(info, "latest_status", path), dict_at(info, "latest_event", path)
    code = text_at(latest, "sub_status", path) or text_at(latest, "status", path)
    if not code:
        return None
    told = _scan(event, f"{path}.latest_event")
    return Scan(
        time=told.time,
        code=code,
        text=text_at(latest, "sub_status_descr", path) or told.text,
        location=told.location,
    )


def _grams(kilograms: str) -> int | None:
    try:
        return max(0, round(float(kilograms) * 1000)) or None
    except (ValueError, OverflowError):
        return None


carrier = Carrier(
    slug="seventeentrack",
    name="17TRACK",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.17track.net",
    aggregator=True,
    carriers=CARRIERS,
    batch=BATCH,
    fetch=fetch,
    verify=verify,
    subscribe=subscribe,
    unsubscribe=unsubscribe,
    acknowledge=acknowledge,
    rate=3.0,
    full_history=True,
    credentials=(Credential("token", "security key of the 17TRACK account; it signs the pushes too"),),
)
