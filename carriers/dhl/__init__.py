"""DHL Shipment Tracking – Unified: Express, Paket, eCommerce, Freight and Forwarding behind one key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
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
    R,
    Reply,
    Report,
    Scan,
    Summary,
    coarse,
    dict_at,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://developer.dhl.com/api-reference/shipment-tracking"

# statusCode: five words for everything, so what stands beside one wins over it. `unknown` stands in no table.
# https://developer.dhl.com/api-reference/shipment-tracking#reference-docs-section
STATUS_CODES: dict[str, Meaning] = {
    "pre-transit": coarse(M.INFO_RECEIVED),
    "transit": coarse(M.IN_TRANSIT),
    "delivered": M.DELIVERED,
    "failure": coarse(M.EXCEPTION, R.OTHER),
}
# `status` where it is a token: DHL eCommerce (parcel-nl and its neighbours). The rest of DHL writes sentences there.
TOKENS: dict[str, Meaning] = {
    "DATA_RECEIVED": M.INFO_RECEIVED,
    "DATA_RECEIVED_WITH_PREFIX_LABEL": M.INFO_RECEIVED,
    "PRENOTIFICATION_RECEIVED": M.INFO_RECEIVED,
    "PARCEL_PICKED_UP_AT_PARCELSHOP": M.PICKED_UP,  # where the sender left it
    "PARCEL_SORTED_AT_HUB": M.HUB_ARRIVED,
    "SCAN_OK_GATEWAY": M.HUB_ARRIVED,
    "DEPART_FACILITY": M.HUB_DEPARTED,
    "GATEWAY_DEPARTED": M.HUB_DEPARTED,
    "CUSTOMS": M.CUSTOMS_ENTERED,
    "UNDERWAY": M.IN_TRANSIT,
    "DELIVERY_PLANNED_IN_ROUTE": M.IN_TRANSIT,
    "NEW_DELIVERY_ATTEMPT": M.IN_TRANSIT,
    "INFORMATION_ON_DELIVERY_TRANSMITTED": None,  # a notice to the recipient
    "ARRIVED_AT_DELIVERY_FACILITY": M.AT_DELIVERY_DEPOT,
    "PARCEL_ARRIVED_AT_LOCAL_DEPOT": M.AT_DELIVERY_DEPOT,
    "PARCEL_SCANNED_INTO_HAND-TERMINAL": M.AT_DELIVERY_DEPOT,  # by the courier, before the round
    "LOAD_VEHICLE": M.OUT_FOR_DELIVERY,
    "OUT_FOR_DELIVERY": M.OUT_FOR_DELIVERY,
    "PARCEL_HANDED_OVER_TO_COURIER": M.OUT_FOR_DELIVERY,
    "NOT_HOME": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "NOT_HOME_SYSTEM_INTERVENTION_DELIVERY_AT_PARCELSHOP": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "AWAITING_RECEIVER_COLLECTION": M.AVAILABLE_FOR_PICKUP,
    "CLOSED_AWAITING_COLLECTION": M.AVAILABLE_FOR_PICKUP,
    "DELIVERED_AT_ACCESSPOINT": M.AVAILABLE_FOR_PICKUP,
    "DELIVERED_AT_PARCELSHOP": M.AVAILABLE_FOR_PICKUP,
    "DELIVERED_AT_PARCELSTATION": M.AVAILABLE_FOR_PICKUP,
    "ON_HOLD_FOR_COLLECTION": M.AVAILABLE_FOR_PICKUP,
    "PARCEL_HELD_FOR_COLLECTION_AT_LOCAL_DEPOT": M.AVAILABLE_FOR_PICKUP,
    "REMINDER_FOR_COLLECTION_SENT_EMAIL": None,  # a notice to the recipient; the parcel waits as before
    "REMINDER_FOR_COLLECTION_SENT_LETTER": None,
    "REMINDER_FOR_COLLECTION_SENT_SMS": None,
    "COLLECTED_AT_ACCESSPOINT": M.DELIVERED,
    "COLLECTED_AT_PARCELSHOP": M.DELIVERED,
    "COLLECTED_AT_PARCELSTATION": M.DELIVERED,
    "DELIVERED": M.DELIVERED,
    "DELIVERED_AT_NEIGHBOURS": M.DELIVERED,
    "DELIVERED_AT_PREFERED_NEIGHBOURS": M.DELIVERED,  # DHL's spelling
    "DELIVERED_AT_SAFEPLACE": M.DELIVERED,
    "DELIVERED_IN_MAILBOX": M.DELIVERED,
    "DELIVERED_NOT_IN_TIME": M.DELIVERED,
    "DELIVERED_NO_CODE_VALIDATION": M.DELIVERED,
    "DELIVERED_DAMAGED": (M.DELIVERED, R.DAMAGED),
    "TRANSPORT_DELAY": M.DELAYED,
    "ADDRESS_UNKNOWN": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "POSTAL_CODE_INCORRECT": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "REFUSED_AT_PARCELSHOP": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "REFUSED_BY_RECEIVER": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "SHIPMENT_STOPPED": (M.EXCEPTION, R.ON_HOLD),
    "DESTROYED": (M.EXCEPTION, R.DISPOSED),
    "STORAGE_PERIOD_ENDED_AT_ACCESSPOINT": (M.EXCEPTION, R.MISSED_PICKUP),
    "STORAGE_PERIOD_ENDED_AT_PARCELSHOP": (M.EXCEPTION, R.MISSED_PICKUP),
    "STORAGE_PERIOD_ENDED_AT_PARCELSTATION": (M.EXCEPTION, R.MISSED_PICKUP),
    "CUSTOMS_DATA_INCORRECT_RETURN_TO_SHIPPER": (M.RETURNING, R.CUSTOMS),
    "DAMAGE_RETURN": (M.RETURNING, R.DAMAGED),
    "MISROUTED_RETURN_TO_SHIPPER": (M.RETURNING, R.MISSORTED),
    "NOT_HOME_RETURN_TO_SHIPPER": (M.RETURNING, R.RECIPIENT_ABSENT),
    "REFUSED_NOT_COLLECTED": (M.RETURNING, R.MISSED_PICKUP),
    "REFUSED_RETURN": (M.RETURNING, R.RECIPIENT_REFUSED),
    "RETURNED_NOT_COLLECTED": (M.RETURNING, R.MISSED_PICKUP),
    "ON_ROUTE_TO_SHIPPER": M.RETURNING,
    "PARCEL_RELABELED_FOR_RETURN_TO_SHIPPER": M.RETURNING,
    "PARCEL_SCANNED_AT_RETURN_HUB": M.RETURNING,
    "PARCEL_SCANNED_FOR_RETURN_TO_HUB": M.RETURNING,
    "DELIVERED_AT_SHIPPER": M.RETURNED,
    "PARCEL_ALREADY_RETURNED": M.RETURNED,
    "POSTPROCESS_DELIVERED_AT_SHIPPER": M.RETURNED,
    "RETURNED_TO_SHIPPER": M.RETURNED,
}
# DHL gives one token now under `transit`, now under `failure`: the token decides. Not under `pre-transit`, which it can
# only contradict: there the words judge.
UNDER = ("transit", "delivered", "failure", "unknown")
MILESTONES: dict[str, Meaning] = (
    STATUS_CODES | TOKENS | {f"{code}/{token}": meaning for code in UNDER for token, meaning in TOKENS.items()}
)
PROBLEMS = {
    "400": ProblemKind.INVALID,
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "404": ProblemKind.NOT_FOUND,
    "429": ProblemKind.LIMITED,
}
GRAMS = {"kg": 1000.0, "kgm": 1000.0, "g": 1.0, "grm": 1.0, "lb": 453.59237, "lbs": 453.59237, "lbr": 453.59237}
_TOKEN = re.compile(r"[A-Z][A-Z0-9]*(?:[_/-][A-Z0-9]+)*")
_SIGNED = re.compile(r"(.*?signed for by)\b[\s:]*(.*)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"[A-Z][A-Z.'-]*(?: [A-Z][A-Z.'-]*){0,2}")


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number: DHL takes one at a time."""
    return [await _track(http, ask) for ask in asks]


