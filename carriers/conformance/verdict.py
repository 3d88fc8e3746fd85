"""How a kit speaks: one error with a line for everything that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from carriers.sdk import Carrier


class NotConforming(AssertionError):
    """What an adapter has to mend, each line with its fix."""


def judge(carrier: Carrier, wrong: Sequence[str]) -> None:
    """Raise NotConforming with every line of `wrong`, once; nothing where there is none."""
    if wrong:
        lines = "\n".join(f"  - {line}" for line in dict.fromkeys(wrong))
        raise NotConforming(f"{carrier.slug} does not conform:\n{lines}")
