"""The benchmarks run: in their quick form, every one of them, to the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_every_benchmark_runs_in_its_quick_form_and_prints_its_figures() -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, run.stderr
    for name in (
        "intake:",
        "commit:",
        "delivery:",
        "latency:",
        "bystanders: dripping",
        "parse: sf",
        "polls: cost",
        "memory: feed",
    ):
        assert name in run.stdout, run.stdout
