"""The headers that a subscription adds to what it is sent: which may be, and what of them lies in the store."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tracker.errors import BadInput

MOST = 20
MOST_BYTES = 4_096  # of a value
MOST_IN_ALL = 8_192  # bytes of all values: what reads an account's subscriptions reads these with them
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # a token, RFC 9110, 5.6.2
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
_OURS = frozenset({"content-type", "content-length", "content-encoding", "user-agent", "host", "date", "expect"})
# RFC 9110, 7.6.1: between one hop and the next, none of a sender's business
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `BadInput` for the first that can't be sent; the message never repeats a value."""
    if len(headers) > MOST:
        raise BadInput("headers", f"{len(headers)} headers, at most {MOST} are sent")
    if (size := sum(map(len, headers.values()))) > MOST_IN_ALL:
        raise BadInput("headers", f"the values have {size} characters, at most {MOST_IN_ALL} are sent")
    names = [name.lower() for name in headers]
    for name, value in headers.items():
        wrong = _wrong_name(name) or _wrong_value(value)
        if names.count(name.lower()) > 1:
            wrong = "given twice, in letters of different case"
        if wrong:
            raise BadInput(f"headers.{name[:64]}", wrong)


def _wrong_name(name: str) -> str:
    lower = name.lower()
    if not _NAME.fullmatch(name):
        return "is no name of a header: letters, digits and hyphens, 64 at most"
    if lower in _HOP_BY_HOP:
        return "is between a connection's two ends, and not sent for a subscription"
    if lower in _OURS or lower.startswith(("webhook-", "svix-")):
        return "is set by Milepost"
    return ""


def _wrong_value(value: str) -> str:
    if len(value) > MOST_BYTES:
        return f"the value has {len(value)} characters, at most {MOST_BYTES} are sent"
    if not _VALUE.fullmatch(value):
        return "the value must be printable ASCII, without a line break, and not begin or end with a blank"
    return ""
