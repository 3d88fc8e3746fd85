"""EasyPost Trackers v2: create, ask, and be told. An aggregator of some hundred carriers, North American above all.

Codes: `codes.py`; for people: README.md.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize

from carriers.easypost.codes import CARRIERS, MILESTONES, OUR_SLUGS
from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
    Moment,
    ParseError,
    Problem,
    ProblemKind,
    Push,
    Reply,
    Report,
    Scan,
    Summary,
    dict_at,
    hmac_sha256,
    moment,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://docs.easypost.com/docs/trackers"
BATCH = 100
GRAMS_AN_OUNCE = 28.349523125
MIDNIGHT = "T00:00:00Z"  # of an expected day: a day and no instant, whatever the zone
UNPLACED = "LOW"  # geocode_confidence of a scan whose zone was not found
# https://docs.easypost.com/docs/errors: the beginning of a code decides, the longest that fits first.
PROBLEMS = (
    ("TRACKER.NOT_FOUND", ProblemKind.NOT_FOUND),
    ("NOT_FOUND", ProblemKind.NOT_FOUND),
    ("APIKEY", ProblemKind.REFUSED),
    ("UNAUTHORIZED", ProblemKind.REFUSED),
    ("FORBIDDEN", ProblemKind.REFUSED),
    ("PAYMENT_REQUIRED", ProblemKind.REFUSED),
    ("RATE_LIMITED", ProblemKind.LIMITED),
    ("TOO_MANY_REQUESTS", ProblemKind.LIMITED),
    ("INTERNAL_SERVER_ERROR", ProblemKind.UNAVAILABLE),
    ("SERVICE_UNAVAILABLE", ProblemKind.UNAVAILABLE),
    ("GATEWAY_TIMEOUT", ProblemKind.UNAVAILABLE),
    ("TRACKER.RETRIEVE.ERROR", ProblemKind.UNAVAILABLE),
    ("TRACKER.RUN.ERROR", ProblemKind.UNAVAILABLE),
)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each hundred numbers, whose trackers must have been created; it lacks those that were not."""
    batches = (asks[start : start + BATCH] for start in range(0, len(asks), BATCH))
    return [await _post(http, "/v2/trackers/batch", {"tracking_codes": [a.number for a in some]}) for some in batches]


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Create the trackers; why some were refused, by number. `callback` is not sent: the URLs stand in the dashboard.

    A tracker that was created within three months is answered again, and costs nothing.
    """
    answers = [(ask.number, await _create(http, ask)) for ask in asks]
    return {number: refusal for number, refusal in answers if refusal}


async def _create(http: Http, ask: Ask) -> str:
    wanted = {"tracking_code": ask.number}
    if code := OUR_SLUGS.get(ask.carrier):  # without it EasyPost guesses
        wanted["carrier"] = code
    reply = await _post(http, "/v2/trackers", {"tracker": wanted})
    answer = object_of(read_json(reply.body), "$")
    return _problem(dict_at(answer, "error", "$")).text if "error" in answer else ""


async def _post(http: Http, path: str, wanted: Mapping[str, object]) -> Reply:
    key = base64.b64encode(f"{http.credentials['api_key']}:".encode()).decode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    return await http.request("POST", path, headers=headers, data=json.dumps(wanted).encode())


# ---------------------------------------------------------------- hearing

_signed = hmac_sha256("x-hmac-signature", encoding="hex", prefix="hmac-sha256-hex=")


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """`X-Hmac-Signature`: hex HMAC-SHA256 over the raw body, keyed by the secret in Unicode's form NFKD."""
    return _signed(push, {"webhook_secret": normalize("NFKD", credentials.get("webhook_secret", ""))})


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer (a list of trackers, or one), or an event; an event of something else than a tracker tells nothing."""
    root = object_of(read_json(body), "$")
    kind = text_at(root, "object", "$")
    if kind == "Event":
        return _event(root)
    if "error" in root:
        return [Report(waybill="", problem=_problem(dict_at(root, "error", "$")))]
    if kind == "Tracker":
        return [_report(root, "$")]
    if "trackers" not in root:
        raise ParseError("$", "neither an Event (a push), nor a Tracker, trackers or an error (an answer)")
    rows = rows_at(root, "trackers", "$")
    if not rows:
        return [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no trackers: none was created"))]
    return [_report(row, f"$.trackers[{place}]") for place, row in enumerate(rows)]


def _event(root: dict[str, Any]) -> list[Report]:
    result = dict_at(root, "result", "$")
    return [_report(result, "$.result")] if text_at(result, "object", "$.result") == "Tracker" else []


def _problem(error: dict[str, Any]) -> Problem:
    code, words = text_at(error, "code", "$.error"), text_at(error, "message", "$.error")
    kinds = (kind for start, kind in PROBLEMS if code.startswith(start))
    return Problem(next(kinds, ProblemKind.INVALID), f"{code}: {words}" if words else code)


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "tracking_code", path)
    if not waybill:
        raise ParseError(f"{path}.tracking_code", "missing")
    details = rows_at(row, "tracking_details", path)
    scans = oldest_first(_scan(one, f"{path}.tracking_details[{place}]") for place, one in enumerate(details))
    unknown = text_at(row, "status", path) in ("", "unknown")
    return Report(
        waybill=waybill,
        scans=scans,
        full=bool(scans),
        summary=_summary(row, scans, path),
        carrier=text_at(row, "carrier", path),
        problem=Problem(ProblemKind.NOT_FOUND, "unknown") if unknown and not scans else None,
    )


def _scan(row: dict[str, Any], path: str) -> Scan:
    place = dict_at(row, "tracking_location", path)
    location = _place(place, f"{path}.tracking_location")
    return Scan(
        time=_time(row, bool(location), path),
        code=_code(row, path),
        text=text_at(row, "message", path) or text_at(row, "description", path),
        location=location,
    )


def _code(row: dict[str, Any], path: str) -> str:
    """`status`, or `status/status_detail`; the table knows both."""
    status, detail = text_at(row, "status", path), text_at(row, "status_detail", path)
    return f"{status}/{detail}" if status and detail not in ("", "unknown") else status


def _time(row: dict[str, Any], placed: bool, path: str) -> Moment | None:
    """The local time, or `datetime`.

    "When location information is incomplete, timestamps default to UTC" (DOCS): there the `Z` is EasyPost's makeshift
    and not the carrier's word, and the offset stays unknown.
    """
    known = placed and text_at(row, "geocode_confidence", path) != UNPLACED
    if known:
        return moment_at(row, "datetime_local", path) or moment_at(row, "datetime", path)
    text = text_at(row, "datetime", path).removesuffix("Z")
    return moment(text, path=f"{path}.datetime") if text else None


def _place(row: dict[str, Any], path: str) -> str:
    return ", ".join(filter(None, (text_at(row, name, path) for name in ("city", "state", "country"))))


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], scans: Sequence[Scan], path: str) -> Summary:
    detail, here = dict_at(row, "carrier_detail", path), f"{path}.carrier_detail"
    day = text_at(row, "est_delivery_date", path).removesuffix(MIDNIGHT)
    expected = _local_day(detail, here) or moment_or_none(day)
    return Summary(
        status=_status(row, scans, path),
        expected_to=expected,
        signed_by=text_at(row, "signed_by", path),
        weight_g=_grams(row.get("weight")),
        service=text_at(detail, "service", here),
        origin=_end(detail, "origin", here),
        destination=_end(detail, "destination", here),
    )


def _status(row: dict[str, Any], scans: Sequence[Scan], path: str) -> Scan | None:
    """The status of the whole parcel, which was read from its newest scan."""
    code = _code(row, path)
    if code in ("", "unknown"):
        return None
    return Scan(time=scans[-1].time, code=code, text=scans[-1].text) if scans else Scan(time=None, code=code)


def _end(detail: dict[str, Any], end: str, path: str) -> str:
    name = f"{end}_tracking_location"
    return _place(dict_at(detail, name, path), f"{path}.{name}") or text_at(detail, f"{end}_location", path)


def _local_day(detail: dict[str, Any], path: str) -> Moment | None:
    """The expected day as the recipient's calendar has it, with the time where one is told."""
    day, clock = text_at(detail, "est_delivery_date_local", path), text_at(detail, "est_delivery_time_local", path)
    return (moment_or_none(f"{day}T{clock}") if clock else None) or moment_or_none(day)


def _grams(ounces: object) -> int | None:
    return round(ounces * GRAMS_AN_OUNCE) if isinstance(ounces, (int, float)) and 0 < ounces < 1e9 else None


carrier = Carrier(
    slug="easypost",
    name="EasyPost",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.easypost.com",
    aggregator=True,
    carriers=CARRIERS,
    batch=BATCH,
    fetch=fetch,
    verify=verify,
    subscribe=subscribe,
    full_history=True,
    credentials=(
        Credential("api_key", "production or test API key of the EasyPost account"),
        Credential("webhook_secret", "the webhook_secret that the webhook was created with", required=False),
    ),
)
