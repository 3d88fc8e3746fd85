"""What in a body tells of a person: found in fixtures, where it has no place, and masked in what is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from carriers.conformance.rewriting import Keys, rewritten, values

_NAMES = re.compile(
    r"(signed(for)?by|signer|signature|received?by|person|attention|contact|recipient|receiver|consignee|addressee"
    r"|family|given|first|last|middle|full|courier|driver|customer|buyer|shipto|deliveredto)(person)?names?"
    r"|signed(for)?by|signer|receivedby|signatory"
)
_PHONES = re.compile(r".*(phone|mobile|telephone|cellphone|tel|fax)(no|number|num)?")
_MAILS = re.compile(r".*e?mail(address)?")
_ADDRESSES = re.compile(
    r"street\w*|addr(ess)?lines?\d?|address\d|housen(o|umber)|(receiver|recipient|consignee|delivery|shipto)addr(ess)?"
)
# What stands inside one of these is of a person: `recipient.name`.
_PERSONS = frozenset(
    ("recipient", "receiver", "consignee", "addressee", "contact", "person", "signatory", "courier", "driver")
)
# Whoever signs so is no person that one could find.
_ROLES = frozenset(
    (
        *(
            "本人",
            "他人",
            "家人",
            "家属",
            "同事",
            "同学",
            "朋友",
            "邻居",
            "前台",
            "物业",
            "门卫",
            "门口",
            "保安",
            "单位",
        ),
        *("代收", "代收点", "收发室", "传达室", "快递柜", "丰巢", "驿站", "超市", "便利店", "其他"),
        *("front desk", "reception", "receptionist", "neighbour", "neighbor", "mailbox", "mailroom", "dock", "guard"),
        *("security", "agent", "locker", "concierge", "household", "family", "self", "resident", "released", "partner"),
    )
)
_MAIL = re.compile(r"[\w.+-]+@(?!example\.|[\w-]+\.(?:example|test|invalid)\b)[\w-]+(?:\.[\w-]+)+", re.ASCII)
_MOBILE = re.compile(r"(?<![0-9A-Za-z*])1[3-9]\d(?!\d*0000)\d{8}(?![0-9A-Za-z*])")
_PHONE = re.compile(r"(?<![0-9A-Za-z+*])\+\d(?![\d ()-]*(?:0000|555))[\d ()-]{7,}\d(?![0-9A-Za-z*])")
_IN_WORDS = re.compile(
    r"((?:快递员|派件员|业务员|小哥|签收人|收件人|收货人)\s*[:\uff1a【\[]\s*)([\u4e00-\u9fff]{2,4})"
    r"|((?i:signed(?: for)? by|received by|recipient|delivered to|left with)[: ]+)([A-Z][\w.'-]*(?: [A-Z][\w.'-]*)*)"
)
_TEXTS = (
    (_MAIL, "e-mail address", "m***@example.com"),
    (_MOBILE, "Chinese mobile number", "138****0000"),
    (_PHONE, "phone number", "+00 ***"),
)


# ---------------------------------------------------------------- finding


def personal_data(body: bytes, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """Each thing in the body that tells of a person, with its fix. `known`: waybill numbers, which are no phone's."""
    for keys, value in values(body):
        if value not in known and (what := _told(keys, value)):
            yield f"{what} at {'.'.join(keys) or '$'}: mask it as carriers do (张**, J. D***, 138****0000) or invent it"


def _told(keys: Keys, value: str) -> str:
    if _is_name(keys) and not _is_masked(value) and not value.isdigit():
        return f"a person's name {value[:1]}…"
    if _is_phone(keys) and not _is_masked(value) and sum(map(str.isdigit, value)) >= 7 and not _is_invented(value):
        return "a phone number"
    return next((f"an unmasked {what}" for pattern, what, _ in _TEXTS if pattern.search(value)), "")


def _is_name(keys: Keys) -> bool:
    key, parents = keys[-1] if keys else "", keys[:-1]
    return bool(_NAMES.fullmatch(key)) or (key in ("name", *_PERSONS) and not _PERSONS.isdisjoint((key, *parents[-2:])))


def _is_phone(keys: Keys) -> bool:
    return bool(keys) and bool(_PHONES.fullmatch(keys[-1]))


def _is_address(keys: Keys) -> bool:
    if not keys:
        return False
    of_a_person = not _PERSONS.isdisjoint(keys[:-1]) and keys[-1] in ("address", "addr", "postalcode", "zip", "zipcode")
    return of_a_person or bool(_ADDRESSES.fullmatch(keys[-1]))


def _is_masked(value: str) -> bool:
    plain = value.strip().lower()
    initial = len(plain.rstrip(".")) <= 1
    return initial or "*" in plain or "某" in plain or plain.startswith("example") or plain in _ROLES


def _is_invented(number: str) -> bool:
    return "0000" in number or "555" in number


# ---------------------------------------------------------------- masking


def masked(body: bytes) -> bytes:
    """The body with everything that tells of a person masked. Names inside sentences are found only where labelled."""
    return rewritten(body, _mask)


def _mask(keys: Keys, value: str) -> str:
    if not _is_masked(value):
        if _is_name(keys) and not value.isdigit():
            return value.strip()[0] + "***"
        if _is_address(keys) or (keys and _MAILS.fullmatch(keys[-1])):
            return "***"
    if _is_phone(keys) and "*" not in value and any(map(str.isdigit, value)):
        return "138****0000"
    return "" if _is_picture(value) else _mask_words(value)


def _is_picture(value: str) -> bool:
    return len(value) > 1000 and not value.startswith(("{", "[")) and " " not in value  # a signature, in base64


def _mask_words(text: str) -> str:
    for pattern, _, instead in _TEXTS:
        text = pattern.sub(instead, text)
    return _IN_WORDS.sub(_initial, text)


def _initial(found: re.Match[str]) -> str:
    label, name = (found[1], found[2]) if found[1] else (found[3], found[4])
    return found[0] if _is_masked(name) else f"{label}{name[0]}***"
