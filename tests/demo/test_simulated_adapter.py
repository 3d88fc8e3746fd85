"""The simulated carrier's adapter is held to the same contract as any other."""

from __future__ import annotations

from pathlib import Path

from carriers import simulated
from carriers.conformance import check


def test_the_simulated_adapter_conforms() -> None:
    check(simulated.carrier, Path(simulated.__file__).parent / "fixtures")