async def _track(http: Http, ask: Ask) -> Reply:
    params = [("trackingNumber", ask.number), ("language", "en")]
    if ask.postal_code:  # DHL eCommerce tells more to those who know it
        params.append(("recipientPostalCode", ask.postal_code))
    headers = {"DHL-API-Key": http.credentials["api_key"], "Accept": "application/json"}
    return await http.request("GET", "/track/shipments", headers=headers, params=params)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A query's answer, its problem JSON, or a push of the same shipments."""
    root = object_of(read_json(body), "$")
    if "shipments" in root:
        paged = bool(text_at(root, "nextUrl", "$"))
        rows = rows_at(root, "shipments", "$")
        if not rows:
            return [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no shipments"))]
        return _newest_of_each([_report(row, f"$.shipments[{place}]", paged) for place, row in enumerate(rows)])
    if "title" in root or "detail" in root:
        return [_refusal(root)]
    if "id" in root and ("events" in root or "status" in root):
        return [_report(root, "$", True)]
    raise ParseError("$", "neither shipments nor a problem (title, status, detail)")


def _refusal(root: dict[str, Any]) -> Report:
    """DHL's problem JSON; a 404 names its number in `instance` (/shipment/8264715546)."""
    status = text_at(root, "status", "$")
    words = text_at(root, "detail", "$") or text_at(root, "title", "$")
    number = text_at(root, "instance", "$").rpartition("/")[2]
    return Report(waybill=number, problem=Problem(PROBLEMS.get(status, ProblemKind.UNAVAILABLE), f"{status}: {words}"))


def _newest_of_each(reports: list[Report]) -> list[Report]:
    """One report per number: a number that two of DHL's services know is followed where it moved last."""
    kept: dict[str, Report] = {}
    for report in reports:
        if report.waybill not in kept or _newest(report) > _newest(kept[report.waybill]):
            kept[report.waybill] = report
    return list(kept.values())


def _newest(report: Report) -> int:
    status = report.summary.status if report.summary else None
    times = [scan.time for scan in (*report.scans, status) if scan and scan.time]
    return max((time.instant for time in times), default=-1)


def _report(row: dict[str, Any], path: str, partial: bool) -> Report:
    waybill = text_at(row, "id", path)
    if not waybill:
        raise ParseError(f"{path}.id", "missing")
    events = [_scan(event, f"{path}.events[{place}]") for place, event in enumerate(rows_at(row, "events", path))]
    scans = oldest_first(scan for scan, _ in reversed(events))  # the newest comes first, also within a second
    summary = _summary(row, path, next((signer for _, signer in events if signer), ""))
    return Report(waybill=waybill, scans=scans, full=bool(scans) and not partial, summary=summary)


def _scan(row: dict[str, Any], path: str) -> tuple[Scan, str]:
    """An event (or the status, which has its shape), and the signer's name if its words held one."""
    status, words = text_at(row, "status", path), text_at(row, "description", path)
    signer = ""
    if words and (status == "DELIVERED" or "igned" in words):
        words, signer = _without_signer(status, words)
    if remark := text_at(row, "remark", path):
        words = f"{words}. {remark}" if words and words != remark else remark
    scan = Scan(
        time=moment_at(row, "timestamp", path),
        code=_code(text_at(row, "statusCode", path), status),
        text=words or status,
        location=_place(dict_at(row, "location", path), path) if "location" in row else "",
    )
    return scan, signer


@lru_cache(maxsize=1024)  # the same few pairs in every body
def _code(code: str, status: str) -> str:
    """The path statusCode/status where status is a token; else the statusCode alone: a sentence is words."""
    if not _TOKEN.fullmatch(status):
        return code
    return f"{code}/{status}" if code else status


def _without_signer(status: str, words: str) -> tuple[str, str]:
    """The words of an event without the signer's name, and that name."""
    if status == "DELIVERED" and _NAME.fullmatch(words) and "DELIVER" not in words:
        return "", words  # DHL Express puts the bare name there
    signed = _SIGNED.fullmatch(words)
    return (signed[1], signed[2].strip()) if signed else (words, "")


def _place(location: dict[str, Any], path: str) -> str:
    address = dict_at(location, "address", path)
    parts = (text_at(address, "addressLocality", path), text_at(address, "countryCode", path))
    return ", ".join(filter(None, parts))


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], path: str, signer: str) -> Summary:
    status = dict_at(row, "status", path)
    told, named = _scan(status, f"{path}.status") if status else (None, "")
    details = dict_at(row, "details", path)
    expected_from, expected_to = _expected(row, path)
    return Summary(
        status=told,
        expected_from=expected_from,
        expected_to=expected_to,
        signed_by=_signed_by(details, path) or named or signer,
        weight_g=_weight(details, path),
        service=text_at(dict_at(details, "product", path), "productName", path) or text_at(row, "service", path),
        origin=_place(dict_at(row, "origin", path), path),
        destination=_place(dict_at(row, "destination", path), path),
        pieces=_pieces(details, path),
    )


