"""AfterShip Tracking API 2025-07: register, ask, and be told. An aggregator of some thousand carriers.

Codes: `codes.py`; for people: README.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from carriers.aftership.codes import CARRIERS, MILESTONES, OUR_SLUGS
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
    hmac_sha256,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://www.aftership.com/docs/tracking/quickstart/api-quick-start"
TRACKINGS = "/tracking/2025-07/trackings"
BATCH = 50
REGISTERED = ("200", "201", "4003")  # 4003: is followed already
NOTHING_YET = "Pending"
# https://github.com/AfterShip/tracking-sdk-nodejs/blob/main/README.md#error-list; other codes of 4xx are INVALID.
PROBLEMS = {
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "404": ProblemKind.NOT_FOUND,
    "4004": ProblemKind.NOT_FOUND,  # not registered yet: registering it cures that
    "429": ProblemKind.LIMITED,
}
GRAMS = {"g": 1.0, "kg": 1000.0, "oz": 28.349523125, "lb": 453.59237}
MOST = 1e9  # of any unit: what weighs more is no parcel
# The expected day, the latest word first: https://www.aftership.com/docs/tracking/model/tracking
EXPECTATIONS = (
    ("latest_estimated_delivery", "datetime"),
    ("courier_estimated_delivery_date", "estimated_delivery_date"),
)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each fifty numbers, which must have been registered; it lacks those that were not."""
    return [await _look_up(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _look_up(http: Http, asks: Sequence[Ask]) -> Reply:
    params = [("tracking_numbers", ",".join(ask.number for ask in asks)), ("limit", "200")]
    return await http.request("GET", TRACKINGS, headers=_headers(http), params=params)


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Register the numbers; why some were refused, by number.

    `callback` is not sent: AfterShip pushes to the URLs of its settings.
    """
    answers = [(ask.number, await _register(http, ask)) for ask in asks]
    return {number: refusal for number, refusal in answers if refusal}


async def _register(http: Http, ask: Ask) -> str:
    wanted = {
        "tracking_number": ask.number,
        "slug": OUR_SLUGS.get(ask.carrier, ""),  # without it AfterShip guesses among the couriers of its settings
        "destination_postal_code": ask.postal_code,
        "tracking_ship_date": ask.ship_date.replace("-", ""),
    }
    body = json.dumps({name: value for name, value in wanted.items() if value}).encode()
    reply = await http.request("POST", TRACKINGS, headers=_headers(http), data=body)
    code, words = _meta(object_of(read_json(reply.body), "$"))
    return "" if code in REGISTERED else f"{code}: {words}"


def _headers(http: Http) -> dict[str, str]:
    return {"as-api-key": http.credentials["api_key"], "Content-Type": "application/json"}


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer (many trackings, or one), or a push (one)."""
    root = object_of(read_json(body), "$")
    if "msg" in root:
        return [_report(dict_at(root, "msg", "$"), "$.msg")]
    if "meta" not in root:
        raise ParseError("$", "neither a msg (a push) nor a meta (an answer)")
    code, words = _meta(root)
    data = dict_at(root, "data", "$")
    if code not in ("200", "201"):
        return [Report(waybill="", problem=Problem(_kind(code), f"{code}: {words}"))]
    if "trackings" not in data:
        return [_report(dict_at(data, "tracking", "$.data") or data, "$.data")]
    rows = rows_at(data, "trackings", "$.data")
    if not rows:
        return [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no trackings: none is registered"))]
    return [_report(row, f"$.data.trackings[{place}]") for place, row in enumerate(rows)]


def _meta(root: dict[str, Any]) -> tuple[str, str]:
    meta = dict_at(root, "meta", "$")
    return text_at(meta, "code", "$.meta"), text_at(meta, "message", "$.meta") or text_at(meta, "type", "$.meta")


def _kind(code: str) -> ProblemKind:
    return PROBLEMS.get(code, ProblemKind.INVALID if code.startswith("4") else ProblemKind.UNAVAILABLE)


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "tracking_number", path)
    if not waybill:
        raise ParseError(f"{path}.tracking_number", "missing")
    checkpoints = rows_at(row, "checkpoints", path)
    scans = oldest_first(_scan(one, f"{path}.checkpoints[{place}]") for place, one in enumerate(checkpoints))
    return Report(
        waybill=waybill,
        scans=scans,
        full=bool(scans),
        summary=_summary(row, scans, waybill, path),
        carrier=text_at(row, "slug", path),
        problem=None if scans else _nothing_yet(row, path),
    )


def _nothing_yet(row: dict[str, Any], path: str) -> Problem | None:
    if text_at(row, "tag", path) != NOTHING_YET:
        return None
    return Problem(ProblemKind.NOT_FOUND, text_at(row, "subtag_message", path) or NOTHING_YET)


def _scan(row: dict[str, Any], path: str) -> Scan:
    return Scan(
        time=moment_at(row, "checkpoint_time", path),
        code=text_at(row, "subtag", path) or text_at(row, "tag", path),
        text=text_at(row, "message", path),
        location=text_at(row, "location", path) or _place(row, path, ("city", "state", "country_region_name")),
    )


def _place(row: dict[str, Any], path: str, names: Sequence[str]) -> str:
    return ", ".join(filter(None, (text_at(row, name, path) for name in names)))


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], scans: Sequence[Scan], waybill: str, path: str) -> Summary:
    expected_from, expected_to = _expected(row, path)
    successor = _last_mile(row, path)
    return Summary(
        status=_status(row, scans, path),
        expected_from=expected_from,
        expected_to=expected_to,
        signed_by=text_at(row, "signed_by", path),
        weight_g=_weight(row, path),
        service=text_at(row, "shipment_type", path),
        origin=_place(row, path, ("origin_city", "origin_state", _country(row, "origin"))),
        destination=_place(row, path, ("destination_city", "destination_state", _country(row, "destination"))),
        successor="" if successor == waybill else successor,
    )


