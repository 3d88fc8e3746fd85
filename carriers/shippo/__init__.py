"""Shippo Tracking: register, ask, and be told. An aggregator of some sixty carriers. For people: README.md."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
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
    moment_at,
    moment_or_none,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    same_secret,
    text_at,
)
from carriers.shippo.codes import CARRIERS, MILESTONES, OUR_SLUGS

DOCS = "https://docs.goshippo.com/docs/tracking/tracking"
PUSHED = "track_updated"
UNKNOWN = "UNKNOWN"
MIDNIGHT = "T00:00:00Z"  # of an expected day: a day and no instant, whatever the zone
GRAMS = {"g": 1.0, "kg": 1000.0, "oz": 28.349523125, "lb": 453.59237}
# Words in `detail`, for Shippo documents the HTTP statuses of its errors and not their bodies.
PROBLEMS = (
    ("not found", ProblemKind.NOT_FOUND),
    ("token", ProblemKind.REFUSED),
    ("credentials", ProblemKind.REFUSED),
    ("permission", ProblemKind.REFUSED),
    ("throttled", ProblemKind.LIMITED),
    ("unavailable", ProblemKind.UNAVAILABLE),
)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One call for each number, registered or not."""
    return [await http.request("GET", _path(ask), headers=_headers(http)) for ask in asks]


def _path(ask: Ask) -> str:
    return f"/tracks/{quote(_token(ask), safe='')}/{quote(ask.number, safe='')}"


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Register the numbers; why some were refused, by number. `callback` is not sent: the URLs stand in the portal."""
    answers = [(ask.number, await _register(http, ask)) for ask in asks]
    return {number: refusal for number, refusal in answers if refusal}


async def _register(http: Http, ask: Ask) -> str:
    body = json.dumps({"carrier": _token(ask), "tracking_number": ask.number}).encode()
    reply = await http.request("POST", "/tracks/", headers=_headers(http), data=body)
    answer = object_of(read_json(reply.body), "$")
    problem = None if _is_track(answer) else _problem(answer)
    return problem.text if problem else ""


def _token(ask: Ask) -> str:
    """Shippo's token of the carrier. It guesses none: one that the table lacks is asked for as we spell it."""
    return OUR_SLUGS.get(ask.carrier, ask.carrier)


def _headers(http: Http) -> dict[str, str]:
    return {"Authorization": f"ShippoToken {http.credentials['token']}", "Content-Type": "application/json"}


def needs(ask: Ask) -> str:
    """Shippo answers for a number of a named carrier only."""
    return "" if ask.carrier else "carrier"


# ---------------------------------------------------------------- hearing


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """`Shippo-Auth-Signature: t=…,v1=…`: hex HMAC-SHA256 over `t.body`, where Shippo gave the account a secret.

    Without one the push must bring the connection's own `webhook_token` as `?token=`.
    https://docs.goshippo.com/docs/tracking/webhooksecurity
    """
    secret = credentials.get("webhook_secret", "")
    if not secret:
        return same_secret(push.query.get("token", ""), credentials.get("webhook_token", ""))
    parts = _signature(push)
    signed = parts.get("t", "").encode() + b"." + push.body
    return same_secret(parts.get("v1", "").lower(), hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest())


def _signature(push: Push) -> dict[str, str]:
    signature = push.headers.get("shippo-auth-signature", "")
    return dict(part.strip().partition("=")[::2] for part in signature.split(","))


