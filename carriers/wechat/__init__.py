"""WeChat's logistics assistant (微信物流助手): the waybills of a mini-program, of several carriers, in one interface.

https://developers.weixin.qq.com/miniprogram/dev/server/API/express/express-by-business/api_getpath.html
Codes: `codes.py`; for people: README.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from carriers.sdk import (
    Answer,
    Ask,
    Carrier,
    Certainty,
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
    object_of,
    oldest_first,
    read_json,
    rows_at,
    same_secret,
    text_at,
)
from carriers.wechat.codes import CARRIERS, MILESTONES, OUR_SLUGS
from carriers.xml_reading import read_xml

DOCS = "https://developers.weixin.qq.com/miniprogram/dev/server/API/express/express-by-business/api_getpath.html"
PATH_UPDATE = "add_express_path"
STALE_TOKEN = re.compile(rb'"errcode"\s*:\s*(?:40001|40014|42001)\b')  # told with a 200
_ECHO = re.compile(r"[A-Za-z0-9_-]{1,128}")  # what is sent back must be no page
_EPOCH = re.compile(r"\d{9,10}", re.ASCII)  # seconds, from 1973 to 2286

# https://developers.weixin.qq.com/doc/oplatform/developers/errCode/ (通用错误码), and those of the interface
PROBLEMS = {
    "-1": ProblemKind.UNAVAILABLE,  # busy
    "40001": ProblemKind.REFUSED,  # secret or token
    "40013": ProblemKind.REFUSED,  # appid
    "40014": ProblemKind.REFUSED,  # token
    "40125": ProblemKind.REFUSED,  # secret
    "40164": ProblemKind.REFUSED,  # this address is not on the white list
    "41001": ProblemKind.REFUSED,  # no token
    "42001": ProblemKind.REFUSED,  # token expired
    "48001": ProblemKind.REFUSED,  # no permission for this interface
    "45009": ProblemKind.LIMITED,  # the day's limit
    "45011": ProblemKind.LIMITED,  # too often
    "40097": ProblemKind.INVALID,  # parameter
    "47001": ProblemKind.INVALID,  # not JSON
    "40199": ProblemKind.NOT_FOUND,  # no such waybill
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """Ask for one waybill a request, as WeChat has it."""
    return [await _path(http, ask) for ask in asks]


async def _path(http: Http, ask: Ask) -> Reply:
    reply = await _get(http, ask, await http.token("wechat", _obtain_token))
    if not STALE_TOKEN.search(reply.body):
        return reply
    return await _get(http, ask, await http.token("wechat renewed", _obtain_token))


async def _get(http: Http, ask: Ask, token: str) -> Reply:
    wanted = {"delivery_id": OUR_SLUGS.get(ask.carrier, ""), "waybill_id": ask.number}
    return await _post(http, "/cgi-bin/express/business/path/get", wanted, params=[("access_token", token)])


async def _obtain_token(http: Http) -> tuple[str, float]:
    """The stable token and its life in seconds: asking ends no token of the mini-program's own server."""
    wanted = {
        "grant_type": "client_credential",
        "appid": http.credentials["app_id"],
        "secret": http.credentials["app_secret"],
    }
    answer = object_of(read_json((await _post(http, "/cgi-bin/stable_token", wanted)).body), "$")
    token = text_at(answer, "access_token", "$")
    if not token:
        raise ParseError("$.access_token", f"WeChat gave no token: {_said(answer)}")
    return token, float(text_at(answer, "expires_in", "$") or 7200)


async def _post(
    http: Http, path: str, content: Mapping[str, str], *, params: Sequence[tuple[str, str]] | None = None
) -> Reply:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return await http.request("POST", path, headers=headers, params=params, data=json.dumps(content).encode())


def needs(ask: Ask) -> str:
    """A query names the carrier; WeChat recognises none."""
    return "" if ask.carrier in OUR_SLUGS else "carrier"


# ---------------------------------------------------------------- hearing


def acknowledge(accepted: bool) -> tuple[int, str, bytes]:
    """What WeChat waits for: `success`, or nothing; anything else has it push again."""
    return (200, "text/plain", b"success") if accepted else (500, "text/plain", b"fail")


