"""KDNiao (快递鸟), an aggregator: queries, subscriptions and pushes. Codes: `codes.py`; for people: README.md.

https://www.kdniao.com/documents (即时查询, 物流跟踪, 在途监控, 快递查询)
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from carriers.kdniao.codes import CARRIERS, MILESTONES, OUR_SLUGS
from carriers.sdk import (
    Answer,
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
    form,
    moment,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    same_secret,
    text_at,
)

ASK_PATH, SUBSCRIBE_PATH = "/Ebusiness/EbusinessOrderHandle.aspx", "/api/dist"
QUERIES = ("1002", "8001", "8002")  # 即时查询, its enhanced edition, 快递查询
SUBSCRIPTIONS = ("1008", "8008")  # 物流跟踪, 在途监控
RECOGNISE, RECOGNISES_ITSELF = "2002", "8002"
PUSHES = ("101", "102")
_BEIJING = timezone(timedelta(hours=8))
TAILED = ("SF", "ZTO")  # shown only to who knows a phone number; to others CustomerName must not be sent
NO_TRACE = ("", "0")

# KDNiao documents no error codes, only `Reason` in words: the kind by what such words hold, the first that fits.
REASONS: Sequence[tuple[ProblemKind, tuple[str, ...]]] = (
    (
        ProblemKind.LIMITED,
        ("套餐", "次数", "频繁", "超限", "并发", "余额"),
    ),  # 没有可用套餐: the day's queries are used up
    (ProblemKind.REFUSED, ("签名", "EBusinessID", "商户", "权限", "未开通", "未认证")),
    (ProblemKind.NOT_FOUND, ("轨迹", "物流信息")),  # 暂无轨迹信息
    (ProblemKind.INVALID, ("参数", "编码", "手机", "单号", "CustomerName", "ShipperCode", "LogisticCode")),
)


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """Ask for one number a request, as KDNiao has it."""
    return [await _query(http, ask) for ask in asks]


async def _query(http: Http, ask: Ask) -> Reply:
    product = _product(http, "query", QUERIES)
    code = OUR_SLUGS.get(ask.carrier, "")
    if not code and product != RECOGNISES_ITSELF:
        code = await _recognise(http, ask.number)
    return await _send(http, ASK_PATH, product, _waybill(ask, code))


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Have numbers watched; refusals by number. `callback` is not sent: KDNiao pushes to the one URL of its console."""
    product = _product(http, "subscription", SUBSCRIPTIONS)
    answers = [(ask.number, await _subscribe(http, ask, product)) for ask in asks]
    return {number: refusal for number, refusal in answers if refusal}


async def _subscribe(http: Http, ask: Ask, product: str) -> str:
    code = OUR_SLUGS.get(ask.carrier) or await _recognise(http, ask.number)
    reply = await _send(http, SUBSCRIBE_PATH, product, _waybill(ask, code))
    answer = object_of(read_json(reply.body), "$")
    return "" if _succeeded(answer, "$") else _told(answer, "Reason", "$") or "refused"


async def _recognise(http: Http, number: str) -> str:
    """KDNiao's likeliest carrier code for a number; "" where it has none (the query then says so)."""
    reply = await _send(http, ASK_PATH, RECOGNISE, {"LogisticCode": number})
    guesses = rows_at(object_of(read_json(reply.body), "$"), "Shippers", "$")
    return text_at(guesses[0], "ShipperCode", "$.Shippers[0]") if guesses else ""


def _product(http: Http, name: str, known: Sequence[str]) -> str:
    """Which of the products in `known` the account has bought; the first unless the connection says."""
    product = http.credentials.get(name) or known[0]
    if product not in known:
        raise ParseError(f"credentials.{name}", f"{product!r} is no such interface: use one of {', '.join(known)}")
    return product


def _waybill(ask: Ask, code: str) -> dict[str, str]:
    waybill = {"ShipperCode": code, "LogisticCode": ask.number}
    return waybill | ({"CustomerName": ask.phone_tail} if code in TAILED and ask.phone_tail else {})


