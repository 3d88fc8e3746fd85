"""UPS: Track v1 by query, and the pushes of Track Alert."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
    Moment,
    ParseError,
    Problem,
    ProblemKind,
    Reply,
    Report,
    Scan,
    Summary,
    dict_at,
    list_at,
    moment,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
    token_of,
)
from carriers.ups.codes import MILESTONES

DOCS = "https://developer.ups.com/tag/Tracking"
BATCH_OF_ALERTS = 100
# https://developer.ups.com/api/reference/tracking/errors and the table in the Track Alert specification.
PROBLEMS = {
    "TW0001": ProblemKind.NOT_FOUND,
    "TV1002": ProblemKind.INVALID,  # invalid inquiry number
    "UJ0001": ProblemKind.REFUSED,  # invalid token, or none
    "250002": ProblemKind.REFUSED,  # invalid authentication information
    "250003": ProblemKind.REFUSED,  # invalid access licence
    "10429": ProblemKind.LIMITED,  # too many requests
}
GRAMS = {"LBS": 453.59237, "KGS": 1000.0}
_OFFSET = re.compile(r"([+-])(\d{1,2})[:.]?(\d{2})")  # -05:00 in Track, -04.00 in Track Alert


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number: UPS takes one at a time."""
    return [await _track(http, ask.number) for ask in asks]


async def _track(http: Http, number: str) -> Reply:
    params = [("locale", "en_US"), ("returnSignature", "false"), ("returnMilestones", "false"), ("returnPOD", "false")]
    url = f"/api/track/v1/details/{quote(number, safe='')}"
    return await http.request("GET", url, headers=await _headers(http, number), params=params)


async def _headers(http: Http, subject: str) -> dict[str, str]:
    token = await http.token("oauth", _obtain_token)
    transaction = f"{subject}-{int(http.now() * 1000)}"
    return {"Authorization": f"Bearer {token}", "transId": transaction, "transactionSrc": "milepost"}