def greet(tried: Push, credentials: Mapping[str, str]) -> Answer | None:
    """WeChat tries an address with a signed GET, and wants its `echostr` back.

    https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html
    """
    echo, token = tried.query.get("echostr", ""), credentials.get("token", "")
    signed = sorted((token, tried.query.get("timestamp", ""), tried.query.get("nonce", "")))
    digest = hashlib.sha1("".join(signed).encode(), usedforsecurity=False).hexdigest()
    if not token or not _ECHO.fullmatch(echo) or not same_secret(tried.query.get("signature", ""), digest):
        return None
    return 200, "text/plain", echo.encode()


def parse(body: bytes, content_type: str) -> list[Report]:
    """Read an answer to a query, or a pushed event in XML or JSON; an event of another kind tells of no parcel."""
    value = _event_of(body) if body.lstrip()[:1] == b"<" else object_of(read_json(body), "$")
    if "Encrypt" in value:
        raise ParseError("$.Encrypt", "encrypted: set the message push of the mini-program to plain text (明文模式)")
    if "Event" in value:
        return [_pushed(value)] if text_at(value, "Event", "$") == PATH_UPDATE else []
    if "path_item_list" in value:
        return [_answered(value)]
    if "errcode" not in value:
        raise ParseError("$", "neither an answer (path_item_list, errcode) nor an event (Event)")
    kind = PROBLEMS.get(text_at(value, "errcode", "$"), ProblemKind.UNAVAILABLE)
    return [Report(waybill="", problem=Problem(kind, _said(value)))]


def _event_of(body: bytes) -> dict[str, Any]:
    """An event in XML as it is in JSON, where `Actions` is a list."""
    root = read_xml(body)
    event: dict[str, Any] = {child.tag: child.text for child in root.children if child.tag != "Actions"}
    return event | {"Actions": [{part.tag: part.text for part in row.children} for row in root.findall("Actions")]}


def _answered(value: dict[str, Any]) -> Report:
    rows = rows_at(value, "path_item_list", "$")
    items = (
        _scan(row, f"$.path_item_list[{n}]", "action_time", "action_type", "action_msg") for n, row in enumerate(rows)
    )
    return _report(value, "waybill_id", "delivery_id", oldest_first(items), full=True)


def _pushed(value: dict[str, Any]) -> Report:
    rows = rows_at(value, "Actions", "$")
    actions = (_scan(row, f"$.Actions[{n}]", "ActionTime", "ActionType", "ActionMsg") for n, row in enumerate(rows))
    return _report(value, "WayBillId", "DeliveryID", oldest_first(actions), full=False)


def _report(value: dict[str, Any], waybill: str, carrier: str, scans: tuple[Scan, ...], *, full: bool) -> Report:
    number, whose = text_at(value, waybill, "$"), text_at(value, carrier, "$")
    if not scans:
        return Report(waybill=number, carrier=whose, problem=Problem(ProblemKind.NOT_FOUND, "no path"))
    if not number:
        raise ParseError(f"$.{waybill}", "missing: whose path is it?")
    return Report(waybill=number, carrier=whose, scans=scans, full=full)


def _scan(row: dict[str, Any], path: str, time: str, code: str, text: str) -> Scan:
    return Scan(time=_time(row, time, path), code=text_at(row, code, path), text=text_at(row, text, path))


def _time(row: dict[str, Any], key: str, path: str) -> Moment | None:
    """Unix seconds, which are UTC by their nature."""
    text = text_at(row, key, path)
    if not text:
        return None
    if not _EPOCH.fullmatch(text):
        raise ParseError(f"{path}.{key}", f"not a time: {text[:40]!r}; expected Unix seconds like 1778000000")
    return Moment(int(text), 0, Certainty.GIVEN)


def _said(answer: dict[str, Any]) -> str:
    return f"{text_at(answer, 'errcode', '$')} {text_at(answer, 'errmsg', '$')}".strip()


carrier = Carrier(
    slug="wechat",
    name="WeChat Logistics Assistant",
    name_zh="微信物流助手",
    docs=DOCS,
    milestones=MILESTONES,
    parse=parse,
    base="https://api.weixin.qq.com",
    aggregator=True,
    carriers=CARRIERS,
    fetch=fetch,
    acknowledge=acknowledge,
    greet=greet,
    full_history=True,
    credentials=(
        Credential("app_id", "AppID of the mini-program", secret=False),
        Credential("app_secret", "AppSecret of the mini-program"),
        Credential("token", "Token of 消息推送, where WeChat is to push straight to the connection", required=False),
    ),
    needs=needs,
)
