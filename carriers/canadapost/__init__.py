"""Canada Post: Get Tracking Details, XML."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from urllib.parse import quote

from carriers.canadapost.codes import MILESTONES, TO_SENDER
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
    moment,
    moment_or_none,
    oldest_first,
)
from carriers.xml_reading import Node, read_xml

DOCS = (
    "https://www.canadapost-postescanada.ca/info/mc/business/productsservices/developers/services/tracking/"
    "trackingdetails.jsf"
)
# https://www.canadapost-postescanada.ca/info/mc/business/productsservices/developers/messagescodetables.jsf
PROBLEMS = {
    "004": ProblemKind.NOT_FOUND,  # no PIN history
    "404": ProblemKind.NOT_FOUND,
    "400": ProblemKind.INVALID,
    "E002": ProblemKind.REFUSED,  # authentication failure
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "429": ProblemKind.LIMITED,
    "Server": ProblemKind.LIMITED,  # "Rejected by SLM Monitor": the throttle of the key
}
# event-time-zone, the zones of Canada by their English abbreviations.
OFFSETS = {
    "NST": "-03:30",
    "NDT": "-02:30",
    "AST": "-04:00",
    "ADT": "-03:00",
    "EST": "-05:00",
    "EDT": "-04:00",
    "CST": "-06:00",
    "CDT": "-05:00",
    "MST": "-07:00",
    "MDT": "-06:00",
    "PST": "-08:00",
    "PDT": "-07:00",
    "GMT": "+00:00",
    "UTC": "+00:00",
}
_BACK = re.compile(r"\breturn|\bsender\b|\bretour|\brenvoy|\bexpéditeur", re.IGNORECASE)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number: Canada Post takes one at a time."""
    return [await _track(http, ask.number) for ask in asks]


async def _track(http: Http, number: str) -> Reply:
    pair = f"{http.credentials['username']}:{http.credentials['password']}".encode()
    headers = {
        "Authorization": f"Basic {base64.b64encode(pair).decode()}",
        "Accept": "application/vnd.cpc.track-v2+xml",
        "Accept-Language": "en-CA",
    }
    return await http.request("GET", f"/vis/track/pin/{quote(number, safe='')}/detail", headers=headers)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """A tracking-detail, alone or several in a wrapper, or messages."""
    root = read_xml(body)
    if root.tag == "tracking-detail":
        return [_report(root, "$")]
    details = root.findall("tracking-detail")
    messages = root.findall("message") or root.findall("messages/message")
    reports = [_report(detail, f"$.tracking-detail[{place}]") for place, detail in enumerate(details)]
    reports += [Report(waybill="", problem=_problem(message)) for message in messages[:1]]
    if not reports:
        raise ParseError("$", f"neither tracking-detail nor messages, but {root.tag}")
    return reports


def _problem(message: Node) -> Problem:
    code, words = message.text_at("code"), message.text_at("description")
    kind = ProblemKind.REFUSED if code.startswith("AA") else PROBLEMS.get(code, ProblemKind.UNAVAILABLE)
    return Problem(kind, f"{code}: {words}")


def _report(detail: Node, path: str) -> Report:
    waybill = detail.text_at("pin")
    if not waybill:
        raise ParseError(f"{path}.pin", "missing")
    events = detail.findall("significant-events/occurrence")
    scans = [_scan(event, f"{path}.significant-events.occurrence[{place}]") for place, event in enumerate(events)]
    history = oldest_first(reversed(scans))  # the newest comes first, also within a second
    summary = Summary(
        expected_to=_expected(detail),
        signed_by=next(filter(None, (event.text_at("signatory-name") for event in events)), ""),
        service=detail.text_at("service-name"),
        destination=detail.text_at("destination-postal-id"),
    )
    return Report(waybill=waybill, scans=history, full=bool(history), summary=summary)


def _scan(event: Node, path: str) -> Scan:
    text = event.text_at("event-description")
    place = (event.text_at("event-retail-name"), event.text_at("event-site"), event.text_at("event-province"))
    return Scan(
        time=_time(event, path),
        code=_code(event.text_at("event-identifier"), text),
        text=text,
        location=", ".join(filter(None, place)),
    )


def _code(identifier: str, text: str) -> str:
    """The identifier as the table of Canada Post has it (0174 is 174), and whether it tells of the way back."""
    code = identifier.lstrip("0")
    back = f"{code}/sender"
    return back if back in TO_SENDER and _BACK.search(text) else code


def _time(event: Node, path: str) -> Moment | None:
    """The local reading, with the offset of the zone that stands beside it; another zone's stays unknown."""
    date, clock = event.text_at("event-date"), event.text_at("event-time")
    if not (date and clock):
        return moment(date, path=f"{path}.event-date") if date else None
    offset = OFFSETS.get(event.text_at("event-time-zone").upper(), "")
    return moment(f"{date}T{clock}{offset}", path=f"{path}.event-date")


def _expected(detail: Node) -> Moment | None:
    """The changed day, else the first; one that can't be read must not cost the events."""
    day = detail.text_at("changed-expected-date") or detail.text_at("expected-delivery-date")
    return moment_or_none(day)


carrier = Carrier(
    slug="canadapost",
    name="Canada Post",
    name_zh="加拿大邮政",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://soa-gw.canadapost.ca",
    sandbox="https://ct.soa-gw.canadapost.ca",
    numbers=(r"\d{16}", r"\d{12}", r"[A-Z]{2}\d{9}CA"),
    batch=1,
    fetch=fetch,
    rate=1.0,
    full_history=True,
    credentials=(
        Credential("username", "first half of an API key of the Developer Program", secret=False),
        Credential("password", "second half of it"),
    ),
)
