"""USPS: Tracking v3 by query, and the pushes of Subscriptions - Tracking v3."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
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
    Push,
    Reply,
    Report,
    Scan,
    Signed,
    Summary,
    dict_at,
    moment,
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    same_secret,
    text_at,
    token_of,
)
from carriers.usps.codes import MILESTONES

DOCS = "https://developers.usps.com/trackingv3"
PROBLEMS = {
    "400": ProblemKind.INVALID,
    "401": ProblemKind.REFUSED,
    "403": ProblemKind.REFUSED,
    "404": ProblemKind.NOT_FOUND,
    "429": ProblemKind.LIMITED,
}
# The day, from the firmest to the vaguest. Newer answers keep it in deliveryDateExpectation.
EXPECTED = (
    "expectedDeliveryDate",
    "expectedDeliveryTimeStamp",
    "predictedDeliveryDate",
    "predictedDeliveryTimeStamp",
    "guaranteedDeliveryDate",
    "guaranteedDeliveryTimeStamp",
)
_MARKUP = re.compile(r"<[^>]*>")
_OFFSET = re.compile(r"([+-])(\d{1,2}):?(\d{2})")  # -05:00, and -7:00 in the specification


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each number: USPS takes one at a time."""
    return [await _track(http, ask) for ask in asks]


async def _track(http: Http, ask: Ask) -> Reply:
    params = [("expand", "DETAIL")]
    if ask.ship_date:  # tells apart the items of a number that was used again
        params.append(("mailingDate", ask.ship_date))
    url = f"/tracking/v3/tracking/{quote(ask.number, safe='')}"
    return await http.request("GET", url, headers=await _headers(http), params=params)


async def _headers(http: Http) -> dict[str, str]:
    return {"Authorization": f"Bearer {await http.token('oauth', _obtain_token)}", "Accept": "application/json"}


async def _obtain_token(http: Http) -> tuple[str, float]:
    """A fresh bearer, for all that the app may do, and its life in seconds (eight hours)."""
    wanted = {
        "grant_type": "client_credentials",
        "client_id": http.credentials["client_id"],
        "client_secret": http.credentials["client_secret"],
    }
    headers = {"Content-Type": "application/json"}
    reply = await http.request("POST", "/oauth2/v3/token", headers=headers, data=json.dumps(wanted).encode())
    return token_of(reply, life_s=28_800)


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> Mapping[str, str]:
    """Have USPS push every update of each number to `callback`; the refusals by number."""
    if not http.credentials.get("webhook_secret"):
        return {
            ask.number: "the connection holds no webhook_secret, and unsigned pushes are not accepted" for ask in asks
        }
    answers = {ask.number: await _subscribe(http, ask.number, callback) for ask in asks}
    return {number: why for number, why in answers.items() if why}


async def _subscribe(http: Http, number: str, callback: str) -> str:
    """Why USPS does not subscribe to the number, "" where it does."""
    wanted: dict[str, Any] = {
        "listenerURL": callback,
        "secret": http.credentials["webhook_secret"],
        "filterProperties": {"trackingNumber": number, "trackingEventTypes": ["ALL_UPDATES"]},
    }
    if email := http.credentials.get("admin_email"):
        wanted["adminNotification"] = [{"email": email}]
    headers = await _headers(http) | {"Content-Type": "application/json"}
    url = "/subscriptions-tracking/v3/subscriptions"
    reply = await http.request("POST", url, headers=headers, data=json.dumps(wanted).encode())
    answer = object_of(read_json(reply.body), "$")
    return _problem(answer).text if "error" in answer else ""


# ---------------------------------------------------------------- pushes


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """`X-HMAC`: base64 of HMAC-SHA256 over `timestamp` and `payload`, the two texts of the envelope, as they stand."""
    try:
        envelope = object_of(read_json(push.body), "$")
        signed = text_at(envelope, "timestamp", "$") + str(envelope.get("payload", ""))
    except ParseError:
        return False
    key = credentials.get("webhook_secret", "")
    digest = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    given = push.headers.get("x-hmac", "") or push.headers.get("hmac-header", "")  # its name of old
    return bool(key) and same_secret(given.strip(), base64.b64encode(digest).decode())


def signed_at(push: Push) -> float | None:
    """The envelope's `timestamp`, which is signed."""
    at = moment_at(object_of(read_json(push.body), "$"), "timestamp", "$", zone=0)
    return float(at.instant) if at else None


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer (one item, or a list of them), an error, or a push with the item as JSON inside a JSON string."""
    value = read_json(body)
    rows = value if isinstance(value, list) and value else [value]
    return [_report(object_of(row, f"$[{place}]"), f"$[{place}]") for place, row in enumerate(rows)]


def _report(root: dict[str, Any], path: str) -> Report:
    if "payload" in root:
        item = f"{path}.payload<json>"
        return _item(object_of(read_json(text_at(root, "payload", path), item), item), item, pushed=True)
    if "error" in root:
        return Report(waybill=text_at(root, "trackingNumber", path), problem=_problem(root))
    return _item(root, path, pushed=False)


def _problem(root: dict[str, Any]) -> Problem:
    """The error's code is the HTTP status. What USPS has not seen yet it calls a bad request, too."""
    error = dict_at(root, "error", "$")
    code, words = text_at(error, "code", "$.error"), text_at(error, "message", "$.error")
    details = rows_at(error, "errors", "$.error")
    words = words or next((text_at(row, "detail", "$.error.errors") for row in details), "")
    unseen = "not yet available" in words or "not available" in words
    kind = ProblemKind.NOT_FOUND if unseen else PROBLEMS.get(code, ProblemKind.UNAVAILABLE)
    return Problem(kind, f"{code}: {words}")


