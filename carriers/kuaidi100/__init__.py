"""Kuaidi100 (快递100), an aggregator: queries, subscriptions and pushes. Codes: `codes.py`; for people: README.md.

https://api.kuaidi100.com/document/5f0ffb5ebc8da837cbd8aefc
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from carriers.kuaidi100.codes import CARRIERS, MILESTONES, OUR_SLUGS, WORDS
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
    Summary,
    dict_at,
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

BASE = "https://poll.kuaidi100.com"
GUESSER = "https://www.kuaidi100.com"  # where production guesses a number's carrier
CHINA = 8 * 60  # minutes east: `time` carries no zone
LOCKED_FOR = 1800.0  # seconds: a number asked more often is locked
ASK_PHONE = frozenset({"shunfeng", "shunfengkuaiyun", "zhongtong"})
WATCH = frozenset({"polling", "shutdown", "abort", "updateall"})  # `status` of a push
ROWS_AND_PLACES = "4"  # resultv2: rows with statusCode and area
DEFAULT_STATE, IN_TROUBLE = "0", "2"
SUBSCRIBED = ("200", "501")  # 501: is being watched already

# returnCode of a query, and from 600 on of a subscription: https://cloud.tencent.com/developer/article/1828132
FAILURES = {
    "400": ProblemKind.INVALID,  # incomplete, or no such carrier
    "408": ProblemKind.INVALID,  # the phone number does not fit
    "500": ProblemKind.NOT_FOUND,  # no record yet
    "501": ProblemKind.UNAVAILABLE,
    "502": ProblemKind.UNAVAILABLE,
    "503": ProblemKind.REFUSED,  # signature
    "600": ProblemKind.REFUSED,  # not a customer, or the key is wrong
    "601": ProblemKind.REFUSED,  # the key has expired, or nothing is left on it
    "700": ProblemKind.INVALID,  # the subscription is faulty
    "701": ProblemKind.INVALID,  # a carrier that is not watched
    "702": ProblemKind.INVALID,  # no carrier recognised for the number
}


# ---------------------------------------------------------------- asking


async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    """Ask for one number a request, as Kuaidi100 has it."""
    return [await _query(http, ask) for ask in asks]


async def _query(http: Http, ask: Ask) -> Reply:
    code = OUR_SLUGS.get(ask.carrier) or await _guess(http, ask.number)
    param = {"com": code, "num": ask.number, "resultv2": ROWS_AND_PLACES, "show": "0", "order": "desc"}
    if ask.phone_tail:
        param["phone"] = ask.phone_tail
    text = _json(param)
    customer = http.credentials["customer"]
    fields = {"customer": customer, "sign": sign(text + http.credentials["key"] + customer), "param": text}
    return await _send(http, "/poll/query.do", fields)


async def _guess(http: Http, number: str) -> str:
    """Kuaidi100's likeliest carrier code for a number; "" where it has none (the query then says so)."""
    host = GUESSER if http.base.rstrip("/") == BASE else ""
    params = [("num", number), ("key", http.credentials["key"])]
    reply = await http.request("GET", f"{host}/autonumber/auto", params=params)
    guesses = read_json(reply.body)
    return text_at(object_of(guesses[0], "$[0]"), "comCode", "$[0]") if isinstance(guesses, list) and guesses else ""


async def subscribe(http: Http, asks: Sequence[Ask], callback: str) -> dict[str, str]:
    """Ask Kuaidi100 to watch the numbers and push to `callback`; returns why it refused some, by number."""
    answers = [(ask.number, await _subscribe(http, ask, callback)) for ask in asks]
    return {number: refusal for number, refusal in answers if refusal}


async def _subscribe(http: Http, ask: Ask, callback: str) -> str:
    code = OUR_SLUGS.get(ask.carrier, "")
    wishes = {"callbackurl": callback, "salt": http.credentials["salt"], "resultv2": ROWS_AND_PLACES}
    wishes |= {} if code else {"autoCom": "1"}
    wishes |= {"phone": ask.phone_tail} if ask.phone_tail else {}
    param = {"company": code, "number": ask.number, "key": http.credentials["key"], "parameters": wishes}
    reply = await _send(http, "/poll", {"schema": "json", "param": _json(param)})
    answer = object_of(read_json(reply.body), "$")
    accepted = text_at(answer, "returnCode", "$") in SUBSCRIBED
    return "" if accepted else _said(answer)


