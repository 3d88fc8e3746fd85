"""The registry finds carriers beside it and in installed packages, and one broken carrier harms no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import carriers
from carriers import registry
from carriers.sdk import Carrier, M
from tracker.plugins import Failure

ADAPTER = """
from carriers.sdk import Carrier, M
carrier = Carrier(slug={slug!r}, name="Acme", docs="https://example.com", milestones={{"D": M.DELIVERED}},
                  parse=lambda body, content_type: [])
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for adapters instead of the real one."""
    known = set(sys.modules)
    monkeypatch.setattr(carriers, "__path__", [str(tmp_path)])
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def packages_are_forgotten() -> Iterator[None]:
    """Those that a test installs: the next one has others of these names."""
    yield
    for name in ("acme_post", "blue_post"):
        sys.modules.pop(name, None)


def adapter(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)


def distribution(folder: Path, entry: str) -> None:
    info = folder / "acme_post-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-post\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[milepost.carriers]\n{entry}\n")


def test_every_carrier_of_ours_loads() -> None:
    found, failures = registry.load()
    assert failures == []
    assert {"sf", "kuaidi100"} <= {carrier.slug for carrier in found}
    assert "sf" in found
    assert found.get("no_such_carrier") is None


def test_an_aggregators_code_leads_to_our_slug_and_makes_it_known() -> None:
    found, _ = registry.load()
    assert found.by_alias("kuaidi100", "shunfeng") == "sf"
    assert found.by_alias("kuaidi100", "no_such_code") == ""
    assert found.by_alias("no_such_carrier", "shunfeng") == ""
    assert {"sf", "kuaidi100", "yto"} <= set(found.known())
    assert found.get("yto") is None


def test_a_broken_adapter_is_named_and_the_others_load(folders: Path) -> None:
    adapter(folders, "acme", ADAPTER.format(slug="acme"))
    adapter(folders, "broken", "raise RuntimeError('no luck')")
    adapter(folders, "empty", "")
    adapter(folders, "misnamed", ADAPTER.format(slug="other"))
    found, failures = registry.load()
    assert [carrier.slug for carrier in found] == ["acme"]
    problems = {failure.origin: failure.problem for failure in failures}
    assert set(problems) == {"carriers.broken", "carriers.empty", "carriers.misnamed"}
    assert problems["carriers.broken"] == "RuntimeError: no luck"
    assert "no Carrier" in problems["carriers.empty"]
    assert "'other'" in problems["carriers.misnamed"]


@pytest.mark.parametrize("entry", ["acme = acme_post", "acme = acme_post:carrier"])
def test_an_installed_package_brings_a_carrier(
    entry: str, folders: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path_factory.mktemp("site")
    (site / "acme_post.py").write_text(ADAPTER.format(slug="acme"))
    distribution(site, entry)
    monkeypatch.syspath_prepend(str(site))
    found, failures = registry.load()
    assert (found.get("acme") or pytest.fail(str(failures))).milestones == {"D": M.DELIVERED}


def test_an_installed_package_can_not_take_the_place_of_one_of_ours(
    folders: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(folders, "acme", ADAPTER.format(slug="acme"))
    site = tmp_path_factory.mktemp("site")
    (site / "acme_post.py").write_text(ADAPTER.format(slug="acme").replace("Acme", "Impostor"))
    distribution(site, "acme = acme_post")
    monkeypatch.syspath_prepend(str(site))
    found, failures = registry.load()
    carrier = found.get("acme")
    assert isinstance(carrier, Carrier) and carrier.name == "Acme"
    assert [str(failure) for failure in failures] == [
        str(Failure("acme-post 1.0 (acme_post)", "ValueError: slug 'acme' is taken by carriers.acme"))
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import sys; sys.exit('not today')", "SystemExit: not today"),
        ("def broken(:", "SyntaxError: "),
        ("carrier = 'acme'", "TypeError: exposes no Carrier named `carrier`, but str"),
        (ADAPTER.format(slug="sf"), "ValueError: slug 'sf' is taken by carriers.sf"),
        (ADAPTER.format(slug=7), "TypeError: slug is 7: expected str"),
        (
            ADAPTER.format(slug="acme").replace('{"D": M.DELIVERED}', "['D']"),
            "TypeError: milestones is ['D']: expected",
        ),
        (ADAPTER.format(slug="acme").replace("lambda body, content_type: []", "None"), "TypeError: parse is None"),
    ],
)
def test_a_broken_package_is_named_and_harms_no_other(
    text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_post.py").write_text(text)
    (tmp_path / "blue_post.py").write_text(ADAPTER.format(slug="blue_post"))
    distribution(tmp_path, "a = acme_post\nb = blue_post")
    monkeypatch.syspath_prepend(str(tmp_path))
    found, failures = registry.load()
    assert [failure.origin for failure in failures] == ["acme-post 1.0 (acme_post)"]
    assert failures[0].problem.startswith(problem)
    assert found.origin("blue_post") == "acme-post 1.0 (blue_post)"
    assert found.origin("sf") == "carriers.sf"
