"""A new adapter's folder, in a checkout or as a package of its own: a copy of the template with its names changed."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import carriers
from carriers.registry import load
from tracker.errors import ConfigError

TEMPLATE = Path(__file__).parent / "template"
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,30}")


def in_checkout(slug: str, name: str, root: Path) -> list[Path]:
    """Write `carriers/SLUG/` and its test below `root`, a checkout of Milepost; returns what was written."""
    if not (root / "carriers" / "sdk.py").exists():
        raise ConfigError(f"new-carrier: {root} is no checkout of Milepost; go to one, or give --package DIR")
    _check(slug, name)
    files = _adapter(root / "carriers" / slug)
    files[root / "tests" / "carriers" / f"test_{slug}.py"] = TEMPLATE / "test_in_checkout.py.txt"
    return _write(files, slug, name)


def as_package(slug: str, name: str, root: Path) -> list[Path]:
    """Write an installable package below `root`, which must not hold anything; returns what was written."""
    _check(slug, name)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ConfigError(f"--package {root}: it is there already; name a new directory")
    module = f"milepost_{slug}"
    files = _adapter(root / "src" / module)
    files[root / "README.md"] = TEMPLATE / "acme" / "README.md"
    files[root / "pyproject.toml"] = TEMPLATE / "pyproject.toml.txt"
    files[root / "tests" / f"test_{slug}.py"] = TEMPLATE / "test_in_package.py.txt"
    return _write(files, slug, name)


def _check(slug: str, name: str) -> None:
    if not _SLUG.fullmatch(slug) or keyword.iskeyword(slug):
        raise ConfigError(f"new-carrier: {slug!r}: use lower-case letters, digits and _, a letter first")
    if not name.isprintable() or set(name) & {'"', "\\"}:
        raise ConfigError(f"--name {name!r}: it stands in the adapter between quotes: use none, and no backslash")
    taken = {path.stem for path in Path(carriers.__file__).parent.iterdir()}  # modules beside the carriers, too
    if slug in taken or slug in load()[0]:
        raise ConfigError(f"new-carrier: {slug!r} is taken; `milepost carriers` lists those that are there")


def _adapter(folder: Path) -> dict[Path, Path]:
    """Where each of the adapter's files comes from."""
    acme = TEMPLATE / "acme"
    sources = sorted(path for path in acme.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {folder / path.relative_to(acme): path for path in sources}


def _write(files: dict[Path, Path], slug: str, name: str) -> list[Path]:
    there = [path for path in files if path.exists()]
    if there:
        raise ConfigError(f"new-carrier: {there[0]} is there already; nothing was written")
    for path, source in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_renamed(source.read_text(encoding="utf-8"), slug, name), encoding="utf-8")
    return list(files)


def _renamed(text: str, slug: str, name: str) -> str:
    text = text.replace("milepost-acme", f"milepost-{slug.replace('_', '-')}")  # a distribution's name has hyphens
    return text.replace("acme", slug).replace("Acme", name)


def name_of(slug: str) -> str:
    """`blue_post` → `Blue Post`."""
    return slug.replace("_", " ").title()
