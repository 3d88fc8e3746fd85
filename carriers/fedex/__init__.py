"""FedEx Track v1: queries by OAuth, and the pushes of Advanced Integrated Visibility."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

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
    dict_at,
    hmac_sha256,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
    token_of,
)

DOCS = "https://developer.fedex.com/api/en-us/catalog/track/v1/docs.html"
BATCH = 30

# https://developer.fedex.com/api/en-us/guides/api-reference.html#trackingstatuscodes, and the Track Service WSDL guide.
EVENT_TYPES: dict[str, Meaning] = {
    "OC": M.INFO_RECEIVED,  # order created: shipment information sent to FedEx
    "IN": M.INFO_RECEIVED,  # initiated
    "MD": M.INFO_RECEIVED,  # manifest data
    "OX": M.INFO_RECEIVED,  # shipment information sent to USPS
    "EP": M.INFO_RECEIVED,  # en route to pickup: nothing is handed over yet
    "PU": M.PICKED_UP,
    "PX": M.PICKED_UP,  # picked up, see details
    "AP": M.PICKED_UP,  # at pickup
    "OF": coarse(M.PICKED_UP),  # at FedEx origin facility: dropped off there, or brought there
    "AA": M.HUB_ARRIVED,  # at airport
    "AC": coarse(M.HUB_ARRIVED),  # at Canada Post facility
    "AX": coarse(M.HUB_ARRIVED),  # at USPS facility
    "AF": coarse(M.HUB_ARRIVED),  # at FedEx facility: a hub, or the local one
    "AR": coarse(M.HUB_ARRIVED),  # arrived: "at FedEx hub", but also "at local FedEx facility"
    "SF": M.HUB_ARRIVED,  # at sort facility
    "DP": M.HUB_DEPARTED,
    "LO": M.HUB_DEPARTED,  # left origin
    "IT": coarse(M.IN_TRANSIT),  # in transit: the text may name a facility or a partner
    "IX": coarse(M.IN_TRANSIT),  # in transit, see details
    "EA": coarse(M.IN_TRANSIT),  # en route to airport; export approved, in other tables
    "EO": M.IN_TRANSIT,  # en route to origin airport
    "PF": M.IN_TRANSIT,  # plane in flight
    "PL": coarse(M.IN_TRANSIT),  # plane landed
    "PM": M.IN_TRANSIT,  # in progress
    "TR": coarse(M.IN_TRANSIT),  # transfer: inside FedEx, or to a partner
    "CP": coarse(M.CUSTOMS_ENTERED),  # clearance in progress
    "CC": M.CUSTOMS_CLEARED,
    "CD": coarse(M.EXCEPTION, R.CUSTOMS),  # clearance delay: the description says whether papers are missing
    "FD": M.AT_DELIVERY_DEPOT,  # at FedEx destination facility
    "OD": M.OUT_FOR_DELIVERY,
    "ED": M.OUT_FOR_DELIVERY,  # en route to delivery
    "AD": M.OUT_FOR_DELIVERY,  # at delivery
    "HL": M.AVAILABLE_FOR_PICKUP,  # held at a location for the recipient
    "HP": M.AVAILABLE_FOR_PICKUP,  # ready for recipient pickup
    "DL": M.DELIVERED,
    "DE": coarse(M.EXCEPTION, R.OTHER),  # delivery exception: the exception code says which
    "SE": coarse(M.EXCEPTION, R.OTHER),  # shipment exception
    "DY": coarse(M.DELAYED),
    "DD": coarse(M.DELAYED),  # delivery delay
    "PD": coarse(M.EXCEPTION, R.PICKUP_FAILED),  # pickup delay
    "PY": coarse(M.DELAYED),
    "RS": M.RETURNING,  # return to shipper
    "RT": M.RETURNING,
    "CA": M.CANCELLED,
    "AO": None,  # shipment arriving on time
    "AE": None,  # shipment arriving early
    "CH": None,  # location changed
    "DR": None,  # vehicle furnished but not used
    "DS": None,  # vehicle dispatched
    "RR": None,  # delivery option requested
    "RM": None,  # delivery option changed
    "RC": None,  # delivery option cancelled
    "RP": None,  # return label sent to the returning sender
    "LP": None,  # return label cancelled
    "RG": None,  # return label about to expire
    "RD": None,  # return label expired
    "SP": None,  # split status: the pieces stand in different places
}
# Why a delivery (DE) or a shipment (SE) went wrong. Codes that say less than the words beside them are left out.
EXCEPTIONS: dict[str, Meaning] = {
    "03": (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM),  # incorrect address
    "07": (M.EXCEPTION, R.RECIPIENT_REFUSED),  # refused by the recipient: a return is another scan
    "08": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),  # customer not available or business closed
    "12": (M.EXCEPTION, R.MISSORTED),  # sorted to the wrong route
    "15": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),  # customer not available or business closed
    "17": (M.DELAYED, R.ON_HOLD),  # the customer asked for a later day
    "30": (M.DELIVERY_FAILED, R.CLOSED),  # tried after closing time
    "42": (M.DELAYED, R.HOLIDAY),
    "50": (M.EXCEPTION, R.CUSTOMS),  # regulatory papers missing or wrong
    "55": (M.CUSTOMS_ENTERED, R.CUSTOMS),  # held by a regulatory agency
    "93": (M.EXCEPTION, R.PAYMENT_DUE),  # unable to collect payment
    "A47": M.IN_TRANSIT,  # redirected to a FedEx location near by, where it is ready once a scan says so
}
MILESTONES: dict[str, Meaning] = EVENT_TYPES | {
    f"{event}/{code}": meaning for event in ("DE", "SE") for code, meaning in EXCEPTIONS.items()
}
# The entry of dateAndTimes that tells when a summary status came about.
DATE_OF_STATUS = {"DL": "ACTUAL_DELIVERY", "PU": "ACTUAL_PICKUP", "OC": "SHIP"}
GRAMS = {"KG": 1000.0, "LB": 453.59237, "G": 1.0, "OZ": 28.349523125}
# The last words of FedEx's error codes (TRACKING.TRACKINGNUMBER.NOTFOUND), most telling first.
PROBLEMS = (
    ("NOTFOUND", ProblemKind.NOT_FOUND),
    ("NOTUNIQUE", ProblemKind.INVALID),
    ("NOT.FOUND", ProblemKind.NOT_FOUND),
    ("UNAVAILABLE", ProblemKind.UNAVAILABLE),
    ("INTERNAL", ProblemKind.UNAVAILABLE),
    ("AUTHORIZED", ProblemKind.REFUSED),
    ("FORBIDDEN", ProblemKind.REFUSED),
    ("LIMIT", ProblemKind.LIMITED),
    ("TOO.MANY", ProblemKind.LIMITED),
    ("EMPTY", ProblemKind.INVALID),
    ("INVALID", ProblemKind.INVALID),
    ("REQUIRED", ProblemKind.INVALID),
)


# ---------------------------------------------------------------- asking


_JOURNEY_S = 21 * 86_400  # results whose newest scans lie further apart are of two lives of the number


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each thirty numbers."""
    return [await _track(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _track(http: Http, asks: Sequence[Ask]) -> Reply:
    token = await http.token("oauth", _obtain_token)
    wanted = {"includeDetailedScans": True, "trackingInfo": [_wanted(ask) for ask in asks]}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-locale": "en_US"}
    return await http.request("POST", "/track/v1/trackingnumbers", headers=headers, data=json.dumps(wanted).encode())


def _wanted(ask: Ask) -> dict[str, Any]:
    wanted: dict[str, Any] = {"trackingNumberInfo": {"trackingNumber": ask.number}}
    if ask.ship_date:  # narrows a number that was used before; labels are made days before and after the day given
        day = date.fromisoformat(ask.ship_date)
        wanted["shipDateBegin"] = (day - timedelta(days=7)).isoformat()
        wanted["shipDateEnd"] = (day + timedelta(days=21)).isoformat()
    return wanted


async def _obtain_token(http: Http) -> tuple[str, float]:
    """A fresh bearer and its life in seconds (an hour)."""
    fields = {
        "grant_type": "client_credentials",
        "client_id": http.credentials["client_id"],
        "client_secret": http.credentials["client_secret"],
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await http.request("POST", "/oauth/token", headers=headers, data=urlencode(fields).encode())
    return token_of(reply, life_s=3600)


_base64_signature = hmac_sha256("fdx-signature")
_hex_signature = hmac_sha256("fdx-signature", encoding="hex")


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """fdx-signature: HMAC-SHA256 of the raw body; FedEx's page says base64 here and hex there, so both count."""
    return _base64_signature(push, credentials) or _hex_signature(push, credentials)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A Track answer, or a push: the same shape, with or without its envelope."""
    root = object_of(read_json(body), "$")
    output, errors = dict_at(root, "output", "$"), rows_at(root, "errors", "$")
    if errors and "completeTrackResults" not in output:
        return [Report(waybill="", problem=_problem_of(errors[0]))]
    if "output" in root:
        return _reports(output, "$.output", full=True)
    if "completeTrackResults" in root:
        return _reports(root, "$", full=False)
    if "trackResults" in root or "trackingNumberInfo" in root:
        rows = rows_at(root, "trackResults", "$") if "trackResults" in root else [root]
        return [_report(text_at(root, "trackingNumber", "$"), rows, "$.trackResults", full=False)]
    raise ParseError("$", "neither output, errors nor trackResults")


def _reports(output: dict[str, Any], path: str, *, full: bool) -> list[Report]:
    if "completeTrackResults" not in output:
        raise ParseError(f"{path}.completeTrackResults", "missing")
    reports = []
    for place, row in enumerate(rows_at(output, "completeTrackResults", path)):
        here = f"{path}.completeTrackResults[{place}]"
        rows = rows_at(row, "trackResults", here)
        reports.append(_report(text_at(row, "trackingNumber", here), rows, f"{here}.trackResults", full=full))
    return reports


def _report(number: str, results: list[dict[str, Any]], path: str, *, full: bool) -> Report:
    """The report of one number. Of several results the one with the newest scan speaks, with those of the same journey.

    FedEx uses numbers again after months, and splits one parcel's journey over two results when it is tendered again.
    """
    if not results:
        return Report(waybill=number, problem=Problem(ProblemKind.NOT_FOUND, "no trackResults"))
    read = [(result, _scans(result, f"{path}[{place}]"), f"{path}[{place}]") for place, result in enumerate(results)]
    result, scans, here = max(read, key=lambda one: _newest(one[1]))  # the first of equals
    waybill = number or text_at(dict_at(result, "trackingNumberInfo", here), "trackingNumber", here)
    if not waybill:
        raise ParseError(f"{here}.trackingNumberInfo.trackingNumber", "missing")
    error = dict_at(result, "error", here)
    if error and not scans:
        return Report(waybill=waybill, problem=_problem_of(error))
    scans = oldest_first(scan for _, some, _ in read if _same_journey(some, scans) for scan in some)
    # Two lives of one number can overlap: only a lone result is its whole history.
    return Report(waybill=waybill, scans=scans, full=full and len(results) == 1, summary=_summary(result, scans, here))


def _same_journey(some: Sequence[Scan], newest: Sequence[Scan]) -> bool:
    """Whether the scans lead up to the newest result's without a gap of weeks."""
    return bool(some) and _newest(newest) - _newest(some) <= _JOURNEY_S


def _newest(scans: Iterable[Scan]) -> int:
    return max((scan.time.instant for scan in scans if scan.time), default=-1)


def _problem_of(error: dict[str, Any]) -> Problem:
    code, words = text_at(error, "code", "$.error"), text_at(error, "message", "$.error")
    kind = next((kind for part, kind in PROBLEMS if part in code.upper()), ProblemKind.UNAVAILABLE)
    return Problem(kind, f"{code}: {words}" if words else code)


def _scans(result: dict[str, Any], path: str) -> tuple[Scan, ...]:
    """The scanEvents, oldest first; FedEx lists the newest first, also within a second."""
    rows = rows_at(result, "scanEvents", path)
    scans = [_scan(row, f"{path}.scanEvents[{place}]") for place, row in enumerate(rows)]
    return oldest_first(reversed(scans))


def _scan(row: dict[str, Any], path: str) -> Scan:
    code = text_at(row, "eventType", path) or text_at(row, "derivedStatusCode", path)
    exception = text_at(row, "exceptionCode", path)
    words = text_at(row, "eventDescription", path) or text_at(row, "derivedStatus", path)
    return Scan(
        time=moment_at(row, "date", path),
        code=f"{code}/{exception}" if code and exception else code,
        text=_joined(words, text_at(row, "exceptionDescription", path)),
        location=_place(dict_at(row, "scanLocation", path), path),
    )


def _joined(*parts: str) -> str:
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _place(address: dict[str, Any], path: str) -> str:
    """City, state and country: no street, which may be a recipient's."""
    return _joined(*(text_at(address, key, path) for key in ("city", "stateOrProvinceCode", "countryCode")))


# ---------------------------------------------------------------- the summary


def _summary(result: dict[str, Any], scans: tuple[Scan, ...], path: str) -> Summary:
    expected_from, expected_to = _expected(result, path)
    delivery = dict_at(result, "deliveryDetails", path)
    service = dict_at(result, "serviceDetail", path)
    return Summary(
        status=_status(result, scans, path),
        expected_from=expected_from,
        expected_to=expected_to,
        signed_by=text_at(delivery, "receivedByName", path) or text_at(delivery, "signedByName", path),
        weight_g=_weight(result, path),
        service=text_at(service, "description", path) or text_at(service, "type", path),
        origin=_end(result, "originLocation", "shipperInformation", path),
        destination=_end(result, "destinationLocation", "recipientInformation", path),
    )


def _status(result: dict[str, Any], scans: tuple[Scan, ...], path: str) -> Scan | None:
    latest = dict_at(result, "latestStatusDetail", path)
    code = text_at(latest, "code", path) or text_at(latest, "derivedCode", path)
    if not code:
        return None
    here = f"{path}.latestStatusDetail"
    why = (rows_at(latest, "ancillaryDetails", here) or [{}])[0]
    reason = text_at(why, "reason", here)
    words = text_at(latest, "description", here) or text_at(latest, "statusByLocale", here)
    told = _told(code, scans)
    return Scan(
        time=told.time if told else _status_time(code, result, scans, path),
        # Without a reason of its own it repeats its scan, and must not say less than that: DE beside DE/08.
        code=f"{code}/{reason}" if reason else told.code if told else code,
        text=_joined(words, text_at(why, "reasonDescription", here)) if reason or not told else told.text,
        location=_place(dict_at(latest, "scanLocation", here), here),
    )


def _told(code: str, scans: tuple[Scan, ...]) -> Scan | None:
    """The scan of the newest moment that the summary status repeats."""
    newest = (scan for scan in reversed(scans) if scan.time == scans[-1].time)
    return next((scan for scan in newest if scan.code.partition("/")[0] == code), None)


def _status_time(code: str, result: dict[str, Any], scans: tuple[Scan, ...], path: str) -> Moment | None:
    """When a summary status that no scan tells came about: the date of that name, else the newest scan's."""
    return _dated(result, DATE_OF_STATUS.get(code, ""), path) or (scans[-1].time if scans else None)


def _dated(result: dict[str, Any], kind: str, path: str) -> Moment | None:
    for row in rows_at(result, "dateAndTimes", path):
        if kind and text_at(row, "type", path) == kind:
            return moment_or_none(text_at(row, "dateTime", path))
    return None


def _expected(result: dict[str, Any], path: str) -> tuple[Moment | None, Moment | None]:
    window = dict_at(dict_at(result, "estimatedDeliveryTimeWindow", path), "window", path)
    begins, ends = (moment_or_none(text_at(window, key, path)) for key in ("begins", "ends"))
    if begins or ends:
        return begins, ends
    return None, _dated(result, "ESTIMATED_DELIVERY", path) or _dated(result, "APPOINTMENT_DELIVERY", path)


def _weight(result: dict[str, Any], path: str) -> int | None:
    package = dict_at(dict_at(result, "packageDetails", path), "weightAndDimensions", path)
    rows = rows_at(package, "weight", path) or rows_at(dict_at(result, "shipmentDetails", path), "weight", path)
    units = {text_at(row, "unit", path).upper(): text_at(row, "value", path) for row in rows}
    for unit, grams in GRAMS.items():
        if unit in units:
            return _grams(units[unit], grams)
    return None


def _grams(value: str, grams: float) -> int | None:
    try:
        return max(0, round(float(value) * grams)) or None
    except (ValueError, OverflowError):
        return None


def _end(result: dict[str, Any], location: str, party: str, path: str) -> str:
    """Where it starts or ends: the facility's place, else the party's."""
    facility = dict_at(dict_at(result, location, path), "locationContactAndAddress", path)
    return _place(dict_at(facility, "address", path), path) or _place(
        dict_at(dict_at(result, party, path), "address", path), path
    )


carrier = Carrier(
    slug="fedex",
    name="FedEx",
    name_zh="联邦快递",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://apis.fedex.com",
    sandbox="https://apis-sandbox.fedex.com",
    # Express 12, Ground 15, SmartPost 20, Ground 96 of 22 digits, door tags.
    numbers=(r"\d{12}", r"\d{15}", r"(?:02|61)\d{18}", r"96\d{20}", r"DT\d{12}"),
    batch=BATCH,
    fetch=fetch,
    verify=verify,
    rate=10.0,
    full_history=True,
    credentials=(
        Credential("client_id", "API key of the project in the FedEx developer portal", secret=False),
        Credential("client_secret", "secret key of that project"),
        Credential("webhook_secret", "security token of the webhook, as set in the portal", required=False),
    ),
)
