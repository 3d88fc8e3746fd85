"""How each carrier's push is made and signed, after its documentation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "sf": {"partner_id": "P", "checkword": "C"},
    "kuaidi100": {"customer": "C", "key": "K", "salt": "S"},
    "fedex": {"client_id": "I", "client_secret": "S", "webhook_secret": "W"},
    "dhl": {"api_key": "A"},
    "seventeentrack": {"token": "T"},
}


class Pushed(Struct, frozen=True):
    """A request as the carrier sends it."""

    body: bytes
    headers: Mapping[str, str]


def _plain(body: bytes) -> Pushed:
    return Pushed(body, {"Content-Type": "application/json"})


def _kuaidi100(body: bytes) -> Pushed:
    """A recorded query answer becomes the `lastResult` of a push; a recorded push stays as it is."""
    said: dict[str, Any] = json.loads(body)
    if "lastResult" not in said:
        said = {"status": "polling", "message": "", "lastResult": said}
    param = json.dumps(said, ensure_ascii=False)
    sign = hashlib.md5((param + "S").encode(), usedforsecurity=False).hexdigest().upper()
    form = urlencode({"sign": sign, "param": param}).encode()
    return Pushed(form, {"Content-Type": "application/x-www-form-urlencoded"})


def _fedex(body: bytes) -> Pushed:
    signature = base64.b64encode(hmac.digest(b"W", body, "sha256")).decode()
    return Pushed(body, {"Content-Type": "application/json", "fdx-signature": signature})


def _seventeentrack(body: bytes) -> Pushed:
    return Pushed(body, {"Content-Type": "application/json", "sign": hashlib.sha256(body + b"/T").hexdigest()})


PUSH: Mapping[str, Callable[[bytes], Pushed]] = {
    "sf": _plain,
    "dhl": _plain,
    "kuaidi100": _kuaidi100,
    "fedex": _fedex,
    "seventeentrack": _seventeentrack,
}
