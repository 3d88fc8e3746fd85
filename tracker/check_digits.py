"""Check digits: whether the last character of a number follows from the ones before it.

Letters count as (their code - 3) modulo 10, as UPS has it, but for `mod37_36`, where A is 10 and Z is 35.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Algorithm = Literal["mod10", "weighted", "s10", "mod7", "luhn", "mod37_36"]


class Check(Struct, frozen=True, forbid_unknown_fields=True):
    """How a number's check character is computed from its serial."""

    by: Algorithm
    even: int = 1  # mod10: the weight of the places 0, 2, 4 …
    odd: int = 1  # mod10: the weight of the places 1, 3, 5 …
    weights: tuple[int, ...] = ()  # weighted: one for each place
    before: str = ""  # put before a serial that does not begin with it

    def character(self, serial: str) -> str:
        """The check character that belongs to `serial` (digits and capitals)."""
        return _BY[self.by](self, serial if serial.startswith(self.before) else self.before + serial)


def mod10(serial: str, even: int, odd: int) -> str:
    """What is missing to a multiple of ten, of the places weighted `even` and `odd` from the left, from place 0."""
    return str(-_sum(serial, [odd if place % 2 else even for place in range(len(serial))]) % 10)


def weighted(serial: str, weights: Sequence[int]) -> str:
    """FedEx Express: the weighted sum modulo 11, and that modulo 10."""
    return str(_sum(serial, weights) % 11 % 10)


def s10(serial: str) -> str:
    """UPU S10: eleven less the weighted sum modulo 11; 10 counts as 0, 11 as 5."""
    rest = 11 - _sum(serial, S10_WEIGHTS) % 11
    return {10: "0", 11: "5"}.get(rest, str(rest))


def mod7(serial: str) -> str:
    """DHL Express, Yamato, Sagawa: the number modulo 7."""
    return str(int(serial) % 7)


def luhn(serial: str) -> str:
    """ISO/IEC 7812: every second digit from the right doubled, the sums of their digits added."""
    doubled = [sum(divmod(int(digit) * 2, 10)) for digit in serial[::-2]]
    return str(-(sum(doubled) + sum(map(int, serial[-2::-2]))) % 10)


def mod37_36(serial: str) -> str:
    """ISO 7064 MOD 37,36: digits and capitals, and one of them as the check character."""
    rest = 36
    for character in serial:
        rest = (rest + _ALPHABET.index(character)) % 36 or 36
        rest = rest * 2 % 37
    return _ALPHABET[(37 - rest) % 36]


def _sum(serial: str, weights: Sequence[int]) -> int:
    return sum(_value(character) * weight for character, weight in zip(serial, weights, strict=True))


def _value(character: str) -> int:
    return int(character) if character.isdigit() else (ord(character) - 3) % 10


_BY: Mapping[str, Callable[[Check, str], str]] = {
    "mod10": lambda check, serial: mod10(serial, check.even, check.odd),
    "weighted": lambda check, serial: weighted(serial, check.weights),
    "s10": lambda check, serial: s10(serial),
    "mod7": lambda check, serial: mod7(serial),
    "luhn": lambda check, serial: luhn(serial),
    "mod37_36": lambda check, serial: mod37_36(serial),
}
