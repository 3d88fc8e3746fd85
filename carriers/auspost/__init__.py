"""Australia Post Shipping and Tracking v1, Track Items: parcels and StarTrack freight, ten numbers a query."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

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
    dict_at,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

DOCS = "https://developers.auspost.com.au/apis/shipping-and-tracking/reference/track-items"
BATCH = 10

# `status` of an article, a consignment or a freight item, each explained on the page in DOCS. In lower case: Australia
# Post writes "In transit" and StarTrack "In Transit".
STATUSES: dict[str, Meaning] = {
    "created": M.INFO_RECEIVED,
    "sealed": M.INFO_RECEIVED,  # added to an order
    "initiated": M.INFO_RECEIVED,  # ordered, not yet handed over
    "in transit": M.IN_TRANSIT,
    "delivered": M.DELIVERED,
    "awaiting collection": M.AVAILABLE_FOR_PICKUP,
    "possible delay": M.DELAYED,
    "unsuccessful pickup": (M.EXCEPTION, R.PICKUP_FAILED),
    "article damaged": (M.EXCEPTION, R.DAMAGED),
    "cancelled": M.CANCELLED,
    "held by courier": (M.EXCEPTION, R.ON_HOLD),
    "cannot be delivered": (M.EXCEPTION, R.ADDRESS_PROBLEM),  # "as addressed"
    "track items for detailed delivery information": None,  # the items stand in different places
    "unknown": None,
    # StarTrack
    "incomplete": M.INFO_RECEIVED,
    "unconfirmed": M.INFO_RECEIVED,
    "confirmed": M.INFO_RECEIVED,
    "ready for pickup": M.INFO_RECEIVED,  # awaits the carrier, not the recipient
    "deleted": M.CANCELLED,
    "picked up": M.PICKED_UP,
    "partial pickup": M.PICKED_UP,
    "at delivery depot": M.AT_DELIVERY_DEPOT,
    "booked in": (M.DELAYED, R.ON_HOLD),  # kept at the depot until the day that the receiver chose
    "on board for delivery": M.OUT_FOR_DELIVERY,
    "item delivered": M.DELIVERED,
    "delivered in full": M.DELIVERED,
    "partial delivery": None,  # some items are, some are not: each says so itself
    "final shortage": (M.EXCEPTION, R.OTHER),  # delivery is over, and not all items were delivered
    "unsuccessful delivery": (M.DELIVERY_FAILED, R.OTHER),
    "to be re-delivered": (M.DELIVERY_FAILED, R.OTHER),  # back at the depot, tried again on a later day
    "re-consigned": (M.EXCEPTION, R.OTHER),  # goes on under another consignment
}
# Events have words and no code. Where the words are those of a status they mean that; these are the ones that would
# mislead a reader who does not know the carrier. The rest is left to the phrases.
EVENTS: dict[str, Meaning] = {
    "received by australia post": M.PICKED_UP,
    "processed by air carrier": M.IN_TRANSIT,
    "leave in a safe place requested by receiver": None,  # a wish, and nothing that happened
}
MILESTONES: dict[str, Meaning] = STATUSES | EVENTS
PROBLEMS = {
    "ESB-10001": ProblemKind.NOT_FOUND,
    "ESB-10002": ProblemKind.INVALID,  # this product is not trackable
    "51100": ProblemKind.INVALID,  # no number
    "51101": ProblemKind.INVALID,  # more than ten
    "51102": ProblemKind.INVALID,
    "51103": ProblemKind.INVALID,  # Australia Post's numbers and StarTrack's in one query
    "51104": ProblemKind.NOT_FOUND,
    "API_002": ProblemKind.LIMITED,
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each ten numbers."""
    return [await _track(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _track(http: Http, asks: Sequence[Ask]) -> Reply:
    pair = f"{http.credentials['api_key']}:{http.credentials['password']}".encode()
    headers = {
        "Authorization": f"Basic {base64.b64encode(pair).decode()}",
        "Account-Number": http.credentials["account_number"],
        "Accept": "application/json",
    }
    numbers = ",".join(ask.number for ask in asks)
    return await http.request("GET", "/shipping/v1/track", headers=headers, params=[("tracking_ids", numbers)])


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer with a result for each number, or the errors of the whole call."""
    root = object_of(read_json(body), "$")
    if "tracking_results" in root:
        rows = rows_at(root, "tracking_results", "$")
        reports = [one for place, row in enumerate(rows) for one in _result(row, f"$.tracking_results[{place}]")]
        return reports or [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no results"))]
    if problem := _problem(root, "$"):
        return [Report(waybill="", problem=problem)]
    raise ParseError("$", "neither tracking_results nor errors")


def _problem(row: dict[str, Any], path: str) -> Problem | None:
    """The first of `errors`, whose fields have two sets of names."""
    for error in rows_at(row, "errors", path):
        code = text_at(error, "code", path) or text_at(error, "error_code", path)
        words = text_at(error, "message", path) or text_at(error, "name", path) or text_at(error, "error_name", path)
        return Problem(PROBLEMS.get(code, ProblemKind.UNAVAILABLE), f"{code}: {words}")
    return None


def _result(row: dict[str, Any], path: str) -> list[Report]:
    """What is told of one number: itself, and each item of a consignment of several."""
    waybill = text_at(row, "tracking_id", path)
    if not waybill:
        raise ParseError(f"{path}.tracking_id", "missing")
    if problem := _problem(row, path):
        return [Report(waybill=waybill, problem=problem)]
    consignment, items = dict_at(row, "consignment", path), list(_items(row, path))
    status = text_at(row, "status", path) or text_at(consignment, "status", path)
    scans = _scans(consignment, f"{path}.consignment")
    if len(items) > 1:
        pieces = tuple(text_at(item, "article_id", there) for item, there in items)
        itself = Report(waybill=waybill, scans=scans, full=bool(scans), summary=_summary(status, scans, pieces=pieces))
        return [itself, *(_item(item, there) for item, there in items)]
    for item, there in items:  # the only one is what was asked for, under whichever number
        return [_item(item, there, waybill, status, beside=scans)]
    if not status and not scans:
        return [Report(waybill=waybill, problem=Problem(ProblemKind.NOT_FOUND, "no items"))]
    return [Report(waybill=waybill, scans=scans, full=bool(scans), summary=_summary(status, scans))]


def _items(row: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The articles, which stand alone or inside a consignment."""
    for place, one in enumerate(rows_at(row, "trackable_items", path)):
        there = f"{path}.trackable_items[{place}]"
        inner = rows_at(one, "items", there)
        yield from ((item, f"{there}.items[{within}]") for within, item in enumerate(inner))
        if not inner:
            yield one, there


def _item(row: dict[str, Any], path: str, waybill: str = "", status: str = "", beside: tuple[Scan, ...] = ()) -> Report:
    """One item; `beside` are the scans of the consignment that it alone makes up: what both tell is told once."""
    waybill = waybill or text_at(row, "article_id", path)
    if not waybill:
        raise ParseError(f"{path}.article_id", "missing")
    scans = _scans(row, path)
    if beside:
        scans = oldest_first(dict.fromkeys((*beside, *scans)))
    summary = _summary(status or text_at(row, "status", path), scans, service=text_at(row, "product_type", path))
    return Report(waybill=waybill, scans=scans, full=bool(scans), summary=summary)


def _scans(row: dict[str, Any], path: str) -> tuple[Scan, ...]:
    rows = rows_at(row, "events", path)
    scans = [_scan(event, f"{path}.events[{place}]") for place, event in enumerate(rows)]
    return oldest_first(reversed(scans))  # the newest comes first, also within a second


def _scan(row: dict[str, Any], path: str) -> Scan:
    words = text_at(row, "description", path)
    code = words.lower()
    return Scan(
        time=moment_at(row, "date", path),
        code=code if code in MILESTONES else "",
        text=words,
        location=text_at(row, "location", path),
    )


def _summary(status: str, scans: tuple[Scan, ...], *, service: str = "", pieces: tuple[str, ...] = ()) -> Summary:
    """The status has no time of its own: it stands at that of the newest event."""
    newest = scans[-1].time if scans else None
    told = Scan(time=newest, code=status.lower(), text=status) if status else None
    return Summary(status=told, service=service, pieces=pieces)


carrier = Carrier(
    slug="auspost",
    name="Australia Post (StarTrack)",
    name_zh="澳大利亚邮政",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://digitalapi.auspost.com.au",
    sandbox="https://digitalapi.auspost.com.au/test",
    numbers=(r"[A-Z]{2}\d{9}AU", r"\d{2}[A-Z]{3}\d{7}"),  # S10 of Australia; consignments
    batch=BATCH,
    fetch=fetch,
    rate=10 / 60,  # ten calls a minute
    full_history=True,
    credentials=(
        Credential("api_key", "API key of the Shipping and Tracking API", secret=False),
        Credential("password", "password of that key"),
        Credential(
            "account_number", "Australia Post charge account (10 digits) or StarTrack account (8)", secret=False
        ),
    ),
)