async def _obtain_token(http: Http) -> tuple[str, float]:
    """A fresh bearer and its life in seconds."""
    pair = f"{http.credentials['client_id']}:{http.credentials['client_secret']}".encode()
    headers = {
        "Authorization": f"Basic {base64.b64encode(pair).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    grant = b"grant_type=client_credentials"
    reply = await http.request("POST", "/security/v1/oauth/token", headers=headers, data=grant)
    return token_of(reply, life_s=3600)


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> Mapping[str, str]:
    """Have Track Alert push to `callback` for the next 14 days; the refusals by number."""
    refused: dict[str, str] = {}
    for start in range(0, len(asks), BATCH_OF_ALERTS):
        refused |= await _subscribe(http, [ask.number for ask in asks[start : start + BATCH_OF_ALERTS]], callback)
    return refused


async def _subscribe(http: Http, numbers: list[str], callback: str) -> dict[str, str]:
    credential = http.credentials.get("webhook_secret") or "milepost"  # required; the address holds the secret
    wanted = {
        "locale": "en_US",
        "countryCode": "US",
        "trackingNumberList": numbers,
        "destination": {"url": callback, "credentialType": "Bearer", "credential": credential},
    }
    headers = await _headers(http, numbers[0]) | {"Content-Type": "application/json"}
    url = "/api/track/v1/subscription/standard/package"
    reply = await http.request("POST", url, headers=headers, data=json.dumps(wanted).encode())
    answer = object_of(read_json(reply.body), "$")
    if errors := _errors(answer):
        return dict.fromkeys(numbers, _problem(errors[0]).text)
    return {str(number): "not taken by Track Alert" for number in list_at(answer, "invalidTrackingNumbers", "$")}


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A Track answer, an error, or a Track Alert push."""
    root = object_of(read_json(body), "$")
    if "trackResponse" in root:
        return _answer(dict_at(root, "trackResponse", "$"), "$.trackResponse")
    if errors := _errors(root):
        return [Report(waybill="", problem=_problem(errors[0]))]
    if "trackingNumber" in root and "activityStatus" in root:
        return [_alert(root)]
    raise ParseError("$", "neither trackResponse, errors nor the activityStatus of a trackingNumber")


def _errors(root: dict[str, Any]) -> list[dict[str, Any]]:
    """The errors, which stand inside `response` or, from the gateway, bare."""
    return rows_at(dict_at(root, "response", "$"), "errors", "$.response") or rows_at(root, "errors", "$")


def _problem(error: dict[str, Any]) -> Problem:
    code, words = text_at(error, "code", "$.errors"), text_at(error, "message", "$.errors")
    return Problem(PROBLEMS.get(code, ProblemKind.UNAVAILABLE), f"{code}: {words}")


def _answer(answer: dict[str, Any], path: str) -> list[Report]:
    shipments = rows_at(answer, "shipment", path)
    reports = [one for place, row in enumerate(shipments) for one in _shipment(row, f"{path}.shipment[{place}]")]
    return reports or [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no shipment"))]


def _shipment(row: dict[str, Any], path: str) -> list[Report]:
    """A report for each package. A lone one is what was asked for, under whichever number."""
    inquiry, packages = text_at(row, "inquiryNumber", path), rows_at(row, "package", path)
    if not packages:
        warnings = rows_at(row, "warnings", path)
        problem = _problem(warnings[0]) if warnings else Problem(ProblemKind.NOT_FOUND, "no package")
        return [Report(waybill=inquiry, problem=problem)]
    numbers = [text_at(package, "trackingNumber", path) for package in packages]
    if len(packages) == 1:
        return [_package(packages[0], inquiry or numbers[0], (), f"{path}.package[0]")]
    pieces = tuple(filter(None, numbers))
    return [
        _package(package, number, pieces, f"{path}.package[{place}]")
        for place, (package, number) in enumerate(zip(packages, numbers, strict=True))
    ]


def _package(row: dict[str, Any], waybill: str, pieces: tuple[str, ...], path: str) -> Report:
    if not waybill:
        raise ParseError(f"{path}.trackingNumber", "missing")
    rows = rows_at(row, "activity", path)
    scans = [_activity(one, f"{path}.activity[{place}]") for place, one in enumerate(rows)]
    history = oldest_first(reversed(scans))  # the newest comes first, also within a second
    return Report(waybill=waybill, scans=history, full=bool(history), summary=_summary(row, history, pieces, path))


def _activity(row: dict[str, Any], path: str) -> Scan:
    address = dict_at(dict_at(row, "location", path), "address", path)
    return _scan(dict_at(row, "status", path), address, _time(row, "date", "time", "gmt", path), path)


def _alert(row: dict[str, Any]) -> Report:
    """The one event of a push; Track Alert tells no history."""
    waybill = text_at(row, "trackingNumber", "$")
    if not waybill:
        raise ParseError("$.trackingNumber", "missing")
    time = _time(row, "localActivityDate", "localActivityTime", "gmtActivity", "$")
    scan = _scan(dict_at(row, "activityStatus", "$"), dict_at(row, "activityLocation", "$"), time, "$")
    times = [text_at(row, key, "$") for key in ("deliveryStartTime", "deliveryEndTime")]
    begins, by = _window(text_at(row, "scheduledDeliveryDate", "$"), *times)
    summary = Summary(expected_from=begins, expected_to=by, signed_by=text_at(row, "receivedBy", "$"))
    return Report(waybill=waybill, scans=(scan,) if scan.code or scan.text else (), summary=summary)


def _scan(status: dict[str, Any], address: dict[str, Any], time: Moment | None, path: str) -> Scan:
    text = text_at(status, "description", path) or text_at(status, "simplifiedTextDescription", path)
    return Scan(time=time, code=_code(status, path), text=text, location=_place(address, path))


def _code(status: dict[str, Any], path: str) -> str:
    return "/".join(filter(None, (text_at(status, "type", path), text_at(status, "code", path))))


def _place(address: dict[str, Any], path: str) -> str:
    """City, state and country: no street, which may be a recipient's."""
    country = text_at(address, "countryCode", path) or text_at(address, "country", path)
    return ", ".join(filter(None, (text_at(address, "city", path), text_at(address, "stateProvince", path), country)))


# ---------------------------------------------------------------- times


def _time(row: dict[str, Any], date: str, time: str, gmt: str, path: str) -> Moment | None:
    """The local reading, with its offset where UPS gives one."""
    local = _reading(text_at(row, date, path), text_at(row, time, path))
    if not local:
        return None
    read = moment(local, path=f"{path}.{date}")
    offset = _offset(row, read, gmt, path)
    return moment(local + offset, path=f"{path}.{date}") if offset else read


def _offset(row: dict[str, Any], read: Moment, gmt: str, path: str) -> str:
    """`+HH:MM` as in gmtOffset; else what parts the reading from the same instant in GMT, if a clock can have that."""
    if written := _OFFSET.fullmatch(text_at(row, "gmtOffset", path)):
        return f"{written[1]}{written[2]:>02}:{written[3]}"
    there = moment_or_none(_reading(text_at(row, f"{gmt}Date", path), text_at(row, f"{gmt}Time", path)))
    minutes = (read.wall - there.wall) // 60 if there else 1
    if minutes % 15 or not -12 * 60 <= minutes <= 14 * 60:
        return ""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _reading(date: str, time: str) -> str:
    """YYYYMMDD and HHMMSS (a leading zero may lack) as ISO 8601; "" without a date, midnight without a time."""
    clock = time.zfill(6)
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}" if date else ""


