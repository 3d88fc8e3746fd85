"""J&T Express China (极兔速递), open platform: traces by query, subscription and push.

https://open.jtexpress.com.cn (物流轨迹: 轨迹查询, 轨迹订阅, 轨迹回传)
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

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
    Push,
    R,
    Reply,
    Report,
    Scan,
    coarse,
    dict_at,
    form,
    moment,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    same_secret,
    text_at,
)

TRACE = "/webopenplatformapi/api/logistics/trace"
SUBSCRIBE = "/webopenplatformapi/api/trace/subscribe"
BATCH = 10  # J&T advises no more
DONE = "1"

# The nodes of a subscription (轨迹订阅, traceNode), which are the numbers of `scanType` and `scanTypeCode`.
NODES: dict[str, Meaning] = {
    "1": M.PICKED_UP,
    "2": coarse(M.HUB_ARRIVED),  # out of use, and not subscribed to
    "3": coarse(M.HUB_DEPARTED),
    "4": coarse(M.HUB_ARRIVED),  # a hub, or the depot that delivers
    "5": M.OUT_FOR_DELIVERY,
    "6": M.AVAILABLE_FOR_PICKUP,  # taken in by a 驿站
    "7": M.AVAILABLE_FOR_PICKUP,  # taken in by an agent
    "8": None,  # taken out again, by courier or recipient, nothing says; a 10 follows where it was the latter
    "9": None,  # left the 驿站: likewise
    "10": coarse(M.DELIVERED),  # a 驿站 that signs says so in words
    "11": coarse(M.EXCEPTION, R.OTHER),
    "12": coarse(M.IN_TRANSIT),
    "13": coarse(M.NOTE),
    "14": coarse(M.RETURNING),
}
NAMES = {
    "快件揽收": "1",
    "入仓扫描": "2",
    "发件扫描": "3",
    "到件扫描": "4",
    "出仓扫描": "5",
    "入库扫描": "6",
    "代理点收入扫描": "7",
    "快件取出扫描": "8",
    "出库扫描": "9",
    "快件签收": "10",
    "问题件扫描": "11",
    "安检扫描": "12",
    "其他扫描": "13",
    "退件扫描": "14",
}
MILESTONES: dict[str, Meaning] = NODES | {name: NODES[node] for name, node in NAMES.items()}
ALL_NODES = "&".join(node for node in NODES if node != "2")

# 状态码 at the end of each interface's page. Over the rate is said in words only.
FAILURES = {
    "145003010": ProblemKind.REFUSED,  # no such API account
    "145003012": ProblemKind.REFUSED,  # no permission for this interface
    "145003030": ProblemKind.REFUSED,  # signature
    "145003051": ProblemKind.REFUSED,  # apiAccount is empty
    "145003052": ProblemKind.REFUSED,  # digest is empty
    "145003053": ProblemKind.REFUSED,  # timestamp is empty
    "145003071": ProblemKind.REFUSED,  # apiAccount is empty
    "145003050": ProblemKind.INVALID,  # illegal parameters
    "145003064": ProblemKind.NOT_FOUND,
    "145003040": ProblemKind.UNAVAILABLE,
    "145005000": ProblemKind.UNAVAILABLE,
}
TOO_OFTEN = ("频繁", "限流", "超限", "上限")
PLACE = ("scanNetworkProvince", "scanNetworkCity", "scanNetworkArea")
_OFFSET = re.compile(r"GMT([+-]\d\d:\d\d)")


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """One answer for each ten numbers."""
    numbers = [",".join(ask.number for ask in some) for some in _batches(asks)]
    return [await _send(http, TRACE, {"billCodes": some}) for some in numbers]


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Have J&T push every node of the numbers to `callback`; refusals by number."""
    refused: dict[str, str] = {}
    for some in _batches(asks):
        wishes = [{"traceNode": ALL_NODES, "waybillCode": ask.number, "backUrl": callback} for ask in some]
        reply = await _send(http, SUBSCRIBE, {"id": http.credentials["api_account"], "list": wishes})
        refused |= _refused(object_of(read_json(reply.body), "$"), some)
    return refused


def _refused(answer: dict[str, Any], asks: Sequence[Ask]) -> dict[str, str]:
    if text_at(answer, "code", "$") != DONE:
        return {ask.number: _words(answer) for ask in asks}
    results = rows_at(dict_at(answer, "data", "$"), "list", "$.data")
    failed = (row for row in results if text_at(row, "isSuccess", "$.data.list") in ("false", "0"))
    return {text_at(row, "waybillCode", "$.data.list"): _words(answer) for row in failed}


def _batches(asks: Sequence[Ask]) -> Iterator[Sequence[Ask]]:
    return (asks[start : start + BATCH] for start in range(0, len(asks), BATCH))


async def _send(http: Http, path: str, content: Mapping[str, object]) -> Reply:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded;charset=utf-8",
        "apiAccount": http.credentials["api_account"],
        "digest": digest(text, http.credentials["private_key"]),
        "timestamp": str(int(http.now() * 1000)),
    }
    return await http.request("POST", path, headers=headers, data=urlencode({"bizContent": text}).encode())


