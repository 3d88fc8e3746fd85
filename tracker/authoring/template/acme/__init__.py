"""Acme: tracking by number, OAuth, signed pushes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

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
    hmac_sha256,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
    token_of,
)

DOCS = "https://developer.example.com/tracking"  # the page that lists the codes below
BATCH = 20

MILESTONES: dict[str, Meaning] = {
    "PRE": M.INFO_RECEIVED,
    "COL": M.PICKED_UP,
    "ARR": M.HUB_ARRIVED,
    "DEP": M.HUB_DEPARTED,
    "MOV": coarse(M.IN_TRANSIT),  # says so little that a matching phrase of the text wins
    "OFD": M.OUT_FOR_DELIVERY,
    "NAH": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "PUP": M.AVAILABLE_FOR_PICKUP,
    "DLV": M.DELIVERED,
    "RTS": M.RETURNING,
    "RTD": M.RETURNED,
    "LBL": None,  # label reprinted: nothing happened to the parcel
}
PROBLEMS = {
    "NOT_FOUND": ProblemKind.NOT_FOUND,
    "BAD_NUMBER": ProblemKind.INVALID,
    "FORBIDDEN": ProblemKind.REFUSED,
    "TOO_MANY": ProblemKind.LIMITED,
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each twenty numbers."""
    return [await _track(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _track(http: Http, asks: Sequence[Ask]) -> Reply:
    headers = {"Authorization": f"Bearer {await http.token('oauth', _obtain_token)}"}
    params = [("numbers", ",".join(ask.number for ask in asks))]
    return await http.request("GET", "/v1/shipments", headers=headers, params=params)


async def _obtain_token(http: Http) -> tuple[str, float]:
    """A fresh bearer and its life in seconds."""
    fields = {"grant_type": "client_credentials"} | {
        key: http.credentials[key] for key in ("client_id", "client_secret")
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await http.request("POST", "/oauth/token", headers=headers, data=urlencode(fields).encode())
    return token_of(reply, life_s=3600)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A query's answer (`shipments`: whole histories), a push (`shipment`: the news), or an error."""
    root = object_of(read_json(body), "$")
    if "error" in root:
        return [Report(waybill="", problem=_problem(object_of(root["error"], "$.error")))]
    if "shipment" in root:
        return [_report(object_of(root["shipment"], "$.shipment"), "$.shipment", full=False)]
    if "shipments" not in root:
        raise ParseError("$", "neither shipments, a shipment nor an error")
    rows = rows_at(root, "shipments", "$")
    return [_report(row, f"$.shipments[{place}]", full=True) for place, row in enumerate(rows)]


def _problem(error: dict[str, Any]) -> Problem:
    code = text_at(error, "code", "$.error")
    return Problem(PROBLEMS.get(code, ProblemKind.UNAVAILABLE), f"{code}: {text_at(error, 'message', '$.error')}")


def _report(row: dict[str, Any], path: str, *, full: bool) -> Report:
    waybill = text_at(row, "number", path)
    if not waybill:
        raise ParseError(f"{path}.number", "missing")
    scans = [_scan(event, f"{path}.events[{place}]") for place, event in enumerate(rows_at(row, "events", path))]
    summary = Summary(
        expected_to=moment_at(row, "expected", path),
        signed_by=text_at(row, "signed_by", path),
        service=text_at(row, "service", path),
    )
    return Report(waybill=waybill, scans=oldest_first(scans), full=full and bool(scans), summary=summary)


def _scan(event: dict[str, Any], path: str) -> Scan:
    return Scan(
        time=moment_at(event, "time", path),
        code=text_at(event, "code", path),
        text=text_at(event, "text", path),
        location=text_at(event, "place", path),
    )


carrier = Carrier(
    slug="acme",
    name="Acme",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.example.com",
    numbers=(r"AC\d{10}",),
    batch=BATCH,
    fetch=fetch,
    verify=hmac_sha256("X-Signature", encoding="hex"),
    rate=5.0,
    full_history=True,
    credentials=(
        Credential("client_id", "the app's id in the developer portal", secret=False),
        Credential("client_secret", "the app's secret"),
        Credential("webhook_secret", "signs the pushes", required=False),
    ),
)