def signed_at(push: Push) -> float | None:
    """The `t` of the signature; a push that its token alone protects has none."""
    at = _signature(push).get("t", "")
    return float(at) if at.isdecimal() else None


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer, or a push; a push of something else than a track (a label that was bought) tells nothing."""
    root = object_of(read_json(body), "$")
    if "event" in root:
        track = dict_at(root, "data", "$")
        return [_report(track, "$.data")] if text_at(root, "event", "$") == PUSHED else []
    if _is_track(root):
        return [_report(root, "$")]
    if problem := _problem(root):
        return [Report(waybill="", problem=problem)]
    raise ParseError("$", "neither an event (a push), nor a track or a refusal (an answer)")


def _is_track(root: dict[str, Any]) -> bool:
    return "tracking_status" in root or "tracking_history" in root


def _problem(root: dict[str, Any]) -> Problem | None:
    """`{"detail": …}`, or the faults of the request by field: `{"carrier": ["…"]}`."""
    if detail := text_at(root, "detail", "$"):
        kinds = (kind for words, kind in PROBLEMS if words in detail.lower())
        return Problem(next(kinds, ProblemKind.INVALID), detail)
    faults = [f"{name}: {some[0]}" for name, some in root.items() if isinstance(some, list) and some]
    return Problem(ProblemKind.INVALID, "; ".join(faults)) if faults else None


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "tracking_number", path)
    if not waybill:
        raise ParseError(f"{path}.tracking_number", "missing")
    rows = rows_at(row, "tracking_history", path)
    scans = oldest_first(_scan(one, f"{path}.tracking_history[{place}]") for place, one in enumerate(rows))
    summary = _summary(row, path)
    return Report(
        waybill=waybill,
        scans=scans,
        full=bool(scans),
        summary=summary,
        carrier=text_at(row, "carrier", path),
        problem=None if scans or summary.status else Problem(ProblemKind.NOT_FOUND, "no tracking information"),
    )


def _scan(row: dict[str, Any], path: str) -> Scan:
    status, sub = text_at(row, "status", path), dict_at(row, "substatus", path)
    code = text_at(sub, "code", f"{path}.substatus")
    return Scan(
        time=moment_at(row, "status_date", path),
        code=f"{status}/{code}" if status and code else status,
        text=text_at(row, "status_details", path) or text_at(sub, "text", f"{path}.substatus"),
        location=_place(row, "location", path),
    )


def _place(row: dict[str, Any], name: str, path: str) -> str:
    place = dict_at(row, name, path)
    return ", ".join(filter(None, (text_at(place, part, f"{path}.{name}") for part in ("city", "state", "country"))))


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], path: str) -> Summary:
    latest = dict_at(row, "tracking_status", path)
    told = text_at(latest, "status", f"{path}.tracking_status") not in ("", UNKNOWN)
    return Summary(
        status=_scan(latest, f"{path}.tracking_status") if told else None,
        expected_to=moment_or_none(text_at(row, "eta", path).removesuffix(MIDNIGHT)),
        weight_g=_weight(rows_at(row, "weight", path), path),
        service=text_at(dict_at(row, "servicelevel", path), "name", f"{path}.servicelevel"),
        origin=_place(row, "address_from", path),
        destination=_place(row, "address_to", path),
    )


def _weight(rows: Sequence[dict[str, Any]], path: str) -> int | None:
    """The weight of UPS and FedEx parcels, told in several units: the first that is known counts."""
    for row in rows:
        unit = text_at(row, "unit", f"{path}.weight").lower()
        try:
            return max(0, round(float(text_at(row, "value", f"{path}.weight")) * GRAMS[unit])) or None
        except (KeyError, ValueError, OverflowError):
            continue
    return None


carrier = Carrier(
    slug="shippo",
    name="Shippo",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.goshippo.com",
    aggregator=True,
    carriers=CARRIERS,
    fetch=fetch,
    verify=verify,
    signed=Signed(signed_at, repeated_s=3 * 86_400),  # whether a push that is repeated is signed anew is not documented
    subscribe=subscribe,
    rate=8.0,  # 500 calls a minute
    full_history=True,
    credentials=(
        Credential("token", "live or test API token of the Shippo account"),
        Credential("webhook_secret", "the HMAC secret, where Shippo has given one", required=False),
        Credential("webhook_token", "without it: a random word of your own, `?token=` of the address", required=False),
    ),
    needs=needs,
)
