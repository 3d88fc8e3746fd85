"""Parcels whose eight scans have the length of real ones, as carriers push them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

CHINA = timezone(timedelta(hours=8))
SECRET = "bench-webhook-secret"
STEP_S = 3 * 3_600
EVENTS = 8
Step = tuple[str, str, str]  # code, text, place

# an open journey: it ends out for delivery. The number in braces makes texts as various as courier's names make them.
SIMULATED: tuple[Step, ...] = (
    ("BKD", "商家已下单，等待快递员上门揽收", "上海市"),
    ("PUP", "【上海青浦徐泾网点】快递员张**（138****{n:04d}）已揽收", "上海市"),
    ("ARR", "快件已到达【上海青浦转运中心】，车辆编号 沪A·{n:05d}", "上海市"),
    ("DEP", "快件已离开【上海青浦转运中心】，发往【北京顺义转运中心】，车次 {n:05d}", "上海市"),
    ("LIN", "快件在途中，下一站【北京顺义转运中心】，预计 12 小时内到达", "济南市"),
    ("ARR", "快件已到达【北京顺义转运中心】，正在分拣，格口 {n:04d}", "北京市"),
    ("DPT", "快件已到达【北京朝阳望京网点】，准备安排派送", "北京市"),
    ("OFD", "【北京朝阳望京网点】快递员李**（139****{n:04d}）正在为您派件，请保持电话畅通", "北京市"),
)
SF: tuple[Step, ...] = (
    ("50", "顺丰速运 已收取快件", "苏州市"),
    ("30", "快件在【苏州姑苏某某营业点】完成分拣,准备发往 【苏州吴中中转场】，车次 {n:05d}", "苏州市"),
    ("31", "快件到达 【苏州吴中中转场】", "苏州市"),
    ("36", "快件离开【苏州吴中中转场】,已在发往 【上海浦东中转场】 的路上，车牌 苏E·{n:05d}", "苏州市"),
    ("31", "快件到达 【上海浦东中转场】，正在分拣，格口 {n:04d}", "上海市"),
    ("30", "快件在【上海浦东中转场】完成分拣,准备发往 【上海浦东新区某某营业点】", "上海市"),
    ("31", "快件到达 【上海浦东新区某某营业点】", "上海市"),
    ("44", "正在派送途中,请您准备签收(快递员：王**，电话：137****{n:04d})", "上海市"),
)


def simulated_number(place: int) -> str:
    """A waybill of the simulated carrier."""
    return f"SIMBEN{place:09d}"


def sf_number(place: int) -> str:
    """A waybill of SF."""
    return f"SF9{place:012d}"


def text_of(step: Step, number: int) -> str:
    """The step's words for that parcel."""
    return step[1].format(n=number % 10_000)


def _at(began_at: int, place: int) -> datetime:
    return datetime.fromtimestamp(began_at + place * STEP_S, CHINA)


def simulated_events(began_at: int, steps: Sequence[Step], *, first: int = 0, number: int = 0) -> list[dict[str, Any]]:
    """Events as the simulated carrier writes them; `first` is the place of the first in its journey."""
    return [
        {
            "id": f"{first + place:03d}",
            "time": _at(began_at, first + place).isoformat(),
            "code": step[0],
            "detail": "",
            "text": text_of(step, number),
            "location": step[2],
        }
        for place, step in enumerate(steps)
    ]


def simulated_push(place: int, step: int, began_at: int) -> tuple[bytes, dict[str, str]]:
    """The push of one event, and the headers that sign it."""
    shipment = {
        "number": simulated_number(place),
        "service": "标快",
        "weight_g": 7_350,
        "origin": "上海市",
        "destination": "北京市",
        "expected_to": _at(began_at, 9).isoformat(),
        "signed_by": None,
        "events": simulated_events(began_at + place, SIMULATED[step : step + 1], first=step, number=place),
    }
    body = msgspec.json.encode({"event": "scan", "shipment": shipment})
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return body, {"Content-Type": "application/json", "X-Simulated-Signature": signature}


def sf_push(place: int, step: int, began_at: int) -> tuple[bytes, dict[str, str]]:
    """SF's push of one route; the secret is in the address, nothing is signed."""
    code, _, location = SF[step]
    route = {
        "mailno": sf_number(place),
        "acceptAddress": location,
        "reasonName": "",
        "orderid": f"ORDER-BENCH-{place}",
        "acceptTime": f"{_at(began_at + place, step):%Y-%m-%d %H:%M:%S}",
        "remark": text_of(SF[step], place),
        "opCode": code,
        "id": f"{place * EVENTS + step:015d}",
        "reasonCode": "",
    }
    body = json.dumps({"Body": {"WaybillRoute": [route]}}, ensure_ascii=False).encode()
    return body, {"Content-Type": "application/json; charset=UTF-8"}


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = {"Host": "127.0.0.1", "User-Agent": "carrier/1.0", "Accept": "*/*", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
