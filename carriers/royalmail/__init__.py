"""Royal Mail Tracking API v2: the events of one mail piece a call; summaries are read too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from carriers.royalmail.codes import CATEGORIES, MILESTONES
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
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://developer.royalmail.net/"
PROBLEMS = {
    "E0001": ProblemKind.UNAVAILABLE,
    "E0004": ProblemKind.INVALID,  # not after the schema
    "E0009": ProblemKind.UNAVAILABLE,
    "E0010": ProblemKind.LIMITED,
    "E0013": ProblemKind.INVALID,  # too many numbers
    "E1142": ProblemKind.NOT_FOUND,  # barcode not recognised
    "E1283": ProblemKind.INVALID,  # this product is not tracked
    "E1284": ProblemKind.NOT_FOUND,  # no delivery update now
    "E1307": ProblemKind.NOT_FOUND,
    "E1308": ProblemKind.NOT_FOUND,
}
# Where no code stands beside it, the HTTP status in the body.
STATUSES = {
    "400": ProblemKind.INVALID,
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "429": ProblemKind.LIMITED,
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number: only the summary, which holds no history, takes several."""
    return [await _events(http, ask) for ask in asks]


async def _events(http: Http, ask: Ask) -> Reply:
    headers = {
        "X-IBM-Client-Id": http.credentials["client_id"],
        "X-IBM-Client-Secret": http.credentials["client_secret"],
        "X-Accept-RMG-Terms": "yes",
        "Accept": "application/json",
    }
    return await http.request("GET", f"/mailpieces/v2/{quote(ask.number, safe='')}/events", headers=headers)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """The events of a piece, the summaries of several, or errors."""
    root = object_of(read_json(body), "$")
    pieces = root.get("mailPieces")
    if isinstance(pieces, list) and pieces:
        return [_piece(row, f"$.mailPieces[{n}]") for n, row in enumerate(rows_at(root, "mailPieces", "$"))]
    if pieces:
        return [_piece(dict_at(root, "mailPieces", "$"), "$.mailPieces")]
    if "errors" in root or "httpCode" in root:
        return [Report(waybill="", problem=_refusal(root))]
    raise ParseError("$", "neither mailPieces, errors nor httpCode")


def _refusal(root: dict[str, Any]) -> Problem:
    """What was wrong with the whole call; the gateway before the API gives no code, only the status."""
    for error in rows_at(root, "errors", "$"):
        return _problem(error, "$.errors")
    status = text_at(root, "httpCode", "$")
    words = text_at(root, "moreInformation", "$") or text_at(root, "httpMessage", "$")
    return Problem(STATUSES.get(status, ProblemKind.UNAVAILABLE), f"{status}: {words}")


def _problem(error: dict[str, Any], path: str) -> Problem:
    code, words = text_at(error, "errorCode", path), text_at(error, "errorDescription", path)
    return Problem(PROBLEMS.get(code, ProblemKind.UNAVAILABLE), f"{code}: {words}")


def _piece(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "mailPieceId", path)
    if not waybill:
        raise ParseError(f"{path}.mailPieceId", "missing")
    if row.get("error") is not None:
        return Report(waybill=waybill, problem=_problem(dict_at(row, "error", path), f"{path}.error"))
    events = rows_at(row, "events", path)
    scans = [_scan(event, f"{path}.events[{place}]") for place, event in enumerate(events)]
    # The newest comes first, also within a second.
    history = oldest_first(reversed(scans))
    return Report(waybill=waybill, scans=history, full=bool(history), summary=_summary(row, path))


def _scan(row: dict[str, Any], path: str) -> Scan:
    return Scan(
        time=moment_at(row, "eventDateTime", path),
        code=text_at(row, "eventCode", path),
        text=text_at(row, "eventName", path),
        location=text_at(row, "locationName", path),
    )


def _summary(row: dict[str, Any], path: str) -> Summary:
    told, there = dict_at(row, "summary", path), f"{path}.summary"
    begins, by = _expected(dict_at(row, "estimatedDelivery", path), path)
    return Summary(
        status=_status(told, there),
        expected_from=begins,
        expected_to=by,
        signed_by=text_at(dict_at(row, "signature", path), "recipientName", path),
        service=text_at(told, "productName", there),
        origin=text_at(told, "originCountryCode", there),
        destination=text_at(told, "destinationCountryCode", there),
    )


def _status(told: dict[str, Any], path: str) -> Scan | None:
    """The last event, which the summary repeats; without one, the status in words.

    Where an event says only that it will be late, the category still tells that the parcel is under way. Other
    categories are left: an item that waits at a post office is told of as delivered.
    """
    category = text_at(told, "statusCategory", path)
    code = category if category in CATEGORIES else text_at(told, "lastEventCode", path)
    words = text_at(told, "lastEventName", path) or text_at(told, "statusDescription", path)
    if not code and not words:
        return None
    return Scan(
        time=moment_at(told, "lastEventDateTime", path),
        code=code,
        text=words,
        location=text_at(told, "lastEventLocationName", path),
    )


def _expected(row: dict[str, Any], path: str) -> tuple[Moment | None, Moment | None]:
    """The day, with the window if one is known."""
    day = text_at(row, "date", path)
    begins, ends = (text_at(row, key, path) for key in ("startOfEstimatedWindow", "endOfEstimatedWindow"))
    return (
        moment_or_none(f"{day}T{begins}") if begins else None,
        moment_or_none(f"{day}T{ends}" if ends else day),
    )


carrier = Carrier(
    slug="royalmail",
    name="Royal Mail",
    name_zh="英国皇家邮政",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.royalmail.net",
    numbers=(r"[A-Z]{2}\d{9}GB", r"0[0-9A-F]{20}"),  # S10 of the UK; the 2D barcode's identifier
    batch=1,
    fetch=fetch,
    rate=1.0,  # the limit is the subscription's, and not published
    full_history=True,
    credentials=(
        Credential("client_id", "client id of the application on developer.royalmail.net", secret=False),
        Credential("client_secret", "client secret of that application"),
    ),
)
