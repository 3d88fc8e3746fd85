"""The simulated carrier's waybill numbers: `SIM`, three letters that name the plan, eight digits, one check digit.

The check digit is that of an ISIN (ISO 6166): letters become two digits (A = 10 … Z = 35), then Luhn over all of them.
A serial that starts with 9 has its whole journey behind it when it is first asked for; any other sets out then.
"""

from __future__ import annotations

import re

_SHAPE = re.compile(r"SIM([A-Z]{3})(\d{8})(\d)")


def number(plan: str, serial: int) -> str:
    """The waybill number of that plan and serial (0 … 99,999,999), with its check digit."""
    body = f"SIM{plan}{serial:08d}"
    return body + str(check_digit(body))


def ready(plan: str, serial: int = 1) -> str:
    """The test number whose whole journey has happened already; serials 0 … 9,999,999."""
    return number(plan, 90_000_000 + serial)


def plan_of(waybill: str) -> str | None:
    """The plan's three letters, None where shape or check digit is wrong."""
    match = _SHAPE.fullmatch(waybill)
    if match is None or check_digit(waybill[:-1]) != int(match[3]):
        return None
    return match[1]


def is_ready(waybill: str) -> bool:
    """Whether the whole journey of this number happens at once."""
    return waybill[6] == "9"


def check_digit(body: str) -> int:
    """Luhn's digit over `body`, its letters as two digits each."""
    digits = "".join(str(int(letter, 36)) for letter in body)
    return -sum(_doubled(int(digit)) if place % 2 == 0 else int(digit) for place, digit in enumerate(digits[::-1])) % 10


def _doubled(digit: int) -> int:
    return digit * 2 - 9 if digit > 4 else digit * 2