async def _send(http: Http, url: str, fields: dict[str, str]) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await http.request("POST", url, headers=headers, data=urlencode(fields).encode())


def sign(text: str) -> str:
    """Kuaidi100's signature of queries and pushes: MD5 in upper-case hex."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()


def needs(ask: Ask) -> str:
    """SF and ZTO answer an aggregator only with a phone number's tail."""
    return "phone_tail" if OUR_SLUGS.get(ask.carrier) in ASK_PHONE and not ask.phone_tail else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# ---------------------------------------------------------------- hearing


def verify(push: Push, credentials: Mapping[str, str]) -> bool:
    """sign = md5(param + salt) over the decoded param; the documents leave its case open, so it is ignored."""
    salt = credentials.get("salt", "")
    try:
        fields = form(push.body)
    except ParseError:
        return False
    if not salt or "param" not in fields:
        return False
    return same_secret(fields.get("sign", "").upper(), sign(fields["param"] + salt))


def acknowledge(accepted: bool) -> tuple[int, str, bytes]:
    """What Kuaidi100 waits for; anything else makes it push again."""
    code, words = ("200", "成功") if accepted else ("500", "失败")
    answer = _json({"result": accepted, "returnCode": code, "message": words})
    return 200, "application/json; charset=utf-8", answer.encode()


def parse(body: bytes, content_type: str) -> list[Report]:
    """Read an answer to a query or a subscription, or a push (the form, or its `param` alone)."""
    value = object_of(read_json(*_message(body)), "$")
    if "lastResult" in value or text_at(value, "status", "$") in WATCH:
        return [_pushed(value)]
    if "data" in value:
        return [_history(value, "$")]
    if "returnCode" not in value and "result" not in value:
        raise ParseError("$", "neither an answer (data, returnCode) nor a push (lastResult)")
    accepted = text_at(value, "result", "$") == "true" and text_at(value, "returnCode", "$") in ("", *SUBSCRIBED)
    return [] if accepted else [_failed(value)]


def _message(body: bytes) -> tuple[bytes | str, str]:
    if body.lstrip()[:1] in (b"{", b"[", b"<") or b"param=" not in body:
        return body, "$"
    return form(body).get("param", ""), "$.param"


def _pushed(push: dict[str, Any]) -> Report:
    """A push tells the whole history each time, and why the watch ended if it did."""
    last, abroad = dict_at(push, "lastResult", "$"), dict_at(push, "destResult", "$")
    ended = text_at(push, "status", "$") == "abort"
    report = _history(last, "$.lastResult", abroad)
    renamed = text_at(push, "comNew", "$") or report.carrier
    problem = report.problem
    if ended:
        problem = Problem(ProblemKind.NOT_FOUND, text_at(push, "message", "$") or "the watch was ended")
    return Report(
        waybill=report.waybill,
        scans=report.scans,
        full=report.full,
        summary=report.summary,
        carrier=renamed,
        problem=problem,
    )


def _history(result: dict[str, Any], path: str, abroad: dict[str, Any] | None = None) -> Report:
    waybill, carrier = text_at(result, "nu", path), text_at(result, "com", path)
    scans = _scans(result, path, CHINA)
    if abroad:
        scans = oldest_first([*scans, *_scans(abroad, "$.destResult", None)])
    if not scans:
        return Report(waybill=waybill, carrier=carrier, problem=_problem(result, path))
    if not waybill:
        raise ParseError(f"{path}.nu", "missing: whose history is it?")
    return Report(
        waybill=waybill, scans=scans, full=True, summary=_summary(result, abroad or {}, scans, path), carrier=carrier
    )


