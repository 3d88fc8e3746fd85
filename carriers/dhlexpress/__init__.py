"""DHL Express, MyDHL API: the waybills of an Express account, a hundred a query."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
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
    moment,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://developer.dhl.com/api-reference/dhl-express-mydhl-api"
BATCH = 100  # DHL takes 200; so the address stays below 4 kB

# events[].typeCode, https://developer.dhl.com/api-reference/dhl-express-mydhl-api#reference-docs-section (event codes).
MILESTONES: dict[str, Meaning] = {
    "SD": M.INFO_RECEIVED,  # shipment information received
    "EM": None,  # electronic data merged
    "PU": M.PICKED_UP,
    "SA": coarse(M.PICKED_UP),  # shipment accepted
    "AF": coarse(M.HUB_ARRIVED),
    "PL": coarse(M.HUB_ARRIVED),  # processed at
    "DF": coarse(M.HUB_DEPARTED),
    "TR": coarse(M.IN_TRANSIT),  # record of transfer
    "SM": M.IN_TRANSIT,  # scheduled to move on
    "FD": M.IN_TRANSIT,  # forwarded to its destination
    "TP": M.HANDED_OVER,  # to a third party, of whom DHL hears no more
    "IC": M.CUSTOMS_ENTERED,
    "BN": coarse(M.CUSTOMS_ENTERED),  # the customer's broker was told
    "BR": coarse(M.CUSTOMS_ENTERED),  # released to the broker
    "RR": coarse(M.CUSTOMS_ENTERED),  # the status of the clearance was updated
    "CR": M.CUSTOMS_CLEARED,
    "CC/cleared": M.CUSTOMS_CLEARED,  # our step of the path: in some answers CC tells of a clearance, in words only
    "CD": coarse(M.DELAYED, R.CUSTOMS),  # a clearance delay that somebody can end
    "UD": coarse(M.DELAYED, R.CUSTOMS),  # one that nobody can
    "AR": coarse(M.AT_DELIVERY_DEPOT),
    "WC": M.OUT_FOR_DELIVERY,
    "CC": M.AVAILABLE_FOR_PICKUP,  # awaits collection
    "OK": M.DELIVERED,
    "DD": (M.DELIVERED, R.DAMAGED),
    "PD": M.DELAYED,  # delivered in part: the rest is on its way
    "AD": M.DELAYED,  # to be delivered on an agreed day
    "TD": coarse(M.DELAYED),
    "MD": (M.DELAYED, R.OPERATIONAL),  # missed the delivery round
    "WX": (M.DELAYED, R.WEATHER),
    "NH": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "CA": (M.DELIVERY_FAILED, R.CLOSED),
    "ND": coarse(M.DELIVERY_FAILED, R.OTHER),
    "BA": (M.EXCEPTION, R.ADDRESS_PROBLEM),
    "CM": (M.EXCEPTION, R.ADDRESS_PROBLEM),  # moved
    "RD": (M.EXCEPTION, R.RECIPIENT_REFUSED),
    "HP": (M.EXCEPTION, R.PAYMENT_DUE),  # held for payment
    "OH": coarse(M.EXCEPTION, R.ON_HOLD),
    "SS": (M.EXCEPTION, R.ON_HOLD),  # stopped
    "MC": (M.EXCEPTION, R.MISSORTED),
    "MS": (M.EXCEPTION, R.MISSORTED),
    "DS": (M.EXCEPTION, R.DISPOSED),
    "RT": coarse(M.RETURNING),  # the words may say that it is back
    "CS": None,  # the shipment's record is closed
    "SC": None,  # another service
    "PY": None,  # a payment
}
PROBLEMS = {
    "400": ProblemKind.INVALID,
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "404": ProblemKind.NOT_FOUND,
    "422": ProblemKind.INVALID,
    "429": ProblemKind.LIMITED,
}
GRAMS = {"metric": 1000.0, "imperial": 453.59237}
_SIGNED = re.compile(r"(.*?signed for by)\b[\s:]*(.*)", re.IGNORECASE | re.DOTALL)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each hundred waybills."""
    return [await _track(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _track(http: Http, asks: Sequence[Ask]) -> Reply:
    pair = f"{http.credentials['username']}:{http.credentials['password']}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}", "Accept": "application/json"}
    views = [("trackingView", "all-checkpoints"), ("levelOfDetail", "all"), ("requestGMTOffsetPerEvent", "true")]
    params = [("shipmentTrackingNumber", ask.number) for ask in asks] + views
    return await http.request("GET", "/tracking", headers=headers, params=params)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A query's answer, or its problem JSON."""
    root = object_of(read_json(body), "$")
    if "shipments" in root:
        rows = rows_at(root, "shipments", "$")
        reports = [_report(row, f"$.shipments[{place}]") for place, row in enumerate(rows)]
        return reports or [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no shipments"))]
    if "title" in root or "detail" in root:
        status, words = text_at(root, "status", "$"), text_at(root, "detail", "$") or text_at(root, "title", "$")
        kind = PROBLEMS.get(status, ProblemKind.UNAVAILABLE)
        return [Report(waybill="", problem=Problem(kind, f"{status}: {words}"))]
    raise ParseError("$", "neither shipments nor a problem (title, status, detail)")


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "shipmentTrackingNumber", path)
    if not waybill:
        raise ParseError(f"{path}.shipmentTrackingNumber", "missing")
    events = rows_at(row, "events", path)
    if not events and text_at(row, "status", path) not in ("", "Success"):
        return Report(waybill=waybill, problem=Problem(ProblemKind.NOT_FOUND, text_at(row, "description", path)))
    told = [_scan(event, f"{path}.events[{place}]") for place, event in enumerate(events)]
    scans = oldest_first(scan for scan, _ in told)
    signer = next((name for _, name in told if name), "")
    return Report(waybill=waybill, scans=scans, full=bool(scans), summary=_summary(row, signer, path))


def _scan(row: dict[str, Any], path: str) -> tuple[Scan, str]:
    """An event, and its signer's name, which goes out of the words."""
    code, words, signer = (text_at(row, key, path) for key in ("typeCode", "description", "signedBy"))
    if "igned" in words and (signed := _SIGNED.fullmatch(words)):
        words, signer = signed[1], signer or signed[2].strip()
    if code == "CC" and "clear" in words.lower():
        code = "CC/cleared"
    areas = rows_at(row, "serviceArea", path)
    location = text_at(areas[0], "description", path) if areas else ""
    return Scan(time=_time(row, path), code=code, text=words, location=location), signer


def _time(row: dict[str, Any], path: str) -> Moment | None:
    """The local reading, with its offset where DHL gives it: it is asked to."""
    date, clock, offset = (text_at(row, key, path) for key in ("date", "time", "GMTOffset"))
    return moment(f"{date}T{clock}{offset}" if clock else date, path=f"{path}.date") if date else None


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], signer: str, path: str) -> Summary:
    numbers = (text_at(piece, "trackingNumber", path) for piece in rows_at(row, "pieces", path))
    return Summary(
        expected_to=_expected(row, path),
        signed_by=signer,
        weight_g=_weight(row, path),
        service=text_at(row, "productCode", path),
        origin=_end(row, "shipperDetails", path),
        destination=_end(row, "receiverDetails", path),
        pieces=tuple(filter(None, numbers)),
    )


