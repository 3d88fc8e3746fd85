"""The simulated carrier 模拟快递 of the demo: an ordinary adapter for a carrier that lives on loopback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

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
    hmac_sha256,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
    token_of,
)

MILESTONES: dict[str, Meaning] = {  # docs/demo.md, "Codes"
    "BKD": M.INFO_RECEIVED,
    "PUP": M.PICKED_UP,
    "ARR": M.HUB_ARRIVED,
    "DEP": M.HUB_DEPARTED,
    "LIN": M.IN_TRANSIT,
    "CIN": M.CUSTOMS_ENTERED,
    "COK": M.CUSTOMS_CLEARED,
    "HND": M.HANDED_OVER,
    "DPT": M.AT_DELIVERY_DEPOT,
    "OFD": M.OUT_FOR_DELIVERY,
    "FLD": M.DELIVERY_FAILED,
    "FLD/01": (M.DELIVERY_FAILED, R.RECIPIENT_ABSENT),
    "FLD/02": (M.DELIVERY_FAILED, R.RECIPIENT_UNREACHABLE),
    "FLD/03": (M.DELIVERY_FAILED, R.ADDRESS_PROBLEM),
    "FLD/04": (M.DELIVERY_FAILED, R.RECIPIENT_REFUSED),
    "LOC": M.AVAILABLE_FOR_PICKUP,
    "DLV": M.DELIVERED,
    "DLY": M.DELAYED,
    "DLY/WEATHER": (M.DELAYED, R.WEATHER),
    "EXC": M.EXCEPTION,
    "EXC/CUSTOMS": (M.EXCEPTION, R.CUSTOMS),
    "EXC/DAMAGED": (M.EXCEPTION, R.DAMAGED),
    "EXC/LOST": (M.EXCEPTION, R.LOST),
    "RTS": M.RETURNING,
    "RTD": M.RETURNED,
    "CNL": M.CANCELLED,
    "LBL": None,  # label reprinted
}

_CLIENT = ("client_id", "client_secret")
_PROBLEMS = {
    "NOT_FOUND": ProblemKind.NOT_FOUND,
    "BAD_NUMBER": ProblemKind.INVALID,
    "BAD_REQUEST": ProblemKind.INVALID,
    "BAD_CLIENT": ProblemKind.REFUSED,
    "UNAUTHORISED": ProblemKind.REFUSED,
    "TOO_MANY_NUMBERS": ProblemKind.INVALID,
    "TOO_MANY_REQUESTS": ProblemKind.LIMITED,
}


async def fetch(http: Http, asks: Sequence[Ask]) -> Sequence[Reply]:
    """Ask for up to 40 numbers in one query."""
    return [await _call(http, "POST", "/v1/track", {"numbers": [ask.number for ask in asks]})]


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> Mapping[str, str]:
    """Have every new scan of these numbers pushed to `callback`; what is known already comes at once."""
    body = {"numbers": [ask.number for ask in asks], "callback": callback}
    reply = await _call(http, "POST", "/v1/subscriptions", body)
    answer = object_of(read_json(reply.body), "$")
    if reply.status >= 300:
        return {ask.number: problem.text for problem in _problems(answer) for ask in asks}
    return {text_at(row, "number", "$"): text_at(row, "message", "$") for row in rows_at(answer, "rejected", "$")}


async def unsubscribe(http: Http, asks: Sequence[Ask]) -> None:
    """Want no more pushes for these numbers."""
    await _call(http, "DELETE", "/v1/subscriptions", {"numbers": [ask.number for ask in asks]})


async def _call(http: Http, method: str, path: str, body: Mapping[str, Any]) -> Reply:
    token = await http.token("bearer", _obtain)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return await http.request(method, path, headers=headers, data=msgspec.json.encode(body))


async def _obtain(http: Http) -> tuple[str, float]:
    ours = http.credentials
    form = urlencode([("grant_type", "client_credentials"), *((key, ours.get(key, "")) for key in _CLIENT)]).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await http.request("POST", "/oauth/token", headers=headers, data=form)
    return token_of(reply, life_s=60)


def parse(body: bytes, content_type: str) -> Sequence[Report]:
    """A query's answer (`shipments`, `errors`: whole histories) or a push (`shipment`: the news)."""
    root = object_of(read_json(body), "$")
    if "shipment" in root:
        return [_report(dict_at(root, "shipment", "$"), "$.shipment", full=False)]
    if "shipments" not in root and "errors" not in root:
        raise ParseError("$", "neither a query's answer (shipments, errors) nor a push (shipment)")
    rows = enumerate(rows_at(root, "shipments", "$"))
    told = [_report(row, f"$.shipments[{place}]", full=True) for place, row in rows]
    return [*told, *_refused(root)]


