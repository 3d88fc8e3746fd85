"""Cainiao (菜鸟), most parcels of AliExpress: its public tracker. Codes: `codes.py`; for people: README.md.

https://global.cainiao.com is the tracker's page; the interface behind it has no document of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from carriers.cainiao.codes import MILESTONES
from carriers.sdk import (
    Ask,
    Carrier,
    Certainty,
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
    moment,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

BATCH = 20  # no limit is documented; the page takes a hundred
_ZONE = re.compile(r"GMT([+-])(\d{1,2})(?::(\d\d))?", re.ASCII)  # GMT+8, GMT+08:00, GMT-3
_PLACE = re.compile(r"\[([^\]]+)\]")  # before the standard words: [Shatian Town] Processing at sorting center
_NUMBER = re.compile(r"[A-Z0-9]{8,35}$", re.ASCII)  # at the end of `realMailNo`
_MILLISECONDS = re.compile(r"\d{12,13}", re.ASCII)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each twenty numbers."""
    return [await _track(http, asks[start : start + BATCH]) for start in range(0, len(asks), BATCH)]


async def _track(http: Http, asks: Sequence[Ask]) -> Reply:
    params = [("mailNos", ",".join(ask.number for ask in asks)), ("lang", "en-US"), ("language", "en-US")]
    return await http.request("GET", "/global/detail.json", headers={"Accept": "application/json"}, params=params)


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """Read an answer of the tracker: a module for each number."""
    root = object_of(read_json(body), "$")
    if "module" not in root:
        if text_at(root, "success", "$") != "false":
            raise ParseError("$", "no answer of the tracker (module, success)")
        return [Report(waybill="", problem=Problem(ProblemKind.UNAVAILABLE, "success is false"))]
    reports = [_report(row, f"$.module[{place}]") for place, row in enumerate(rows_at(root, "module", "$"))]
    return reports or [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no module"))]


def _report(module: dict[str, Any], path: str) -> Report:
    waybill = text_at(module, "mailNo", path)
    if not waybill:
        raise ParseError(f"{path}.mailNo", "missing: whose parcel is it?")
    details = rows_at(module, "detailList", path)
    scans = oldest_first(_scan(detail, f"{path}.detailList[{place}]") for place, detail in enumerate(details))
    if not scans:
        return Report(waybill=waybill, problem=Problem(ProblemKind.NOT_FOUND, "no details"))
    return Report(waybill=waybill, scans=scans, full=True, summary=_summary(module, waybill, path))


def _scan(detail: dict[str, Any], path: str) -> Scan:
    words, standard = text_at(detail, "desc", path), text_at(detail, "standerdDesc", path)  # Cainiao's spelling
    place = _PLACE.match(standard)
    return Scan(
        time=_time(detail, path),
        code=text_at(detail, "actionCode", path).upper().replace(" ", "_"),  # seen in lower case, and with blanks
        text=words or standard,
        location=place[1] if place else "",
    )


def _time(detail: dict[str, Any], path: str) -> Moment | None:
    """`timeStr` on the clock of `timeZone`. The number in `time` takes every clock for Beijing's, so it is not read."""
    text = text_at(detail, "timeStr", path)
    return moment(text + _offset(text_at(detail, "timeZone", path)), path=f"{path}.timeStr") if text else None


@lru_cache(maxsize=256)
def _offset(zone: str) -> str:
    """GMT+8 as +08:00; "" where it is missing or no such thing, so that the offset stays unknown."""
    found = _ZONE.fullmatch(zone)
    return f"{found[1]}{int(found[2]):02}:{found[3] or '00'}" if found and int(found[2]) <= 14 else ""


def _summary(module: dict[str, Any], waybill: str, path: str) -> Summary:
    """Without `status`, whose words (DELIVERING for all of the journey, say) follow no list."""
    expected = dict_at(module, "globalEtaInfo", path)
    return Summary(
        expected_from=_instant(expected, "deliveryMinTime", f"{path}.globalEtaInfo"),
        expected_to=_instant(expected, "deliveryMaxTime", f"{path}.globalEtaInfo"),
        origin=text_at(module, "originCountry", path),
        destination=text_at(module, "destCountry", path),
        successor=_successor(module, waybill, path),
    )


def _instant(row: dict[str, Any], key: str, path: str) -> Moment | None:
    """Unix milliseconds, which are UTC by their nature; anything else tells no time."""
    text = text_at(row, key, path)
    return Moment(int(text) // 1000, 0, Certainty.GIVEN) if _MILLISECONDS.fullmatch(text) else None


def _successor(module: dict[str, Any], waybill: str, path: str) -> str:
    """The number of the carrier that delivers: plain, or at the end of a sentence."""
    told = text_at(module, "copyRealMailNo", path) or text_at(module, "realMailNo", path)
    found = _NUMBER.search(told)
    return found[0] if found and found[0] != waybill else ""


carrier = Carrier(
    slug="cainiao",
    name="Cainiao",
    name_zh="菜鸟",
    docs="https://global.cainiao.com",
    milestones=MILESTONES,
    parse=parse,
    base="https://global.cainiao.com",
    numbers=(r"LP\d{14}",),
    batch=BATCH,
    fetch=fetch,
    rate=0.2,
    min_interval=1800.0,
    full_history=True,
)
