"""`milepost new-carrier`: what it writes conforms as it is, and what is there already stays as it was."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import carriers
from carriers import quality
from tracker.authoring import rehearsal
from tracker.authoring.template import acme
from tracker.cli import main

TESTS = {"test_the_adapter_conforms", "test_its_quality_file_tells_the_truth"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout without carriers, and the way to import those that come."""
    known = set(sys.modules)
    (tmp_path / "carriers").mkdir()
    (tmp_path / "carriers" / "sdk.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(carriers, "__path__", [*carriers.__path__, str(tmp_path / "carriers")])
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]
        carriers.__dict__.pop(name.rpartition(".")[2], None)


def run(path: Path) -> set[str]:
    """Run the tests of a module; returns their names."""
    tests = {name: test for name, test in runpy.run_path(str(path)).items() if name.startswith("test_")}
    for test in tests.values():
        test()
    return set(tests)


def test_the_template_itself_conforms() -> None:
    folder = Path(acme.__file__).parent
    quality.check(acme.carrier, folder)
    rehearsal.check(acme.carrier, folder / "fixtures")


def test_a_new_carrier_of_a_checkout_passes_its_own_test(checkout: Path) -> None:
    assert main(["new-carrier", "blue_post"]) == 0
    assert run(checkout / "tests" / "carriers" / "test_blue_post.py") == TESTS
    carrier = importlib.import_module("carriers.blue_post").carrier
    assert (carrier.slug, carrier.name) == ("blue_post", "Blue Post")
    assert not [path for path in checkout.rglob("*.*") if b"acme" in path.read_bytes().lower()]


def test_its_name_can_be_given(checkout: Path) -> None:
    assert main(["new-carrier", "bp", "--name", "Blue Post 蓝邮"]) == 0
    assert importlib.import_module("carriers.bp").carrier.name == "Blue Post 蓝邮"


def test_a_name_that_would_break_the_adapter_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-carrier", "bp", "--name", 'The "Blue" Post']) == 64
    assert "between quotes: use none, and no backslash" in capsys.readouterr().err
    assert not (checkout / "carriers" / "bp").exists()


def test_it_says_what_it_wrote_and_what_is_next(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["new-carrier", "blue_post"])
    said = capsys.readouterr()
    written = {Path(line) for line in said.out.splitlines()}
    assert checkout / "carriers" / "blue_post" / "__init__.py" in written
    assert all(path.is_file() for path in written)
    assert "pytest tests/carriers/test_blue_post.py passes as it is" in said.err


@pytest.mark.parametrize(
    ("slug", "problem"),
    [
        ("Blue-Post", "'Blue-Post': use lower-case letters, digits and _, a letter first"),
        ("yield", "'yield': use lower-case letters"),
        ("../etc", "'../etc': use lower-case letters"),
        ("sf", "'sf' is taken"),
        ("sdk", "'sdk' is taken"),
        ("conformance", "'conformance' is taken"),
    ],
)
def test_a_slug_that_will_not_do_is_refused(
    slug: str, problem: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-carrier", slug]) == 64
    assert capsys.readouterr().err.startswith(f"milepost: new-carrier: {problem}")
    assert [path.name for path in checkout.rglob("*")] == ["carriers", "sdk.py"]


def test_what_is_there_is_never_written_over(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["new-carrier", "blue_post"])
    adapter = checkout / "carriers" / "blue_post" / "__init__.py"
    adapter.write_text("mine = True\n")
    assert main(["new-carrier", "blue_post"]) == 64
    assert adapter.read_text() == "mine = True\n"
    assert main(["new-carrier", "red_post", "--package", str(checkout)]) == 64
    assert "name a new directory" in capsys.readouterr().err


def test_outside_a_checkout_it_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-carrier", "blue_post"]) == 64
    assert "is no checkout of Milepost; go to one, or give --package DIR" in capsys.readouterr().err
