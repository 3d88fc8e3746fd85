"""What the tests of one adapter share: its fixtures as it reads them, what its scans mean, the recorded bodies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from carriers.fixtures import folder_of, read_fixtures
from carriers.sdk import Carrier, M, R, Report, Scan
from tests.samples.bodies import DIRECTORY, FOLDERS
from tracker.normalise import classify


def reader(carrier: Carrier) -> Callable[[str], list[Report]]:
    """Reads a fixture by the name of its file, as the content type that it came with."""
    fixtures = {fixture.name: fixture for fixture in read_fixtures(folder_of(carrier) / "fixtures")}

    def read(name: str) -> list[Report]:
        return list(carrier.parse(fixtures[name].body, fixtures[name].content_type))

    return read


def meaning(carrier: Carrier) -> Callable[[Scan], tuple[M, R | None]]:
    """The milestone and the reason that a scan of the carrier gets."""

    def means(scan: Scan) -> tuple[M, R | None]:
        found = classify(carrier.milestones, scan.code, scan.text)
        return found.milestone, found.reason

    return means


def recorded(carrier: Carrier) -> tuple[Path, pytest.MarkDecorator]:
    """The folder of bodies recorded of the carrier, which lies beside the repository, and the mark of what needs it."""
    folder = DIRECTORY / FOLDERS[carrier.slug]
    return folder, pytest.mark.skipif(not folder.exists(), reason="the recorded bodies are not beside the repository")
