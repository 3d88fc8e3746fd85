"""The compose file and the unit start the daemon so that it knows where it is, and end it as the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

from tracker.config.loading import ENV, load

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "deploy/compose.yaml").read_text(encoding="utf-8")


def test_in_the_container_the_daemon_knows_an_address_of_its_own() -> None:
    """It listens on every address there: without one, buyers had no page and carriers no address to push to."""
    variables = dict(re.findall(rf"({ENV}HTTP\w+)=(\S+)", (ROOT / "deploy/Containerfile").read_text(encoding="utf-8")))
    said = dict(re.findall(rf"^ +({ENV}\w+): \$\{{\1:-(.*)\}}$", COMPOSE, re.MULTILINE))
    assert load(env=variables).known_url == ""
    assert load(env=variables | said).known_url == "http://localhost:8040"


def test_everywhere_it_gets_the_minute_that_it_may_take_to_end() -> None:
    """As docs/operations.md asks for: 20 s for what is under way, 30 s for its server."""
    assert "Give the daemon 60 s" in (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert "stop_grace_period: 60s" in COMPOSE
    assert "TimeoutStopSec=60" in (ROOT / "deploy/systemd/milepost.service").read_text(encoding="utf-8")
