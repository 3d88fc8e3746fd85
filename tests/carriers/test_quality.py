"""The quality files: every carrier has one, it says what its adapter does, and a wrong one is told its fix."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

import carriers
from carriers import fedex, quality, seventeentrack
from carriers.fixtures import folder_of
from carriers.quality import RULES, Mark, QualityError
from carriers.registry import KIT, Registry, load

HOME = Path(carriers.__file__).parent
SLUGS = sorted({path.parent.name for path in HOME.glob("*/__init__.py")} - {KIT})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of FedEx's folder, to be spoilt."""
    return Path(shutil.copytree(HOME / "fedex", tmp_path / "fedex", ignore=shutil.ignore_patterns("__pycache__")))


def changed(folder: Path, rule: str, value: str) -> Path:
    path = folder / quality.FILE
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{rule} =")]
    path.write_text("\n".join([*lines, f"{rule} = {value}" if value else ""]))
    return folder


@pytest.mark.parametrize("slug", SLUGS)
def test_the_quality_file_of_every_carrier_says_what_its_adapter_does(slug: str) -> None:
    carrier = load()[0].get(slug)
    assert carrier, f"carriers/{slug} does not load: see `milepost carriers`"
    quality.check(carrier, HOME / slug)


def test_a_folder_without_a_quality_file_is_told_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(QualityError, match=r"quality\.toml is missing: add it, with \[rules\] and in it query, push"):
        quality.read(tmp_path)


def test_a_missing_rule_is_named_with_its_meaning(folder: Path) -> None:
    with pytest.raises(QualityError, match=r"times \(zone rule documented, certainty right\) is missing: write"):
        quality.read(changed(folder, "times", ""))


@pytest.mark.parametrize(
    "value", ['"yes"', '{ todo = "" }', '{ todo = "later" }', '{ done = "it is" }', '{ todo = "a b", exempt = "c d" }']
)
def test_a_rule_is_done_or_says_why_not(folder: Path, value: str) -> None:
    with pytest.raises(QualityError, match=r'weight = .*: write "done"'):
        quality.read(changed(folder, "weight", value))


def test_a_rule_that_nobody_knows_is_refused(folder: Path) -> None:
    with pytest.raises(QualityError, match="speed: no such rule"):
        quality.read(changed(folder, "speed", '"done"'))


@pytest.mark.parametrize("text", ["rules = 1", "[others]\na = 1", "[rules", "\xff"])
def test_a_file_of_another_shape_is_refused(folder: Path, text: str) -> None:
    (folder / quality.FILE).write_text(text, encoding="latin-1")
    with pytest.raises(QualityError, match=r"fedex/quality\.toml"):
        quality.read(folder)


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ("query", '{ todo = "no time yet" }', 'query is todo, and the adapter has a fetch: say "done"'),
        ("signature", '{ exempt = "signs nothing" }', "signature is exempt, and the adapter has a verify"),
        ("subscription", '"done"', "subscription is done, and the adapter has no subscribe"),
        ("push", '{ todo = "not read" }', "push is todo, and the adapter verifies or acknowledges pushes"),
        ("auth", '{ exempt = "none needed" }', "auth is exempt, and a query has credentials"),
        ("times", '{ exempt = "no times" }', "times is exempt: every carrier has times"),
        ("pieces", '"done"', "pieces is done, and no golden has pieces in its summary"),
        ("weight", '{ exempt = "tells none" }', "weight is exempt, and a golden has weight_g in its summary"),
    ],
)
def test_a_file_that_contradicts_the_adapter_is_told_where(folder: Path, rule: str, value: str, said: str) -> None:
    with pytest.raises(QualityError, match=said):
        quality.check(fedex.carrier, changed(folder, rule, value))


def test_what_a_fixture_has_to_show_is_missed_without_it(folder: Path) -> None:
    for path in (folder / "fixtures").iterdir():
        path.unlink()
    with pytest.raises(QualityError) as caught:
        quality.check(fedex.carrier, folder)
    for said in ("add fixtures/push-*", "add fixtures/error-*", "no golden has signed_by in its summary"):
        assert said in str(caught.value)


def test_an_acknowledge_is_done_and_without_pushes_there_is_nothing_to_acknowledge(folder: Path) -> None:
    carrier = msgspec.structs.replace(fedex.carrier, acknowledge=seventeentrack.acknowledge)
    with pytest.raises(QualityError, match=r"acknowledgement is exempt, and the adapter has an acknowledge"):
        quality.check(carrier, folder)
    silent = msgspec.structs.replace(fedex.carrier, verify=None)
    for rule, value in (("push", '{ todo = "not read" }'), ("acknowledgement", '"done"')):
        changed(folder, rule, value)
    with pytest.raises(QualityError, match="what is acknowledged"):
        quality.check(silent, folder)


def test_the_summary_has_a_row_for_each_carrier_with_every_rule() -> None:
    rows = quality.summary(Registry([seventeentrack.carrier, fedex.carrier]))
    assert [(row.slug, row.name) for row in rows] == [("fedex", "FedEx"), ("seventeentrack", "17TRACK")]
    assert all(list(row.rules) == list(RULES) for row in rows)
    assert rows[0].having(Mark.TODO) == ["successor", "pieces"]
    assert rows[0].rules["successor"].why.startswith("the USPS number")


def test_a_carrier_without_a_file_has_a_row_without_rules() -> None:
    stranger = msgspec.structs.replace(fedex.carrier, slug="stranger", parse=lambda body, content_type: [])
    [row] = quality.summary([stranger])
    assert row.rules == {}
    assert list(quality.report([row])) == ["stranger         no readable quality.toml"]


def test_an_installed_package_brings_its_file_beside_its_adapter() -> None:
    installed = msgspec.structs.replace(fedex.carrier, slug="installed")
    assert folder_of(installed) == HOME / "fedex"
    assert folder_of(fedex.carrier) == HOME / "fedex"


def test_the_printed_summary_counts_and_says_what_is_left_to_do() -> None:
    lines = list(quality.report(quality.summary([fedex.carrier])))
    assert lines[0].split() == ["fedex", "13", "done", "2", "todo", "2", "exempt"]
    assert lines[1].strip().startswith("todo successor: ")
