"""A carrier that lives outside this repository: made, installed, found, and tested by the kit alone."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tracker.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of its own, as `milepost new-carrier` makes it."""
    folder = tmp_path_factory.mktemp("author") / "blue-post"
    assert main(["new-carrier", "blue_post", "--package", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def python(package: Path) -> Path:
    """A fresh environment with this checkout, what it depends on, and the package, installed without a network."""
    home = package.parent / "environment"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (site / "milepost.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    subprocess.run([python, "-m", "pip", "install", *offline, package], check=True, timeout=100)
    return python


def run(python: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it there, with nothing of this process's environment that leads back here."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "MILEPOST"))}
    command = [str(python), *(str(argument) for argument in arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)


def test_it_is_found_and_listed_with_where_it_comes_from(python: Path, package: Path) -> None:
    ran = run(python, "-m", "tracker.cli", "carriers", "--json", cwd=package.parent)
    assert ran.returncode == 0, ran.stderr
    origins = {row["slug"]: row["origin"] for row in json.loads(ran.stdout)}
    assert origins["blue_post"] == "milepost-blue-post 0.1.0 (milepost_blue_post:carrier)"
    assert origins["sf"] == "carriers.sf"


def test_the_kit_is_its_whole_test_and_it_passes(python: Path, package: Path) -> None:
    ran = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", package, cwd=package)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout


def test_it_reads_a_body_as_any_other_carrier_does(python: Path, package: Path) -> None:
    body = package / "src" / "milepost_blue_post" / "fixtures" / "query-delivered.json"
    ran = run(python, "-m", "tracker.cli", "parse", "blue_post", body, cwd=package.parent)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)[0]["status"] == "delivered"


def test_a_package_that_breaks_is_named_and_the_others_are_listed(python: Path, package: Path) -> None:
    site = Path(
        run(python, "-c", "import milepost_blue_post as m; print(m.__file__)", cwd=package.parent).stdout.strip()
    )
    whole = site.read_text()
    site.write_text("raise RuntimeError('no luck today')\n")
    try:
        ran = run(python, "-m", "tracker.cli", "carriers", "--json", cwd=package.parent)
    finally:
        site.write_text(whole)
    assert "sf" in {row["slug"] for row in json.loads(ran.stdout)}
    origin = "milepost-blue-post 0.1.0 (milepost_blue_post:carrier)"
    assert ran.stderr == f"milepost: {origin} is broken: RuntimeError: no luck today\n"
