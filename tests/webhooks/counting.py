"""What is counted of pushes, remembered for a test to look at."""

from __future__ import annotations


class Counts:
    def __init__(self) -> None:
        self.intakes: list[tuple[str, str]] = []  # carrier and outcome
        self.bad: list[str] = []

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, outcome in self.intakes]

    def intake(self, carrier: str, outcome: str, seconds: float) -> None:
        self.intakes.append((carrier, outcome))

    def quarantined(self, carrier: str) -> None:
        self.bad.append(carrier)
