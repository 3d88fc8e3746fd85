"""Alarms and dashboards speak of metrics that exist, and the alarms fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tracker.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMTOOL = shutil.which("promtool")
_SUFFIXES = re.compile(r"_(total|bucket|sum|count|created)$")


def metric_names() -> set[str]:
    return {family.name for family in Metrics().registry.collect()}


@pytest.mark.parametrize("file", ["prometheus/rules.yml", "grafana/dashboards/milepost.json"])
def test_every_metric_that_is_asked_for_exists(file: str) -> None:
    asked = set(re.findall(r"milepost_\w+", (DEPLOY / file).read_text(encoding="utf-8")))
    assert {_SUFFIXES.sub("", name) for name in asked} <= metric_names()


def test_the_dashboard_is_json_with_a_query_in_every_panel() -> None:
    board = json.loads((DEPLOY / "grafana/dashboards/milepost.json").read_text(encoding="utf-8"))
    assert all(panel["targets"][0]["expr"] for panel in board["panels"])


def test_every_alarm_is_seen_to_fire() -> None:
    """Each has a case in which it must, beside those in which it must not; promtool tries them below."""
    alarms = re.findall(r"alert: (\w+)", (DEPLOY / "prometheus/rules.yml").read_text(encoding="utf-8"))
    cases = (DEPLOY / "prometheus/rules_test.yml").read_text(encoding="utf-8")
    fired = re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", cases)
    assert sorted(set(fired)) == sorted(alarms)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: the package prometheus)")
def test_the_alarms_fire_when_they_should_and_not_before() -> None:
    assert PROMTOOL
    for words in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        run = subprocess.run([PROMTOOL, *words], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