def _scans(result: dict[str, Any], path: str, zone: int | None) -> tuple[Scan, ...]:
    """The rows of one country's carrier. Abroad nobody says whose clock `time` is."""
    rows = enumerate(rows_at(result, "data", path))
    return oldest_first(_scan(row, f"{path}.data[{place}]", zone) for place, row in rows)


def _scan(row: dict[str, Any], path: str, zone: int | None) -> Scan:
    key = "time" if row.get("time") else "ftime"
    return Scan(
        time=moment_at(row, key, path, zone=zone),
        code=text_at(row, "statusCode", path) or text_at(row, "status", path),
        text=text_at(row, "context", path),
        location=text_at(row, "location", path) or text_at(row, "areaName", path),
    )


def _summary(result: dict[str, Any], abroad: dict[str, Any], scans: tuple[Scan, ...], path: str) -> Summary:
    route = dict_at(result, "routeInfo", path)
    state = text_at(abroad, "state", "$.destResult") or text_at(result, "state", path)
    return Summary(
        status=_state(state, scans[-1]),
        expected_to=_arrival(result, path),
        origin=text_at(dict_at(route, "from", f"{path}.routeInfo"), "name", f"{path}.routeInfo.from"),
        destination=text_at(dict_at(route, "to", f"{path}.routeInfo"), "name", f"{path}.routeInfo.to"),
    )


def _state(state: str, newest: Scan) -> Scan | None:
    """`state` as of the newest row, where it can say more than that row does.

    0 is what Kuaidi100 writes by default; a row that has a code of its own says at least as much as its basic state.
    疑难 says only that something is wrong: a row without a code lends it the words that say what.
    """
    told = WORDS.get(newest.code, newest.code)
    if state in ("", DEFAULT_STATE) or newest.time is None or told.startswith(state):
        return None
    return Scan(time=newest.time, code=state, text=newest.text if state == IN_TROUBLE and not newest.code else "")


def _arrival(result: dict[str, Any], path: str) -> Moment | None:
    """`arrivalTime` is a day and hour (2021-06-14 10), or words, which tell no time."""
    try:
        return moment(text_at(result, "arrivalTime", path), zone=CHINA)
    except ParseError:
        return None


def _problem(result: dict[str, Any], path: str) -> Problem:
    """Why there are no rows."""
    if text_at(result, "returnCode", path) in FAILURES:
        return _refusal(result)
    words = text_at(result, "message", path)
    return Problem(ProblemKind.NOT_FOUND, words if words not in ("", "ok") else "no rows")


def _failed(answer: dict[str, Any]) -> Report:
    return Report(waybill=text_at(answer, "nu", "$"), carrier=text_at(answer, "com", "$"), problem=_refusal(answer))


def _refusal(answer: dict[str, Any]) -> Problem:
    words = _said(answer)
    if "锁" in words or "频繁" in words:
        return Problem(ProblemKind.LIMITED, words)
    return Problem(FAILURES.get(text_at(answer, "returnCode", "$"), ProblemKind.UNAVAILABLE), words)


def _said(answer: dict[str, Any]) -> str:
    return f"{text_at(answer, 'returnCode', '$')} {text_at(answer, 'message', '$')}".strip() or "refused"


carrier = Carrier(
    slug="kuaidi100",
    name="Kuaidi100",
    name_zh="快递100",
    docs="https://api.kuaidi100.com/document/5f0ffb5ebc8da837cbd8aefc",
    milestones=MILESTONES,
    parse=parse,
    base=BASE,
    aggregator=True,
    carriers=CARRIERS,
    batch=1,
    rate=10.0,
    min_interval=LOCKED_FOR,
    full_history=True,
    fetch=fetch,
    subscribe=subscribe,
    verify=verify,
    acknowledge=acknowledge,
    credentials=(
        Credential(name="customer", about="授权 customer, from the enterprise console", secret=False),
        Credential(name="key", about="授权 key"),
        Credential(name="salt", about="a random word of your own: it is sent with subscriptions and signs the pushes"),
    ),
    needs=needs,
    zone="Asia/Shanghai",
)
