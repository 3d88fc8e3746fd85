"""What is cleaned and named of what comes in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from msgspec import structs

from tracker.errors import BadInput
from tracker.model import Scan

_TEXT, _CODE = 2_000, 200  # characters of a scan's words and place, and of its code; real ones have some dozens
_LEADS_ELSEWHERE = frozenset({"", ".", ".."})  # as a step of the path in which a carrier wants the number
_WAYBILL = re.compile(r"[A-Z0-9][A-Z0-9._/-]{3,48}[A-Z0-9]")


def clean_waybill(number: str, field: str = "waybill") -> str:
    """A waybill as it is stored: no blanks, upper case.

    Raises:
        BadInput: it can't be a waybill number of any carrier.
    """
    waybill = "".join(number.split()).upper()
    if not _WAYBILL.fullmatch(waybill) or _LEADS_ELSEWHERE.intersection(waybill.split("/")):
        raise BadInput(field, f"{number[:60]!r} is no waybill number: 5 to 50 letters, digits, '-', '.', '_' or '/'")
    return waybill


def fingerprint(body: bytes) -> str:
    """The name of a body, so that an event can be traced to what it came from: 16 hexadecimal digits."""
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def short(scans: Sequence[Scan]) -> tuple[Scan, ...]:
    """The scans, without what is so long that no carrier can mean it: it would be told to everybody, each time."""
    if all(len(s.text) <= _TEXT and len(s.code) <= _CODE and len(s.location) <= _TEXT for s in scans):
        return tuple(scans)
    return tuple(
        structs.replace(s, text=s.text[:_TEXT], code=s.code[:_CODE], location=s.location[:_TEXT]) for s in scans
    )