def _report(row: dict[str, Any], path: str, *, full: bool) -> Report:
    waybill = text_at(row, "number", path)
    if not waybill:
        raise ParseError(f"{path}.number", "missing: whose events are these?")
    return Report(
        waybill=waybill, scans=oldest_first(dict.fromkeys(_scans(row, path))), full=full, summary=_summary(row, path)
    )


def _scans(row: dict[str, Any], path: str) -> Iterator[Scan]:
    for place, event in enumerate(rows_at(row, "events", path)):
        here = f"{path}.events[{place}]"
        code, detail = text_at(event, "code", here), text_at(event, "detail", here)
        yield Scan(
            time=moment_at(event, "time", here),
            code=f"{code}/{detail}" if detail else code,
            text=text_at(event, "text", here),
            location=text_at(event, "location", here),
        )


def _summary(row: dict[str, Any], path: str) -> Summary:
    return Summary(
        expected_to=moment_at(row, "expected_to", path),
        signed_by=text_at(row, "signed_by", path),
        weight_g=_whole(row, "weight_g", path),
        service=text_at(row, "service", path),
        origin=text_at(row, "origin", path),
        destination=text_at(row, "destination", path),
    )


def _whole(row: dict[str, Any], key: str, path: str) -> int | None:
    value = row.get(key)
    if value is None or type(value) is int:
        return value
    raise ParseError(f"{path}.{key}", f"expected whole grams, found {value!r:.40}")


def _refused(root: dict[str, Any]) -> Iterator[Report]:
    for row, problem in zip(rows_at(root, "errors", "$"), _problems(root), strict=True):
        yield Report(waybill=text_at(row, "number", "$.errors"), problem=problem)


def _problems(root: dict[str, Any]) -> Iterator[Problem]:
    for row in rows_at(root, "errors", "$"):
        code = text_at(row, "code", "$.errors")
        text = f"{code}: {text_at(row, 'message', '$.errors')}"
        yield Problem(_PROBLEMS.get(code, ProblemKind.UNAVAILABLE), text)


def acknowledge(accepted: bool) -> tuple[int, str, bytes]:
    """`{"received": true}`; anything else makes the carrier push again."""
    return (200 if accepted else 503), "application/json", b'{"received": true}' if accepted else b'{"received": false}'


carrier = Carrier(
    slug="simulated",
    name="Simulated Carrier",
    name_zh="模拟快递",
    docs="https://milepost.example/docs/demo",
    milestones=MILESTONES,
    numbers=[r"SIM[A-Z]{3}\d{9}"],
    batch=40,
    rate=10.0,
    min_interval=1.0,
    full_history=True,
    credentials=[
        Credential("client_id", "the account at the carrier", secret=False),
        Credential("client_secret", "its password, for tokens"),
        Credential("webhook_secret", "signs the carrier's pushes: HMAC-SHA256, hex, in X-Simulated-Signature"),
    ],
    parse=parse,
    fetch=fetch,
    verify=hmac_sha256("X-Simulated-Signature", encoding="hex"),
    subscribe=subscribe,
    unsubscribe=unsubscribe,
    acknowledge=acknowledge,
)