def _expected(row: dict[str, Any], path: str) -> tuple[Moment | None, Moment | None]:
    frame = dict_at(row, "estimatedDeliveryTimeFrame", path)
    begins, ends = (moment_or_none(text_at(frame, key, path)) for key in ("estimatedFrom", "estimatedThrough"))
    if begins or ends:
        return begins, ends
    return None, moment_or_none(text_at(row, "estimatedTimeOfDelivery", path))


def _signed_by(details: dict[str, Any], path: str) -> str:
    signed = dict_at(dict_at(details, "proofOfDelivery", path), "signed", path)
    given = (text_at(signed, key, path) for key in ("givenName", "familyName"))
    return text_at(signed, "name", path) or " ".join(filter(None, given)) or text_at(signed, "organizationName", path)


def _weight(details: dict[str, Any], path: str) -> int | None:
    weight = dict_at(details, "weight", path)
    grams = GRAMS.get(text_at(weight, "unitText", path).lower())
    try:
        return max(0, round(float(text_at(weight, "value", path)) * (grams or 0))) or None
    except (ValueError, OverflowError):
        return None


def _pieces(details: dict[str, Any], path: str) -> tuple[str, ...]:
    pieces = details.get("pieceIds")
    return tuple(str(piece) for piece in pieces if type(piece) in (str, int)) if isinstance(pieces, list) else ()


carrier = Carrier(
    slug="dhl",
    name="DHL",
    name_zh="敦豪",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api-eu.dhl.com",
    sandbox="https://api-test.dhl.com",
    # Express air waybill, piece numbers, Paket, eCommerce.
    numbers=(r"\d{10,11}", r"J[A-Z]{1,2}D?\d{10,22}", r"00340\d{15}", r"3S[A-Z]{3,5}\d{8,12}", r"GM[0-9A-Z]{10,39}"),
    batch=1,
    fetch=fetch,
    rate=0.2,  # new keys: one call in five seconds, 250 a day
    full_history=True,
    credentials=(Credential("api_key", "consumer key of an app in the DHL developer portal (DHL-API-Key)"),),
)