def _item(row: dict[str, Any], path: str, *, pushed: bool) -> Report:
    waybill = text_at(row, "trackingNumber", path)
    if not waybill:
        raise ParseError(f"{path}.trackingNumber", "missing")
    events = rows_at(row, "trackingEvents", path)
    scans = [_scan(event, f"{path}.trackingEvents[{place}]") for place, event in enumerate(events)]
    history = oldest_first(reversed(scans))  # the newest comes first, also within a minute
    summary = _summary(row, history, events, path)
    return Report(waybill=waybill, scans=history, full=bool(history) and not pushed, summary=summary)


def _scan(row: dict[str, Any], path: str) -> Scan:
    text, code = text_at(row, "eventType", path), text_at(row, "eventCode", path)
    back = code == "01" and "original sender" in text.lower()  # the code is that of any delivery
    return Scan(
        time=_time(row, path),
        code=f"{code}/sender" if back else code,
        text=text,
        location=_place(row, "event", path),
    )


def _time(row: dict[str, Any], path: str) -> Moment | None:
    """eventTimestamp is the local reading; GMTOffset stands beside it, GMTTimestamp counts only where that is all."""
    local = moment_at(row, "eventTimestamp", path)
    if local is None:
        return moment_at(row, "GMTTimestamp", path)
    written = _OFFSET.fullmatch(text_at(row, "GMTOffset", path))
    if written is None or local.offset is not None:
        return local
    text = f"{text_at(row, 'eventTimestamp', path)}{written[1]}{written[2]:>02}:{written[3]}"
    return moment(text, path=f"{path}.eventTimestamp")


def _place(row: dict[str, Any], prefix: str, path: str) -> str:
    """City, state and country of the event, the origin or the destination."""
    country = text_at(row, f"{prefix}Country", path) or text_at(row, f"{prefix}CountryCode", path)
    parts = (text_at(row, f"{prefix}City", path), text_at(row, f"{prefix}State", path), country)
    return ", ".join(filter(None, parts))


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], scans: tuple[Scan, ...], events: list[dict[str, Any]], path: str) -> Summary:
    begins, by = _expected(dict_at(row, "deliveryDateExpectation", path) or row, path)
    signers = (text_at(event, "name", path) or text_at(event, "firm", path) for event in events)
    return Summary(
        status=_status(row, scans, path),
        expected_from=begins,
        expected_to=by,
        signed_by=next(filter(None, signers), ""),
        service=html.unescape(_MARKUP.sub("", text_at(row, "mailClass", path))),
        origin=_place(row, "origin", path),
        destination=_place(row, "destination", path),
    )


def _status(row: dict[str, Any], scans: tuple[Scan, ...], path: str) -> Scan | None:
    """`status` repeats the newest event, or stands at its time under its category."""
    text, newest = text_at(row, "status", path), scans[-1] if scans else None
    if newest and text == newest.text:
        return newest
    code = text_at(row, "statusCategory", path)
    return Scan(time=newest.time if newest else None, code=code, text=text) if code or text else None


def _expected(row: dict[str, Any], path: str) -> tuple[Moment | None, Moment | None]:
    """The expected day, with the window if one is predicted."""
    day = next(filter(None, (text_at(row, key, path) for key in EXPECTED)), "")[:10]
    begins, ends = (text_at(row, f"predictedDeliveryWindow{end}Time", path) for end in ("Start", "End"))
    return (
        moment_or_none(f"{day} {begins}") if begins else None,
        moment_or_none(f"{day} {ends}".strip()) or moment_or_none(day),
    )


carrier = Carrier(
    slug="usps",
    name="USPS",
    name_zh="美国邮政",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://apis.usps.com",
    sandbox="https://apis-tem.usps.com",
    numbers=(r"9[1-5]\d{20}", r"9[1-5]\d{24}", r"420\d{5}(\d{4})?9[1-5]\d{20}", r"[A-Z]{2}\d{9}US"),
    batch=1,
    fetch=fetch,
    verify=verify,
    signed=Signed(signed_at, repeated_s=3 * 86_400),  # whether a push that is repeated is signed anew is not documented
    subscribe=subscribe,
    rate=0.2,  # the quota of a new app is small; USPS grants more
    full_history=True,
    credentials=(
        Credential("client_id", "consumer key of the app in the USPS developer portal", secret=False),
        Credential("client_secret", "consumer secret of the same app"),
        Credential("webhook_secret", "32 characters of your own, with which USPS signs its pushes", required=False),
        Credential("admin_email", "where USPS writes if it can't push", secret=False, required=False),
    ),
)