def digest(content: str, private_key: str) -> str:
    """J&T's signature of queries and pushes: base64 of the raw MD5."""
    return base64.b64encode(hashlib.md5((content + private_key).encode(), usedforsecurity=False).digest()).decode()


# ---------------------------------------------------------------- hearing


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """The header `digest` over the decoded bizContent."""
    key = credentials.get("private_key", "")
    try:
        content = form(push.body).get("bizContent")
    except ParseError:
        return False
    return bool(key) and content is not None and same_secret(push.headers.get("digest", ""), digest(content, key))


def acknowledge(accepted: bool) -> tuple[int, str, bytes]:
    """What J&T waits for."""
    answer = (
        {"code": "1", "msg": "success", "data": "SUCCESS"} if accepted else {"code": "0", "msg": "fail", "data": ""}
    )
    return 200, "application/json; charset=utf-8", json.dumps(answer, separators=(",", ":")).encode()


def parse(body: bytes, content_type: str) -> list[Report]:
    """Read an answer to a query or a subscription, or a push (the form, or its `bizContent` alone)."""
    value = read_json(*_message(body))
    if isinstance(value, dict) and "code" in value:
        return _answered(value)
    rows = value if isinstance(value, list) else [value]
    reports = [_bill(object_of(row, f"$[{place}]"), f"$[{place}]", full=False) for place, row in enumerate(rows)]
    if not reports:
        raise ParseError("$", "neither an answer (code, data) nor a push (billCode, details)")
    return reports


def _message(body: bytes) -> tuple[bytes | str, str]:
    if body.lstrip()[:1] in (b"{", b"[", b"<") or b"bizContent=" not in body:
        return body, "$"
    return form(body).get("bizContent", ""), "$.bizContent"


def _answered(answer: dict[str, Any]) -> list[Report]:
    code = text_at(answer, "code", "$")
    if code != DONE:
        kind = FAILURES.get(code, ProblemKind.UNAVAILABLE)
        too_often = any(word in text_at(answer, "msg", "$") for word in TOO_OFTEN)
        return [Report(waybill="", problem=Problem(ProblemKind.LIMITED if too_often else kind, _words(answer)))]
    if isinstance(answer.get("data"), dict):  # a subscription
        return []
    rows = rows_at(answer, "data", "$")
    reports = [_bill(row, f"$.data[{place}]", full=True) for place, row in enumerate(rows)]
    return reports or [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no data"))]


def _words(answer: dict[str, Any]) -> str:
    return f"{text_at(answer, 'code', '$')} {text_at(answer, 'msg', '$')}".strip()


def _bill(row: dict[str, Any], path: str, *, full: bool) -> Report:
    """The traces of one number: all of them in an answer; a push need not tell all."""
    waybill = text_at(row, "billCode", path)
    if not waybill:
        raise ParseError(f"{path}.billCode", "missing: whose traces are they?")
    details = rows_at(row, "details", path)
    scans = oldest_first(_scan(detail, f"{path}.details[{place}]") for place, detail in enumerate(details))
    if not scans:
        return Report(waybill=waybill, problem=Problem(ProblemKind.NOT_FOUND, "no details"))
    return Report(waybill=waybill, scans=scans, full=full)


def _scan(detail: dict[str, Any], path: str) -> Scan:
    said = (text_at(detail, "desc", path), text_at(detail, "probleDescription", path))  # J&T's spelling
    place = [text_at(detail, key, path) for key in PLACE]
    return Scan(
        time=_time(detail, path),
        code=text_at(detail, "scanType", path) or text_at(detail, "scanTypeCode", path),
        text=" ".join(filter(None, said)),
        location="".join(dict.fromkeys(place)) or text_at(detail, "scanNetworkName", path),
    )


def _time(detail: dict[str, Any], path: str) -> Moment | None:
    """`scanTime` with the offset in `timeZone`, where there is one; in China none is sent, nor documented."""
    offset = _OFFSET.fullmatch(text_at(detail, "timeZone", path)) if "timeZone" in detail else None
    text = text_at(detail, "scanTime", path)
    return moment(text + offset[1] if offset else text, path=f"{path}.scanTime") if text else None


carrier = Carrier(
    slug="jtexpress",
    name="J&T Express",
    name_zh="极兔速递",
    docs="https://open.jtexpress.com.cn",
    milestones=MILESTONES,
    parse=parse,
    base="https://openapi.jtexpress.com.cn",
    sandbox="https://uat-openapi.jtexpress.com.cn",
    numbers=(r"(?:JT|UT)\d{13}",),
    batch=BATCH,
    fetch=fetch,
    verify=verify,
    subscribe=subscribe,
    acknowledge=acknowledge,
    full_history=True,
    credentials=(
        Credential("api_account", "apiAccount of the application in the console", secret=False),
        Credential("private_key", "privateKey of that application; it signs the pushes too"),
    ),
)
