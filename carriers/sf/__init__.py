"""SF Express (顺丰), open platform 丰桥: routes by query and by push. Codes: `codes.py`; for people: README.md.

https://open.sf-express.com/Api (路由查询接口 EXP_RECE_SEARCH_ROUTES, 路由推送接口 RoutePushService)
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

from carriers.sdk import (
    Ask,
    Carrier,
    Credential,
    Http,
    ParseError,
    Problem,
    ProblemKind,
    Reply,
    Report,
    Scan,
    Summary,
    dict_at,
    moment_at,
    object_of,
    oldest_first,
    read_json,
    rows_at,
    text_at,
)
from carriers.sf.codes import MILESTONES

BASE = "https://bspgw.sf-express.com"
TOKENS = "https://sfapi.sf-express.com"  # where production gives out tokens; elsewhere it is the same host
SERVICE = "EXP_RECE_SEARCH_ROUTES"
CHINA = 8 * 60  # minutes east: acceptTime carries no zone
BATCH = 10  # more is error 8003
TOKEN_LIFE = 6900.0  # seconds; SF says 7200
STALE_TOKEN = (b'"A1002"', b'"A1011"')
NOT_OURS = "20028"  # 月结卡号不匹配: the waybill is not of our account, and the phone tail did not prove it

# API平台结果代码, at the end of every interface's page; https://open.sf-express.com/developSupport/976720 (开发规范)
PLATFORM = {
    "A1001": ProblemKind.INVALID,  # a required parameter is missing
    "A1002": ProblemKind.REFUSED,  # expired: the token, or the timestamp
    "A1003": ProblemKind.REFUSED,  # this address is not allowed
    "A1004": ProblemKind.REFUSED,  # no permission for this service
    "A1005": ProblemKind.LIMITED,  # over the rate
    "A1006": ProblemKind.REFUSED,  # wrong signature
    "A1007": ProblemKind.LIMITED,  # the same request again
    "A1008": ProblemKind.REFUSED,  # could not be decrypted
    "A1009": ProblemKind.UNAVAILABLE,  # the service behind it does not answer
    "A1010": ProblemKind.REFUSED,  # the application is not live yet
    "A1011": ProblemKind.REFUSED,  # OAuth2 failed: a wrong token, or one older than two hours
    "A1099": ProblemKind.UNAVAILABLE,  # its own fault
}
_SUCCESSOR = re.compile(r"新单号[是为]?\s*[:：]?\s*([A-Za-z0-9]{8,20})")


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """Ask for the routes of up to ten waybills a request; those with a phone tail apart from those without."""
    return [await _search(http, group) for group in _groups(asks)]


def _groups(asks: Sequence[Ask]) -> Iterator[Sequence[Ask]]:
    for some in ([ask for ask in asks if ask.phone_tail], [ask for ask in asks if not ask.phone_tail]):
        for start in range(0, len(some), BATCH):
            yield some[start : start + BATCH]


async def _search(http: Http, asks: Sequence[Ask]) -> Reply:
    data = query(asks)
    if http.credentials.get("auth", "digest") != "oauth2":
        return await _post(http, data)
    reply = await _post(http, data, await http.token("sf", _token))
    if not any(code in reply.body for code in STALE_TOKEN):
        return reply
    return await _post(http, data, await http.token("sf renewed", _token))  # revoked early, told with a 200


def query(asks: Sequence[Ask]) -> str:
    """The msgData that asks for `asks`; the phone tails stand in the order of the numbers."""
    message: dict[str, object] = {
        "language": "zh-CN",
        "trackingType": 1,  # by waybill
        "trackingNumber": [ask.number for ask in asks],
        "methodType": 1,  # standard routes
    }
    if any(ask.phone_tail for ask in asks):
        message["checkPhoneNo"] = ",".join(ask.phone_tail for ask in asks)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


async def _post(http: Http, data: str, token: str = "") -> Reply:
    timestamp = str(int(http.now() * 1000))
    fields = {
        "partnerID": http.credentials["partner_id"],
        "requestID": str(uuid4()),
        "serviceCode": SERVICE,
        "timestamp": timestamp,
        "msgData": data,
    }
    fields |= {"accessToken": token} if token else {"msgDigest": digest(data, timestamp, http.credentials["checkword"])}
    return await _send(http, "/std/service", fields)


def digest(data: str, timestamp: str, checkword: str) -> str:
    """SF's signature: base64 of the MD5 of the URL-encoded message, in the dialect of Java's URLEncoder."""
    encoded = quote_plus(data + timestamp + checkword, safe="*").replace("~", "%7E")
    return base64.b64encode(hashlib.md5(encoded.encode(), usedforsecurity=False).digest()).decode()


async def _token(http: Http) -> tuple[str, float]:
    fields = {
        "partnerID": http.credentials["partner_id"],
        "secret": http.credentials["checkword"],
        "grantType": "password",
    }
    host = TOKENS if http.base.rstrip("/") == BASE else ""
    reply = await _send(http, f"{host}/oauth2/accessToken", fields)
    answer = object_of(read_json(reply.body), "$")
    token = text_at(answer, "accessToken", "$")
    if not token:
        raise ParseError("$.accessToken", f"missing: {_said(answer, 'apiResultCode', 'apiErrorMsg')}")
    return token, TOKEN_LIFE


async def _send(http: Http, url: str, fields: dict[str, str]) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
    return await http.request("POST", url, headers=headers, data=urlencode(fields).encode())


def needs(ask: Ask) -> str:
    """A waybill that is not of the connection's own account is shown only to who knows a phone number of it."""
    return "" if ask.phone_tail else "phone_tail"