def _country(row: dict[str, Any], end: str) -> str:
    """The name of the country's field: `…_country_iso3` until 2024-10."""
    name = f"{end}_country_region"
    return name if row.get(name) else f"{end}_country_iso3"


def _status(row: dict[str, Any], scans: Sequence[Scan], path: str) -> Scan | None:
    """The tag of the whole parcel, read from its newest checkpoint; without one, nobody knows of when it is."""
    code = text_at(row, "subtag", path) or text_at(row, "tag", path)
    return Scan(time=scans[-1].time, code=code, text=scans[-1].text) if code and scans else None


def _expected(row: dict[str, Any], path: str) -> tuple[Moment | None, Moment | None]:
    for name, stem in EXPECTATIONS:
        if told := dict_at(row, name, path):
            here = f"{path}.{name}"
            days = [text_at(told, f"{stem}{end}", here) or text_at(told, stem, here) for end in ("_min", "_max")]
            return moment_or_none(days[0]), moment_or_none(days[1])
    return None, moment_or_none(text_at(row, "expected_delivery", path))


def _weight(row: dict[str, Any], path: str) -> int | None:
    """{value, unit}; until 2024-10 a number, its unit beside it."""
    told: object = row.get("shipment_weight")
    unit = text_at(row, "shipment_weight_unit", path)
    if isinstance(told, dict):
        unit = text_at(told, "unit", f"{path}.shipment_weight")
        told = told.get("value")
    if not isinstance(told, (int, float)) or unit not in GRAMS or not 0 < told < MOST:
        return None
    return round(told * GRAMS[unit])


def _last_mile(row: dict[str, Any], path: str) -> str:
    """The number of the next carrier: `last_mile`, until 2024-10 the first of `next_couriers`."""
    following = rows_at(row, "next_couriers", path)
    last_mile = dict_at(row, "last_mile", path) or (following[0] if following else {})
    return text_at(last_mile, "tracking_number", f"{path}.last_mile")


carrier = Carrier(
    slug="aftership",
    name="AfterShip",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.aftership.com",
    aggregator=True,
    carriers=CARRIERS,
    batch=BATCH,
    fetch=fetch,
    verify=hmac_sha256("aftership-hmac-sha256"),
    subscribe=subscribe,
    full_history=True,
    credentials=(
        Credential("api_key", "API key of the AfterShip organisation, with the tracking scopes"),
        Credential("webhook_secret", "secret of Settings > Webhooks; it signs the pushes", required=False),
    ),
)
