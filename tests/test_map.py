"""The map of the repository (docs/architecture.md, Rooms) shows what is there, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("tracker/", "carriers/", "webhooks/", "tests/", "deploy/")


def named() -> set[str]:
    """The places in the first column; one that follows another lies in `tracker/` too."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page.partition("## Rooms")[2], re.MULTILINE)
    places = re.findall(r"`([^`]+)`", " ".join(rows))
    return {place if place.startswith(FOLDERS) else f"tracker/{place}" for place in places}


def test_what_the_map_names_is_there() -> None:
    """A room that moves takes its name on the map along."""
    assert [place for place in sorted(named()) if not (ROOT / place).exists()] == []


def test_every_room_is_on_the_map() -> None:
    """Whoever adds a module says on the map what it is for."""
    tracker = ROOT / "tracker"
    rooms = {f"tracker/{file.name}" for file in tracker.glob("*.py")} | {
        f"tracker/{init.parent.name}/" for init in tracker.glob("*/__init__.py")
    }
    assert rooms - named() - {"tracker/__init__.py"} == set()