# ---------------------------------------------------------------- reading


def parse(body: bytes, content_type: str) -> list[Report]:
    """Read a push of routes, or an answer in its three layers."""
    value = object_of(read_json(body), "$")
    if "Body" in value:
        return _pushed(dict_at(value, "Body", "$"))
    if "apiResultCode" in value:
        return _answered(value)
    if "routeResps" in value or "msgData" in value:
        return _routed(value, "$")
    raise ParseError("$", "neither a push of routes (Body.WaybillRoute) nor an answer (apiResultCode)")


def acknowledge(accepted: bool) -> tuple[int, str, bytes]:
    """What SF waits for; anything else makes it send the routes again."""
    code, words = ("0000", "成功") if accepted else ("1000", "系统异常")
    answer = json.dumps({"return_code": code, "return_msg": words}, ensure_ascii=False, separators=(",", ":"))
    return 200, "application/json; charset=utf-8", answer.encode()


def _pushed(body: dict[str, Any]) -> list[Report]:
    """A push mixes the routes of up to ten waybills, of each only what is new."""
    routes: dict[str, list[Scan]] = {}
    path = "$.Body.WaybillRoute"
    if "WaybillRoute" not in body:
        raise ParseError(path, "missing: a push holds the routes there")
    for place, row in enumerate(rows_at(body, "WaybillRoute", "$.Body")):
        waybill = text_at(row, "mailno", f"{path}[{place}]")
        if not waybill:
            raise ParseError(f"{path}[{place}].mailno", "missing: whose route is it?")
        routes.setdefault(waybill, []).append(_scan(row, f"{path}[{place}]"))
    return [_report(waybill, scans) for waybill, scans in routes.items()]


def _answered(value: dict[str, Any]) -> list[Report]:
    code = text_at(value, "apiResultCode", "$")
    if code != "A1000":
        return [_failed(PLATFORM.get(code, ProblemKind.UNAVAILABLE), value, "apiResultCode", "apiErrorMsg")]
    path = "$.apiResultData"
    return _routed(_opened(value, "apiResultData", "$"), path)


def _routed(result: dict[str, Any], path: str) -> list[Report]:
    """The inner layer. A1000 outside says only that the platform passed the question on."""
    if text_at(result, "success", path) == "false" or text_at(result, "errorCode", path) not in ("", "S0000"):
        return [_failed(_kind(text_at(result, "errorCode", path)), result, "errorCode", "errorMsg")]
    message = _opened(result, "msgData", path) if "msgData" in result else result
    path = f"{path}.msgData.routeResps"
    answers = rows_at(message, "routeResps", path.removesuffix(".routeResps"))
    reports = [_route(answer, f"{path}[{place}]") for place, answer in enumerate(answers)]
    return reports or [Report(waybill="", problem=Problem(ProblemKind.NOT_FOUND, "no routes"))]


