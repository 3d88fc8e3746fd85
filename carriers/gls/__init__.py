"""GLS Group Track And Trace v1: OAuth, ten parcels a query."""

from __future__ import annotations

import base64
from collections.abc import Sequence
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
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
    token_of,
)

DOCS = "https://dev-portal.gls-group.net/docs/track-and-trace/1/overview"
BATCH = 10

# `status` of a parcel, each explained in the specification.
STATUSES: dict[str, Meaning] = {
    "PLANNEDPICKUP": M.INFO_RECEIVED,
    "INPICKUP": M.INFO_RECEIVED,  # a driver will collect it
    "NOTPICKEDUP": (M.EXCEPTION, R.PICKUP_FAILED),
    "PREADVICE": M.INFO_RECEIVED,  # the data, not the parcel
    "INTRANSIT": M.IN_TRANSIT,  # on its way to the final depot
    "INWAREHOUSE": M.IN_TRANSIT,
    "INDELIVERY": M.OUT_FOR_DELIVERY,
    "DELIVEREDPS": M.AVAILABLE_FOR_PICKUP,  # delivered to a parcel shop: it waits there
    "DELIVERED": M.DELIVERED,
    "NOTDELIVERED": (M.DELIVERY_FAILED, R.OTHER),
    "CANCELED": M.CANCELLED,
    "FINAL": None,  # the history is closed; how it ended, the events say
}
# Event codes as the specification and its examples show them (GLS's spelling). GLS tells the whole list only to those
# with a key (GET /tracking/events/codes): the others are left to their description, which is asked for in English.
EVENTS: dict[str, Meaning] = {
    "INTIAL.PREADVICE": M.INFO_RECEIVED,
    "INTIAL.E48_DATA": M.INFO_RECEIVED,  # provided by the sender for collection
    "INTIAL.NORMAL": M.PICKED_UP,  # handed over to GLS
    "INBOUD.NORMAL": coarse(M.HUB_ARRIVED),  # reached the parcel centre, or the depot that delivers
    "OUTBOD.NORMAL": coarse(M.HUB_DEPARTED),
    "OUTDEL.NORMAL": M.OUT_FOR_DELIVERY,
    "DELIVD.NORMAL": M.DELIVERED,
    "DELIVD.PARCELSHOP": M.AVAILABLE_FOR_PICKUP,
    "DELIVD.DEL_BY_PSAPP": M.DELIVERED,  # handed out by the parcel shop
    "CANCEL.NORMAL": M.CANCELLED,  # the data have been deleted
}
ENDED = ("DELIVERED", "DELIVEREDPS", "CANCELED", "FINAL")
MILESTONES: dict[str, Meaning] = STATUSES | EVENTS
PROBLEMS = {
    "400": ProblemKind.INVALID,
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "404": ProblemKind.NOT_FOUND,
    "429": ProblemKind.LIMITED,
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each ten numbers."""
    return [await _track(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _track(http: Http, asks: Sequence[Ask]) -> Reply:
    token = await http.token("oauth", _obtain_token)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Language": "EN"}
    numbers = ",".join(quote(ask.number, safe="") for ask in asks)
    return await http.request("GET", f"/track-and-trace-v1/tracking/simple/trackids/{numbers}", headers=headers)


async def _obtain_token(http: Http) -> tuple[str, float]:
    """A fresh bearer and its life in seconds (four hours)."""
    pair = f"{http.credentials['client_id']}:{http.credentials['client_secret']}".encode()
    headers = {
        "Authorization": f"Basic {base64.b64encode(pair).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    reply = await http.request("POST", "/oauth2/v2/token", headers=headers, data=b"grant_type=client_credentials")
    return token_of(reply, life_s=14_400)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer with its parcels, problem JSON, or a fault of the gateway."""
    root = object_of(read_json(body), "$")
    if "parcels" in root:
        rows = rows_at(root, "parcels", "$")
        if not rows:
            return [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no parcels"))]
        return _of_each_number(rows)
    if "fault" in root:
        return [Report(waybill="", problem=_fault(dict_at(root, "fault", "$")))]
    if "title" in root or "detail" in root:
        status, words = text_at(root, "status", "$"), text_at(root, "detail", "$") or text_at(root, "title", "$")
        kind = PROBLEMS.get(status, ProblemKind.UNAVAILABLE)
        return [Report(waybill="", problem=Problem(kind, f"{status}: {words}"))]
    raise ParseError("$", "neither parcels, a problem (title, detail) nor a fault")


def _fault(fault: dict[str, Any]) -> Problem:
    words = text_at(fault, "faultstring", "$.fault")
    code = text_at(dict_at(fault, "detail", "$.fault"), "errorcode", "$.fault.detail")
    said = f"{code} {words}".lower()
    if "ratelimit" in said or "quota" in said:
        return Problem(ProblemKind.LIMITED, words)
    refused = any(word in said for word in ("jwt", "token", "oauth", "apikey", "api key"))
    return Problem(ProblemKind.REFUSED if refused else ProblemKind.UNAVAILABLE, words)


def _of_each_number(rows: Sequence[dict[str, Any]]) -> list[Report]:
    """One report for each number; one that stands for several parcels is not told by any of them alone."""
    told: dict[str, dict[str, Report]] = {}
    for place, row in enumerate(rows):
        report = _report(row, f"$.parcels[{place}]")
        told.setdefault(report.waybill, {})[text_at(row, "unitno", f"$.parcels[{place}]")] = report
    reports: list[Report] = []
    for number, parcels in told.items():
        known = {unit: report for unit, report in parcels.items() if not report.problem} or parcels
        reports += _together(number, known) if len(known) > 1 else known.values()
    return reports


def _together(number: str, parcels: dict[str, Report]) -> list[Report]:
    """A number of several parcels: they are its pieces, it stands where those do that are still on their way."""
    statuses = [report.summary.status for report in parcels.values() if report.summary and report.summary.status]
    waiting = [status for status in statuses if status.code not in ENDED] or statuses
    status = max(waiting, key=lambda one: one.time.instant if one.time else -1, default=None)
    whole = Report(waybill=number, summary=Summary(status=status, pieces=tuple(parcels)))
    return [
        whole,
        *(Report(waybill=unit, scans=one.scans, full=one.full, summary=one.summary) for unit, one in parcels.items()),
    ]


def _report(row: dict[str, Any], path: str) -> Report:
    # What was asked for, by which we know it: `unitno` may lack the check digit, or be the number behind a track id.
    waybill = text_at(row, "requested", path) or text_at(row, "unitno", path)
    if not waybill:
        raise ParseError(f"{path}.requested", "missing")
    if error := text_at(row, "errorCode", path):  # E_404_01
        kind = PROBLEMS.get(error[2:5], ProblemKind.UNAVAILABLE)
        return Report(waybill=waybill, problem=Problem(kind, f"{error}: {text_at(row, 'errorMessage', path)}"))
    events = rows_at(row, "events", path)
    scans = [_scan(event, f"{path}.events[{place}]") for place, event in enumerate(events)]
    scans.reverse()  # the newest comes first, also within a second
    return Report(
        waybill=waybill, scans=oldest_first(scans), full=bool(scans), summary=Summary(status=_status(row, path))
    )


def _scan(row: dict[str, Any], path: str) -> Scan:
    return Scan(
        time=moment_at(row, "eventDateTime", path),
        code=text_at(row, "code", path),
        text=text_at(row, "description", path),
        location=", ".join(filter(None, (text_at(row, "city", path), text_at(row, "country", path)))),
    )


def _status(row: dict[str, Any], path: str) -> Scan | None:
    status = text_at(row, "status", path)
    return Scan(time=moment_at(row, "statusDateTime", path), code=status) if status else None


carrier = Carrier(
    slug="gls",
    name="GLS",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.gls-group.net",
    sandbox="https://api-sandbox.gls-group.net",
    numbers=(r"\d{11,12}", r"[A-Z0-9]{8}"),  # parcel numbers with and without their check digit; track ids
    batch=BATCH,
    fetch=fetch,
    rate=0.2,  # 500 calls a day, unless GLS grants more
    full_history=True,
    credentials=(
        Credential("client_id", "API key of the app in the GLS developer portal", secret=False),
        Credential("client_secret", "API secret of that app"),
    ),
)