def _expected(row: dict[str, Any], path: str) -> Moment | None:
    """The expected day: one that can't be read must not cost the events."""
    try:
        return moment_at(row, "estimatedDeliveryDate", path)
    except ParseError:
        return None


def _weight(row: dict[str, Any], path: str) -> int | None:
    grams = GRAMS.get(text_at(row, "unitOfMeasurements", path).lower(), 0.0)
    try:
        return max(0, round(float(text_at(row, "totalWeight", path)) * grams)) or None
    except (ValueError, OverflowError):
        return None


def _end(row: dict[str, Any], key: str, path: str) -> str:
    """City and country of one end; the service area where the address is kept back."""
    end = dict_at(row, key, path)
    address, areas = dict_at(end, "postalAddress", path), rows_at(end, "serviceArea", path)
    parts = [text_at(address, part, path) for part in ("cityName", "countryCode")]
    if not parts[0] and areas:
        return text_at(areas[0], "description", path)
    return ", ".join(filter(None, parts))


carrier = Carrier(
    slug="dhlexpress",
    name="DHL Express (MyDHL)",
    name_zh="敦豪国际快递",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://express.api.dhl.com/mydhlapi",
    sandbox="https://express.api.dhl.com/mydhlapi/test",
    numbers=(r"\d{10}",),
    batch=BATCH,
    fetch=fetch,
    rate=1.0,
    full_history=True,
    credentials=(
        Credential("username", "user of the MyDHL API, as DHL Express mailed it", secret=False),
        Credential("password", "its password"),
    ),
)
