"""Landmark Global: the Track API, XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

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
    moment,
    oldest_first,
)
from carriers.xml_reading import Node, read_xml

DOCS = "https://mercurydocs.landmarkglobal.com/docs/api-documentation"

# EventCode, listed whole in the Track API's documentation. Most name a stage and leave the rest to the words of the
# carrier that had the parcel then.
MILESTONES: dict[str, Meaning] = {
    "50": M.INFO_RECEIVED,  # shipment data uploaded
    "60": M.INFO_RECEIVED,  # inventory allocated
    "75": coarse(M.IN_TRANSIT),  # processed
    "80": coarse(M.IN_TRANSIT),  # fulfilled
    "90": (M.EXCEPTION, R.PAYMENT_DUE),
    "100": None,  # the data went to the carrier
    "125": M.CUSTOMS_CLEARED,
    "135": coarse(M.EXCEPTION, R.CUSTOMS),
    "150": coarse(M.IN_TRANSIT),  # crossing the border
    "155": coarse(M.HUB_ARRIVED),  # crossing received
    "200": coarse(M.HUB_ARRIVED),  # scanned at a postal facility
    "225": coarse(M.HUB_ARRIVED),  # grouped at Landmark's facility or a partner's
    "225/out": M.HUB_DEPARTED,  # our step of the path: an outgoing scan, in words only
    "250": coarse(M.IN_TRANSIT),  # scanned for crossing
    "275": coarse(M.IN_TRANSIT),  # with the carrier
    "300": M.OUT_FOR_DELIVERY,
    "400": coarse(M.DELIVERY_FAILED, R.OTHER),
    "410": M.AVAILABLE_FOR_PICKUP,
    "450": M.IN_TRANSIT,  # to a new address
    "500": M.DELIVERED,
    "510": M.DELIVERED,  # proof of delivery
    "550": M.RETURNING,  # the return was received at a facility
    "570": M.RETURNED,
    "800": coarse(M.EXCEPTION, R.OTHER),  # claim issued
    "900": coarse(M.DELIVERY_FAILED, R.OTHER),
}
# Landmark's error codes are not listed in public: the words tell them apart.
WORDS = (
    (("login", "password", "permission", "authoriz", "authentic"), ProblemKind.REFUSED),
    (
        ("not found", "no package", "no shipment", "no record", "could not be found", "does not exist"),
        ProblemKind.NOT_FOUND,
    ),
    (("too many", "limit"), ProblemKind.LIMITED),
    (("invalid", "missing", "required", "must be"), ProblemKind.INVALID),
)
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))? ?([AP])M", re.IGNORECASE)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number: Landmark takes one at a time."""
    return [await _track(http, ask.number) for ask in asks]


async def _track(http: Http, number: str) -> Reply:
    """The whole history. Landmark wants its elements in this order."""
    held = http.credentials
    client = f"<ClientID>{escape(held['client_id'])}</ClientID>" if held.get("client_id") else ""
    wanted = (
        '<?xml version="1.0" encoding="UTF-8"?><TrackRequest>'
        f"<Login><Username>{escape(held['username'])}</Username><Password>{escape(held['password'])}</Password></Login>"
        f"<Test>false</Test>{client}<TrackingNumber>{escape(number)}</TrackingNumber>"
        "<RetrievalType>Historical</RetrievalType></TrackRequest>"
    )
    return await http.request("POST", "/Track.php", headers={"Content-Type": "application/xml"}, data=wanted.encode())


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A TrackResponse: packages, or errors."""
    root = read_xml(body)
    if root.tag != "TrackResponse":
        raise ParseError("$", f"expected TrackResponse, found {root.tag}")
    if errors := root.findall("Errors/Error") or root.findall("Result/Errors/Error"):
        return [Report(waybill="", problem=_problem(errors[0].text_at("ErrorCode"), errors[0].text_at("ErrorMessage")))]
    packages = root.findall("Result/Packages/Package")
    if not packages:
        words = root.text_at("Result/ResultMessage") or "no package"
        return [Report(waybill="", problem=_problem("", words))]
    numbers = [package.text_at("LandmarkTrackingNumber") or package.text_at("TrackingNumber") for package in packages]
    pieces = tuple(filter(None, numbers)) if len(packages) > 1 else ()
    return [
        _report(package, number, pieces, f"$.Result.Packages.Package[{place}]")
        for place, (package, number) in enumerate(zip(packages, numbers, strict=True))
    ]


def _problem(code: str, words: str) -> Problem:
    said = f"{code} {words}".lower()
    kinds = (kind for some, kind in WORDS if any(word in said for word in some))
    return Problem(next(kinds, ProblemKind.UNAVAILABLE), f"{code}: {words}" if code else words)


def _report(package: Node, waybill: str, pieces: tuple[str, ...], path: str) -> Report:
    if not waybill:
        raise ParseError(f"{path}.LandmarkTrackingNumber", "missing")
    events = package.findall("Events/Event")
    scans = oldest_first(_scan(event, f"{path}.Events.Event[{place}]") for place, event in enumerate(events))
    summary = Summary(successor=_successor(package.text_at("TrackingNumber"), waybill), pieces=pieces)
    return Report(waybill=waybill, scans=scans, full=bool(scans), summary=summary)


def _successor(number: str, waybill: str) -> str:
    """The number of the carrier that delivers; Landmark's own in its place is none."""
    return "" if number == waybill or number.startswith("LTN") else number


def _scan(event: Node, path: str) -> Scan:
    text, code = " ".join(event.text_at("Status").split()), event.text_at("EventCode")
    return Scan(
        time=_time(event.text_at("DateTime"), f"{path}.DateTime"),
        code="225/out" if code == "225" and text.lower().startswith("outgoing") else code,
        text=text,
        location=event.text_at("Location"),
    )


def _time(text: str, path: str) -> Moment | None:
    """`2025-10-27 05:48:01` or `09/25/2025 09:10 AM`, month first; no zone in either, so the offset stays unknown."""
    if american := _AMERICAN.fullmatch(text):
        month, day, year, hour, minute, second, half = american.groups()
        clock = int(hour) % 12 + (12 if half.upper() == "P" else 0)
        text = f"{year}-{month}-{day} {clock}:{minute}:{second or '00'}"
    return moment(text, path=path) if text else None


carrier = Carrier(
    slug="landmark",
    name="Landmark Global",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.landmarkglobal.com/v2",
    numbers=(r"LTN\d{6,12}N\d{1,3}",),
    batch=1,
    fetch=fetch,
    rate=1.0,
    full_history=True,
    credentials=(
        Credential("username", "user of the Mercury API, from Landmark's integration manager", secret=False),
        Credential("password", "its password"),
        Credential("client_id", "the client that the account belongs to", secret=False, required=False),
    ),
)
