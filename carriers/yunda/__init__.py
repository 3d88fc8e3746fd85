"""Yunda (韵达速递), open platform: traces by query, one waybill each, once they have been subscribed to.

https://open.yundaex.com (物流轨迹查询, 物流轨迹订阅)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
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
    coarse,
    dict_at,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)

QUERY, SUBSCRIBE = "/openapi/outer/logictis/query", "/openapi/outer/logictis/subscribe"  # Yunda's spelling
SIGNED = "SIGNED"

# `action` of a step (节点状态), and `status` of a step and of the parcel (当前状态), which shares its words.
MILESTONES: dict[str, Meaning] = {
    "ACCEPT": coarse(M.PICKED_UP),  # 收件扫描
    "GOT": M.PICKED_UP,  # 揽件扫描
    "TRANSIT": coarse(M.IN_TRANSIT),  # 运输中, of `status` alone
    "ARRIVAL": coarse(M.HUB_ARRIVED),  # 入中转; the words tell a depot from a hub
    "DEPARTURE": coarse(M.HUB_DEPARTED),  # 出中转
    "SENT": M.OUT_FOR_DELIVERY,  # 派件中
    "INBOUND": M.AVAILABLE_FOR_PICKUP,  # 第三方代收入库
    "OUTBOUND": (M.DELIVERY_FAILED, R.OTHER),  # 第三方代收快递员取出: the courier took it back
    "SIGNED": coarse(M.DELIVERED),  # 已签收
    "SIGNFAIL": coarse(M.DELIVERY_FAILED, R.OTHER),  # 签收失败
    "RETURN": coarse(M.RETURNING),  # 退回件
    "ISSUE": coarse(M.EXCEPTION, R.OTHER),  # 问题件
    "REJECTION": coarse(M.EXCEPTION, R.RECIPIENT_REFUSED),  # 拒收
    "OTHER": coarse(M.NOTE),  # 其他
    "OVERSEA_IN": M.HUB_ARRIVED,  # 入库扫描
    "OVERSEA_OUT": M.HUB_DEPARTED,  # 出库扫描
    "OVERSEA_ARRIVAL": M.HUB_ARRIVED,  # 干线到达
    "OVERSEA_DEPARTURE": M.HUB_DEPARTED,  # 干线离开
    "CLEARANCE_START": M.CUSTOMS_ENTERED,
    "CLEARANCE_FINISH": M.CUSTOMS_CLEARED,
    "CLEARANCE_FAIL": (M.EXCEPTION, R.CUSTOMS),
    "TRANSFER": coarse(M.HANDED_OVER),  # 转单
}

# No list of error codes is public: the kind by what the message holds, the first that fits.
REASONS: Sequence[tuple[ProblemKind, tuple[str, ...]]] = (
    (ProblemKind.LIMITED, ("频繁", "限流", "超限", "上限", "次数")),
    (ProblemKind.REFUSED, ("签名", "sign", "app-key", "appkey", "权限", "授权")),
    (ProblemKind.NOT_FOUND, ("订阅", "无数据", "不存在", "查询不到", "未查询到", "轨迹")),
    (ProblemKind.INVALID, ("参数", "单号", "格式", "mailno")),
)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """Ask for one waybill a request, as Yunda has it."""
    return [await _send(http, QUERY, {"mailno": ask.number}) for ask in asks]


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Subscribe to waybills, without which a query finds nothing; refusals by number.

    `callback` is not sent: the address for pushes is agreed with Yunda.
    """
    orders = [{"orderid": ask.number, "mailno": ask.number} for ask in asks]
    reply = await _send(http, SUBSCRIBE, {"orders": orders})
    answer = object_of(read_json(reply.body), "$")
    return {} if _succeeded(answer, "$") else {ask.number: _words(answer, "$") for ask in asks}


async def _send(http: Http, path: str, content: object) -> Reply:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "app-key": http.credentials["app_key"],
        "sign": sign(text, http.credentials["app_secret"]),
        "req-time": str(int(http.now() * 1000)),
    }
    return await http.request("POST", path, headers=headers, data=text.encode())


def sign(text: str, app_secret: str) -> str:
    """Yunda's signature: the MD5 of body, underscore and secret in lower-case hex."""
    return hashlib.md5(f"{text}_{app_secret}".encode(), usedforsecurity=False).hexdigest()


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """Read an answer to a query, or its `data` alone."""
    value = object_of(read_json(body), "$")
    if "steps" in value:
        return [_traced(value, "$")]
    if isinstance(value.get("data"), dict) and _succeeded(value, "$"):
        return [_traced(dict_at(value, "data", "$"), "$.data")]
    if "result" not in value and "code" not in value:
        raise ParseError("$", "neither an answer (result, data) nor traces (mailno, steps)")
    return [] if _succeeded(value, "$") else [Report(waybill="", problem=_problem(value, "$"))]


def _traced(data: dict[str, Any], path: str) -> Report:
    waybill, rows = text_at(data, "mailno", path), rows_at(data, "steps", path)
    if not rows:
        return Report(waybill=waybill, problem=Problem(ProblemKind.NOT_FOUND, _words(data, path) or "no steps"))
    if not waybill:
        raise ParseError(f"{path}.mailno", "missing: whose traces are they?")
    scans = oldest_first(_scan(row, f"{path}.steps[{place}]") for place, row in enumerate(rows))
    return Report(waybill=waybill, scans=scans, full=True, summary=_summary(data, rows, scans[-1], path))


def _scan(step: dict[str, Any], path: str) -> Scan:
    """No document says whose clock `time` is, and steps abroad stand in the same list."""
    return Scan(
        time=moment_at(step, "time", path),
        code=text_at(step, "action", path) or text_at(step, "status", path),
        text=text_at(step, "description", path),
        location=text_at(step, "city", path) or text_at(step, "station_name", path),
    )


def _summary(data: dict[str, Any], rows: Sequence[dict[str, Any]], newest: Scan, path: str) -> Summary:
    signers = (text_at(row, "signer", path) for row in rows if text_at(row, "action", path) == SIGNED)
    told = {newest.code, *(text_at(row, "status", path) for row in rows)}
    return Summary(
        status=_status(text_at(data, "status", path), newest, told), signed_by=next(filter(None, signers), "")
    )


def _status(status: str, newest: Scan, told: set[str]) -> Scan | None:
    """The parcel's own status counts where no step has said it; to a signature the newest step lends its words."""
    if not status or status in told:
        return None
    return Scan(time=newest.time, code=status, text=newest.text if status == SIGNED else "")


def _problem(answer: dict[str, Any], path: str) -> Problem:
    words = _words(answer, path)
    kinds = (kind for kind, signs in REASONS if any(sign in words for sign in signs))
    return Problem(next(kinds, ProblemKind.UNAVAILABLE), words or "no reason given")


def _words(answer: dict[str, Any], path: str) -> str:
    said = (text_at(answer, key, path) for key in ("code", "message", "remark"))
    return " ".join(filter(None, said))


def _succeeded(answer: dict[str, Any], path: str) -> bool:
    return text_at(answer, "result", path).lower() == "true"


carrier = Carrier(
    slug="yunda",
    name="Yunda",
    name_zh="韵达速递",
    docs="https://open.yundaex.com",
    milestones=MILESTONES,
    parse=parse,
    base="https://openapi.yundaex.com",
    sandbox="https://u-openapi.yundasys.com",
    fetch=fetch,
    subscribe=subscribe,
    full_history=True,
    credentials=(
        Credential("app_key", "app-key of the application on the open platform", secret=False),
        Credential("app_secret", "app-secret of that application"),
    ),
)