def _opened(value: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    """`value[key]`, which is JSON in a string, or (from some gateways) the object itself."""
    inner = value.get(key)
    return object_of(read_json(inner, f"{path}.{key}") if isinstance(inner, str) else inner, f"{path}.{key}")


def _kind(code: str) -> ProblemKind:
    """8003 too many numbers, 8247 a bad waybill, and the like: what was asked was wrong."""
    return ProblemKind.INVALID if code.startswith("8") else ProblemKind.UNAVAILABLE


def _route(answer: dict[str, Any], path: str) -> Report:
    waybill = text_at(answer, "mailNo", path)
    rows = rows_at(answer, "routes", path)
    if not waybill:
        raise ParseError(f"{path}.mailNo", "missing: whose routes are these?")
    if not rows:
        return Report(waybill=waybill, problem=_unrouted(answer, path))
    return _report(waybill, [_scan(row, f"{path}.routes[{place}]") for place, row in enumerate(rows)])


def _unrouted(answer: dict[str, Any], path: str) -> Problem:
    reason = text_at(answer, "reasonCode", path)
    if not reason:
        return Problem(ProblemKind.NOT_FOUND, "no routes")
    kind = ProblemKind.INVALID if reason == NOT_OURS else ProblemKind.NOT_FOUND
    return Problem(kind, _said(answer, "reasonCode", "reasonRemark"))


def _report(waybill: str, scans: list[Scan]) -> Report:
    successor = next(
        (found[1] for scan in scans if "新单号" in scan.text and (found := _SUCCESSOR.search(scan.text))), ""
    )
    summary = Summary(successor=successor) if successor and successor != waybill else None
    return Report(waybill=waybill, scans=oldest_first(scans), summary=summary)


def _scan(row: dict[str, Any], path: str) -> Scan:
    remark, reason = text_at(row, "remark", path), text_at(row, "reasonName", path)
    return Scan(
        time=moment_at(row, "acceptTime", path, zone=CHINA),
        code=_code(row, path),
        text=f"{remark}（{reason}）" if reason and reason not in remark else remark,
        location=text_at(row, "acceptAddress", path),
    )


def _code(row: dict[str, Any], path: str) -> str:
    """`opCode/reasonCode`; where there is no opCode `s` + `firstStatusCode/secondaryStatusCode`."""
    operation, reason = text_at(row, "opCode", path), text_at(row, "reasonCode", path)
    if operation:
        return f"{operation}/{reason}" if reason else operation
    first, second = text_at(row, "firstStatusCode", path), text_at(row, "secondaryStatusCode", path)
    return "/".join(filter(None, (f"s{first}", second))) if first else ""


def _failed(kind: ProblemKind, value: dict[str, Any], code: str, words: str) -> Report:
    return Report(waybill="", problem=Problem(kind, _said(value, code, words)))


def _said(value: dict[str, Any], code: str, words: str) -> str:
    return f"{text_at(value, code, '$')} {text_at(value, words, '$')}".strip()


carrier = Carrier(
    slug="sf",
    name="SF Express",
    name_zh="顺丰速运",
    docs="https://open.sf-express.com/Api",
    milestones=MILESTONES,
    parse=parse,
    base=BASE,
    sandbox="https://sfapi-sbox.sf-express.com",
    numbers=(r"SF\d{10,15}", r"\d{12}"),
    batch=BATCH,
    rate=10.0,
    fetch=fetch,
    acknowledge=acknowledge,
    credentials=(
        Credential(name="partner_id", about="顾客编码, from the developer console", secret=False),
        Credential(name="checkword", about="校验码 of the same environment"),
        Credential(
            name="auth", about="digest (the default) or oauth2, as the application is set", secret=False, required=False
        ),
    ),
    needs=needs,
    zone="Asia/Shanghai",
)
