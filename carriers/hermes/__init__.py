"""Hermes Germany, Shipment Info of the Hermes Shipping Interface: OAuth, a hundred shipments a query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from carriers.hermes.codes import MILESTONES
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
    token_of,
)

DOCS = "https://developer.hermesworld.com/"
BASE = "https://de-api.hermesworld.com/services/hsi"
SANDBOX = "https://de-api-int.hermesworld.com/services/hsi"
# Tokens come from another host; a connection with a base of its own has them below it.
TOKENS = {BASE: "https://authme.myhermes.de", SANDBOX: "https://authme-int.myhermes.de"}
BATCH = 100
GERMANY = "Europe/Berlin"  # the slot of the forecast is in "CET or CEST"
PROBLEMS = {
    "e001": ProblemKind.NOT_FOUND,
    "e005": ProblemKind.INVALID,
    "e006": ProblemKind.INVALID,
    "e008": ProblemKind.INVALID,
    "e009": ProblemKind.INVALID,
    "e900": ProblemKind.REFUSED,
    "e902": ProblemKind.REFUSED,  # the token is none
    "e903": ProblemKind.REFUSED,  # the token has expired
}
_GROUPS = re.compile(r"(\d{1,3})-(\d{1,3})-(\d{1,3})|(\d{3})(\d{3})(\d{3})")


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each hundred numbers."""
    return [await _info(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _info(http: Http, asks: Sequence[Ask]) -> Reply:
    token = await http.token("oauth", _obtain_token)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Accept-Language": "EN"}
    numbers = [("shipmentID", ask.number) for ask in asks]
    return await http.request("GET", "/shipmentinfo", headers=headers, params=numbers)


async def _obtain_token(http: Http) -> tuple[str, float]:
    """A fresh bearer and its life in seconds (an hour)."""
    names = ("client_id", "client_secret", "username", "password")
    form = {"grant_type": "password"} | {name: http.credentials[name] for name in names}
    url = TOKENS.get(http.base, "") + "/authorization-facade/oauth2/access_token"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await http.request("POST", url, headers=headers, data=urlencode(form).encode())
    return token_of(reply, life_s=3600)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """An answer with its shipments, or the result codes of a call that failed."""
    root = object_of(read_json(body), "$")
    if "shipmentinfo" in root:
        rows = rows_at(root, "shipmentinfo", "$")
        if not rows:
            return [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no shipments"))]
        return [_report(row, f"$.shipmentinfo[{place}]") for place, row in enumerate(rows)]
    for result in rows_at(root, "listOfResultCodes", "$"):
        return [Report(waybill="", problem=_problem(result, "$.listOfResultCodes"))]
    if error := text_at(root, "error", "$"):  # access_denied
        words = text_at(root, "error_description", "$")
        return [Report(waybill="", problem=Problem(ProblemKind.REFUSED, f"{error}: {words}"))]
    raise ParseError("$", "neither shipmentinfo, listOfResultCodes nor error")


def _problem(result: dict[str, Any], path: str) -> Problem:
    code, words = text_at(result, "code", path), text_at(result, "message", path)
    return Problem(PROBLEMS.get(code, ProblemKind.UNAVAILABLE), f"{code}: {words}")


def _report(row: dict[str, Any], path: str) -> Report:
    waybill = text_at(row, "shipmentID", path)
    if not waybill:
        raise ParseError(f"{path}.shipmentID", "missing")
    rows = rows_at(row, "status", path)
    result = dict_at(row, "result", path)
    if result and not rows:
        return Report(waybill=waybill, problem=_problem(result, f"{path}.result"))
    scans = oldest_first(_scan(one, f"{path}.status[{place}]") for place, one in enumerate(rows))
    return Report(waybill=waybill, scans=scans, full=bool(scans), summary=_summary(row, waybill, path))


def _scan(row: dict[str, Any], path: str) -> Scan:
    return Scan(
        time=moment_at(row, "timestamp", path),
        code=_code(text_at(row, "code", path)),
        text=text_at(row, "description", path),
        location=_place(dict_at(row, "scanningUnit", path), path),
    )


@lru_cache(maxsize=1024)
def _code(text: str) -> str:
    """A code of three groups (`90-1-4`, `090001004`) as a path (`090/001/004`); one of four digits as it stands."""
    groups = _GROUPS.fullmatch(text)
    return "/".join(group.zfill(3) for group in groups.groups() if group is not None) if groups else text


def _place(row: dict[str, Any], path: str) -> str:
    return ", ".join(filter(None, (text_at(row, "city", path), text_at(row, "countryCode", path))))


# ---------------------------------------------------------------- the summary


def _summary(row: dict[str, Any], waybill: str, path: str) -> Summary:
    begins, by = _expected(dict_at(row, "deliveryForecast", path), path)
    partner = text_at(row, "internationalShipmentID", path)
    return Summary(
        expected_from=begins,
        expected_to=by,
        destination=_place(dict_at(row, "receiverAddress", path), path),
        successor="" if partner == waybill else partner,
    )


def _expected(forecast: dict[str, Any], path: str) -> tuple[Moment | None, Moment | None]:
    """The day of the forecast, with the slot if one is known."""
    day, slot = text_at(forecast, "date", path), dict_at(forecast, "timeSlot", path)
    begins, ends = text_at(slot, "from", path), text_at(slot, "to", path)
    return (
        moment_or_none(f"{day} {begins}", zone=GERMANY) if begins else None,
        moment_or_none(f"{day} {ends}" if ends else day, zone=GERMANY),
    )


carrier = Carrier(
    slug="hermes",
    name="Hermes Germany",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base=BASE,
    sandbox=SANDBOX,
    numbers=(r"[HT]\d{19}", r"[HT]\d{16}"),
    batch=BATCH,
    fetch=fetch,
    rate=1.0,  # the limit is not published
    full_history=True,
    credentials=(
        Credential("client_id", "id of the application, given by Hermes for the HSI", secret=False),
        Credential("client_secret", "secret of that application"),
        Credential("username", "user of the Hermes business customer", secret=False),
        Credential("password", "password of that user"),
    ),
    zone=GERMANY,
)