def _window(date: str, start: str, end: str) -> tuple[Moment | None, Moment | None]:
    begins = moment_or_none(_reading(date, start)) if start else None
    return begins, moment_or_none(_reading(date, end)) or moment_or_none(_reading(date, ""))


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], scans: tuple[Scan, ...], pieces: tuple[str, ...], path: str) -> Summary:
    begins, by = _expected(row, path)
    return Summary(
        status=_status(row, scans, path),
        expected_from=begins,
        expected_to=by,
        signed_by=text_at(dict_at(row, "deliveryInformation", path), "receivedBy", path),
        weight_g=_weight(dict_at(row, "weight", path), path),
        service=text_at(dict_at(row, "service", path), "description", path),
        origin=_end(row, "ORIGIN", path),
        destination=_end(row, "DESTINATION", path),
        successor=_successor(row, path),
        pieces=pieces,
    )


def _status(row: dict[str, Any], scans: tuple[Scan, ...], path: str) -> Scan | None:
    """currentStatus, which has no time of its own: it repeats the newest activity, or stands at its time."""
    status = dict_at(row, "currentStatus", path)
    code, text = _code(status, path), text_at(status, "description", path)
    newest = scans[-1] if scans else None
    if newest and (code == newest.code or text == newest.text):
        return newest
    return Scan(time=newest.time if newest else None, code=code, text=text) if code or text else None


def _expected(row: dict[str, Any], path: str) -> tuple[Moment | None, Moment | None]:
    """The rescheduled day, else the scheduled one, with the window if one is known."""
    dates = {text_at(one, "type", path): text_at(one, "date", path) for one in rows_at(row, "deliveryDate", path)}
    time = dict_at(row, "deliveryTime", path)
    if text_at(time, "type", path) == "DEL":  # the time of the delivery, not of an expected one
        time = {}
    ends = (text_at(time, "startTime", path), text_at(time, "endTime", path))
    return _window(dates.get("RDD") or dates.get("SDD") or "", *ends)


def _weight(weight: dict[str, Any], path: str) -> int | None:
    grams = GRAMS.get(text_at(weight, "unitOfMeasurement", path).upper(), 0.0)
    try:
        return max(0, round(float(text_at(weight, "weight", path)) * grams)) or None
    except (ValueError, OverflowError):
        return None


def _end(row: dict[str, Any], kind: str, path: str) -> str:
    addresses = rows_at(row, "packageAddress", path)
    found = next((one for one in addresses if text_at(one, "type", path) == kind), {})
    return _place(dict_at(found, "address", path), path)


def _successor(row: dict[str, Any], path: str) -> str:
    """The post office's number where it delivers the last mile (type USPS_PIC)."""
    others = rows_at(row, "alternateTrackingNumber", path)
    return next((text_at(one, "number", path) for one in others if "USPS" in text_at(one, "type", path)), "")


carrier = Carrier(
    slug="ups",
    name="UPS",
    name_zh="联合包裹",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://onlinetools.ups.com",
    sandbox="https://wwwcie.ups.com",
    numbers=(r"1Z[0-9A-Z]{16}", r"T\d{10}", r"[89]\d{8}", r"\d{26}"),  # parcels, freight and letters, Mail Innovations
    batch=1,
    fetch=fetch,
    subscribe=subscribe,
    full_history=True,
    credentials=(
        Credential("client_id", "client ID of the app in the UPS developer portal", secret=False),
        Credential("client_secret", "client secret of the same app"),
        Credential("webhook_secret", "sent to UPS as the credential of Track Alert subscriptions", required=False),
    ),
)