async def _send(http: Http, path: str, product: str, data: Mapping[str, str]) -> Reply:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    fields = {
        "RequestData": text,
        "EBusinessID": http.credentials["business_id"],
        "RequestType": product,
        "DataSign": sign(text, http.credentials["app_key"]),
        "DataType": "2",  # JSON
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
    return await http.request("POST", path, headers=headers, data=urlencode(fields).encode())


def sign(text: str, app_key: str) -> str:
    """KDNiao's signature of queries and pushes: base64 of the MD5 in lower-case hex."""
    return base64.b64encode(hashlib.md5((text + app_key).encode(), usedforsecurity=False).hexdigest().encode()).decode()


def needs(ask: Ask) -> str:
    """SF answers an aggregator only with a phone number's tail."""
    return "phone_tail" if ask.carrier == "sf" and not ask.phone_tail else ""


# ---------------------------------------------------------------- hearing


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """DataSign over the decoded RequestData; a RequestType, which is not signed, has to be one of a push."""
    key = credentials.get("app_key", "")
    try:
        fields = form(push.body)
    except ParseError:
        return False
    if not key or "RequestData" not in fields or fields.get("RequestType") not in PUSHES:
        return False
    return same_secret(fields.get("DataSign", ""), sign(fields["RequestData"], key))


def signed_at(push: Push) -> float | None:
    """`PushTime`, which stands in the RequestData that is signed; of Beijing, as KDNiao's clocks are."""
    at = moment_at(object_of(read_json(*_message(push.body)), "$"), "PushTime", "$", zone=480)
    return float(at.instant) if at else None


def respond(push: Push, accepted: bool, at: int) -> Answer:
    """What KDNiao waits for; where Success is not true, it pushes again. Its own number goes back to it."""
    answer = {
        "EBusinessID": _whose(push),
        "UpdateTime": datetime.fromtimestamp(at // 1000, _BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        "Success": accepted,
        "Reason": "" if accepted else "失败",
    }
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    return 200, "application/json; charset=utf-8", body


def _whose(push: Push) -> str:
    """The EBusinessID that a push names, "" where it can't be read."""
    try:
        return text_at(object_of(read_json(*_message(push.body)), "$"), "EBusinessID", "$")
    except ParseError:
        return ""


def parse(body: bytes, content_type: str) -> list[Report]:
    """Read an answer to a query or a subscription, or a push (the form, or its `RequestData` alone)."""
    value = object_of(read_json(*_message(body)), "$")
    if "Data" in value:
        rows = rows_at(value, "Data", "$")
        return [_history(row, f"$.Data[{place}]") for place, row in enumerate(rows)]
    if _key(value, "Success") not in value and _key(value, "Traces") not in value:
        raise ParseError("$", "neither an answer (Success, Traces) nor a push (Data)")
    return [] if _watched(value) else [_history(value, "$")]


def _watched(value: dict[str, Any]) -> bool:
    """Whether it is the answer to a subscription that was accepted: it names no number."""
    return _key(value, "LogisticCode") not in value and _key(value, "Traces") not in value and _succeeded(value, "$")


def _message(body: bytes) -> tuple[bytes | str, str]:
    if body.lstrip()[:1] in (b"{", b"[", b"<") or b"RequestData=" not in body:
        return body, "$"
    return form(body).get("RequestData", ""), "$.RequestData"


def _history(row: dict[str, Any], path: str) -> Report:
    """The whole history of one number; KDNiao tells it each time, and beside it why a watch has ended."""
    waybill, key = _told(row, "LogisticCode", path), _key(row, "Traces")
    traces = rows_at(row, key, path)
    scans = oldest_first(_scan(trace, f"{path}.{key}[{place}]") for place, trace in enumerate(traces))
    if scans and not waybill:
        raise ParseError(f"{path}.LogisticCode", "missing: whose history is it?")
    return Report(
        waybill=waybill,
        scans=scans,
        full=bool(scans),
        summary=_summary(row, scans[-1], path) if scans else None,
        carrier=_told(row, "ShipperCode", path),
        problem=None if scans and _succeeded(row, path) else _problem(row, path),
    )


def _scan(trace: dict[str, Any], path: str) -> Scan:
    """No document says whose clock `AcceptTime` is, and carriers abroad are told in the same list."""
    return Scan(
        time=moment_at(trace, _key(trace, "AcceptTime"), path),
        code=_told(trace, "Action", path),
        text=_told(trace, "AcceptStation", path),
        location=_told(trace, "Location", path),
    )


def _summary(row: dict[str, Any], newest: Scan, path: str) -> Summary:
    state = _told(row, "StateEx", path) or _told(row, "State", path)
    return Summary(status=_status(state, newest), expected_to=_expected(row, path))


def _status(state: str, newest: Scan) -> Scan | None:
    """The state as of the newest row, where it can say more; a row without a code lends it its words."""
    if state in NO_TRACE or newest.time is None or newest.code.startswith(state):
        return None
    return Scan(time=newest.time, code=state, text="" if newest.code else newest.text)


def _expected(row: dict[str, Any], path: str) -> Moment | None:
    """`EstimatedDeliveryTime` is a day, or words, which tell no time."""
    try:
        return moment(_told(row, "EstimatedDeliveryTime", path))
    except ParseError:
        return None


def _problem(row: dict[str, Any], path: str) -> Problem:
    reason = _told(row, "Reason", path)
    if _succeeded(row, path):
        return Problem(ProblemKind.NOT_FOUND, reason or "no traces")
    kinds = (kind for kind, words in REASONS if any(word in reason for word in words))
    return Problem(next(kinds, ProblemKind.UNAVAILABLE), reason or "no reason given")


def _succeeded(answer: dict[str, Any], path: str) -> bool:
    return _told(answer, "Success", path).lower() == "true"


def _told(row: dict[str, Any], key: str, path: str) -> str:
    return text_at(row, _key(row, key), path)


def _key(row: dict[str, Any], key: str) -> str:
    """The key as documented, or as some resellers pass it on: its first letter in lower case."""
    return key if key in row else key[0].lower() + key[1:]


carrier = Carrier(
    slug="kdniao",
    name="KDNiao",
    name_zh="快递鸟",
    docs="https://www.kdniao.com/documents",
    milestones=MILESTONES,
    parse=parse,
    base="https://api.kdniao.com",
    aggregator=True,
    carriers=CARRIERS,
    batch=1,
    full_history=True,
    fetch=fetch,
    subscribe=subscribe,
    verify=verify,
    signed=Signed(signed_at, repeated_s=3 * 86_400),  # whether a push that is repeated is signed anew is not documented
    respond=respond,
    credentials=(
        Credential("business_id", "用户ID (EBusinessID), from the console", secret=False),
        Credential("app_key", "API key: it signs the queries and the pushes"),
        Credential("query", "1002 (unless said), 8001 or 8002: the bought query", secret=False, required=False),
        Credential("subscription", "1008 (unless said) or 8008: the bought watch", secret=False, required=False),
    ),
    needs=needs,
)
