"""What a benchmark found, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

from msgspec import Struct


class Sizes(Struct, frozen=True, kw_only=True):
    """How much is measured: rounds of each benchmark and how large they are. `profiles`: where profiles go."""

    rounds: int = 5
    warm: int = 1  # rounds before them that do not count
    turns: int = 8  # short ones in a round, where kinds of load take turns
    pushes: int = 8_000  # webhooks in one round of intake
    connections: int = 64  # carriers' connections, one request under way on each
    commits: int = 9_000  # in one round
    backlog: int = 6_000  # deliveries in one round
    parse_s: float = 0.3  # for one body
    shipments: tuple[int, int] = (1_000, 100_000)  # registered while polling
    polling_s: float = 4.0  # one round
    remembered: int = 10_000  # shipments whose memory is measured
    profiles: Path | None = None


QUICK = Sizes(
    rounds=1,
    warm=0,
    turns=1,
    pushes=240,
    connections=16,
    commits=450,
    backlog=200,
    parse_s=0.005,
    shipments=(80, 400),
    polling_s=0.3,
    remembered=200,
)


class Mark(Struct, frozen=True):
    """A bound that a figure is held against."""

    text: str
    met: bool


class Figure(Struct, frozen=True, kw_only=True):
    """The median of some rounds beside the ceiling's; `share` is value / ceiling, `spread` the lowest and highest."""

    name: str
    value: float
    unit: str
    spread: tuple[float, float] | None = None
    ceiling: float | None = None
    ceiling_is: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def share(self) -> float:
        return self.value / self.ceiling if self.ceiling else 0.0


def figure(
    name: str,
    rounds: Sequence[float],
    unit: str,
    *,
    ceiling: Sequence[float] = (),
    ceiling_is: str = "",
    marks: Callable[[float, float], Iterable[Mark]] = lambda value, share: (),
) -> Figure:
    """The figure of some rounds; `marks` makes its marks of the median and the share of the ceiling's median."""
    value, top = median(rounds), median(ceiling) if ceiling else None
    return Figure(
        name=name,
        value=value,
        unit=unit,
        spread=(min(rounds), max(rounds)),
        ceiling=top,
        ceiling_is=ceiling_is,
        marks=tuple(marks(value, value / top if top else 0.0)),
    )


def at_least(bound: float, value: float, text: str) -> Mark:
    """A mark for what should be large."""
    return Mark(f"≥ {text}", value >= bound)


def at_most(bound: float, value: float, text: str) -> Mark:
    """A mark for what should be small."""
    return Mark(f"≤ {text}", value <= bound)


def shown(one: Figure, *, marked: bool = True) -> str:
    """One line: figure, ceiling, share, marks."""
    cells = [f"{one.name:<58}", f"{_number(one.value):>9} {one.unit:<14}"]
    if one.spread and one.spread[0] != one.spread[1]:
        cells.append(f"[{_number(one.spread[0])} – {_number(one.spread[1])}]")
    if one.ceiling:
        cells.append(f"ceiling {_number(one.ceiling)} ({one.ceiling_is}), {_share(one.share)}")
    cells += [f"{mark.text}: {'met' if mark.met else 'SHORT'}" for mark in one.marks if marked]
    return "  ".join(cells)


def _share(share: float) -> str:
    return f"{share:.0%}" if share < 2 else f"{share:.1f} ×"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
